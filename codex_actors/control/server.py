"""Owns the listening end: who is let in, and how many.

Invariant: nothing that a client sends, or does not read, reaches further than its own connection.
Must not know what is asked: that is `Answer`'s.
"""

import os
import traceback
from collections.abc import Callable
from typing import final

import trio

from codex_actors.control.connection import Answer, Connection
from codex_actors.control.errors import Busy
from codex_actors.control.jsonrpc import encode, failure
from codex_actors.control.limits import Limits
from codex_actors.control.peers import peer_of

__all__ = ["serve"]

_LIMITS = Limits()
REFUSED_PEER = -32006

OnError = Callable[[str], object]


async def serve(
    listener: trio.SocketListener,
    answer: Answer,
    *,
    limits: Limits = _LIMITS,
    on_error: OnError = lambda _text: None,
) -> None:
    """Serve clients until cancelled.

    Args:
        listener: Where they come in.
        answer: Called with the method, the parameters and whom to notify. A `RequestFailed` is an
            answer; any other error is told to the client by its class only.
        limits: What a client may take.
        on_error: Called with the traceback of an error that is a defect.
    """
    await trio.serve_listeners(_Door(answer, limits, on_error).let_in, [listener])


@final
class _Door:
    """Lets clients in, while there is room."""

    def __init__(self, answer: Answer, limits: Limits, on_error: OnError) -> None:
        self._answer = answer
        self._limits = limits
        self._on_error = on_error
        self._inside: dict[Connection, None] = {}

    async def let_in(self, stream: trio.SocketStream) -> None:
        """Serve one client to its end, unless it has no business here."""
        try:
            async with stream:
                uid = peer_of(stream.socket).uid
                if uid != os.geteuid():
                    await self._refuse(stream, REFUSED_PEER, f"user {uid} may not ask here")
                elif not self._make_room():
                    await self._refuse(stream, Busy.code, "too many clients: try again later")
                else:
                    await self._serve(stream)
        except OSError:
            pass  # it has gone in the middle of something
        except Exception:  # noqa: BLE001 - a defect here ends one connection, and is told
            self._on_error(traceback.format_exc())

    async def _serve(self, stream: trio.SocketStream) -> None:
        connection = Connection(stream, self._answer, self._limits, self._on_error)
        self._inside[connection] = None
        try:
            await connection.run()
        finally:
            self._inside.pop(connection, None)

    def _make_room(self) -> bool:
        """Have room for one more: whoever has been idle longest gives way."""
        if len(self._inside) < self._limits.clients:
            return True
        idle = [connection for connection in self._inside if connection.is_idle]
        if not idle:
            return False
        oldest = min(idle, key=lambda connection: connection.last_active)
        del self._inside[oldest]
        oldest.close()
        return True

    async def _refuse(self, stream: trio.SocketStream, code: int, message: str) -> None:
        with trio.move_on_after(1.0):
            await stream.send_all(encode(failure(None, code, message)))
            await stream.send_eof()
            # What it has sent is read first: closing with that unread would take the answer back.
            await stream.receive_some(self._limits.line)
