"""Owns the listening end: who is let in, and how many.

Invariant: nothing that a client sends, or does not read, reaches further than its own connection;
no lack of anything ends the serving. Must not know what is asked: that is `Answer`'s.
"""

import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import final

import trio

from codex_actors.control.connection import Connection, Shared
from codex_actors.control.errors import Busy
from codex_actors.control.jsonrpc import encode, failure
from codex_actors.control.limits import Limits
from codex_actors.control.peers import peer_of
from codex_actors.control.session import Answer

__all__ = ["REFUSED_PEER", "OnError", "serve"]

REFUSED_PEER = -32006

OnError = Callable[[str], object]

_LIMITS = Limits()
# Seconds until accepting is tried again when the system has nothing left for it.
PAUSE = 0.1
# Seconds between two looks at whether all is answered, at the end.
LOOK = 0.01
# Threads that make long answers.
ENCODERS = 2
# How many, and for how many seconds each, are told why they are not let in.
REFUSALS = 16
REFUSAL = 1.0


async def serve(
    listener: trio.SocketListener,
    answer: Answer,
    *,
    limits: Limits = _LIMITS,
    on_error: OnError = lambda _text: None,
) -> None:
    """Serve clients until cancelled, which cancels what they asked for.

    The listener stays open: it is its owner's, who may serve with it again. When he closes it,
    nobody else is let in, and those inside are served on until nothing is under way for any.

    Args:
        listener: Where they come in.
        answer: Called with the method, the parameters and whom to notify. A `RequestFailed` is an
            answer; any other error is told to the client by its class only. `KeyboardInterrupt` and
            `SystemExit` pass, and end the serving.
        limits: What a client may take.
        on_error: Called with the traceback of an error that is a defect, or a lack that keeps
            clients out; must not block. What it raises is ignored.
    """
    door = _Door(answer, limits, on_error)
    async with trio.open_nursery() as nursery:
        while (stream := await door.accept(listener)) is not None:
            door.let_in(stream, nursery)
        await door.wait_idle()
        nursery.cancel_scope.cancel()


@final
class _Door:
    """Lets clients in, while there is room."""

    def __init__(self, answer: Answer, limits: Limits, on_error: OnError) -> None:
        self._answer = answer
        self._limits = limits
        self._on_error = on_error
        self._shared = Shared(trio.CapacityLimiter(ENCODERS))
        self._inside: dict[Connection, None] = {}
        self._refusing = 0

    async def accept(self, listener: trio.SocketListener) -> trio.SocketStream | None:
        """Wait for a client; what it takes to let one in may be lacking for a while.

        None: there will be no more.
        """
        is_told = False
        while True:
            try:
                return await listener.accept()
            except trio.ClosedResourceError:
                return None
            except OSError as error:
                lack = error
            # Out of descriptors, mostly, which Linux finds before it looks whether anybody waits.
            # Each of ours that goes makes room.
            if listener.socket.is_readable():
                if not is_told:
                    self._report(lack)
                is_told = True
                self._send_one_away()
            await trio.sleep(PAUSE)

    def let_in(self, stream: trio.SocketStream, nursery: trio.Nursery) -> None:
        """Have a client served, unless it has no business here."""
        try:
            uid = peer_of(stream.socket).uid
        except OSError:
            stream.socket.close()  # it has gone
            return
        if uid != os.geteuid():
            self._refuse(stream, nursery, REFUSED_PEER, f"user {uid} may not ask here")
        elif len(self._inside) >= self._limits.clients and not self._send_one_away():
            self._refuse(stream, nursery, Busy.code, "too many clients: try again later")
        else:
            connection = Connection(stream, self._answer, self._limits, self._report, self._shared)
            self._inside[connection] = None
            nursery.start_soon(self._serve, connection, stream)

    async def wait_idle(self) -> None:
        """Wait until nothing is under way for anybody, and all answers are written."""
        # Once in a process's life, and many states make this one.
        while not all(client.is_idle for client in self._inside):  # noqa: ASYNC110 - see above
            await trio.sleep(LOOK)

    async def _serve(self, connection: Connection, stream: trio.SocketStream) -> None:
        try:
            await connection.run()
        except Exception as error:  # noqa: BLE001 - a defect here ends one connection, and is told
            self._report(error)
        finally:
            self._inside.pop(connection, None)
            stream.socket.close()

    def _send_one_away(self) -> bool:
        """Have whoever has been idle longest give way; tell whether there was one."""
        idle = [connection for connection in self._inside if connection.may_give_way]
        if not idle:
            return False
        oldest = min(idle, key=lambda connection: connection.last_active)
        del self._inside[oldest]
        oldest.close()
        return True

    def _refuse(
        self, stream: trio.SocketStream, nursery: trio.Nursery, code: int, message: str
    ) -> None:
        """Tell somebody why, unless too many are being told."""
        if self._refusing >= REFUSALS:
            stream.socket.close()
            return
        self._refusing += 1
        nursery.start_soon(self._dismiss, stream, encode(failure(None, code, message)))

    async def _dismiss(self, stream: trio.SocketStream, line: bytes) -> None:
        try:
            with trio.move_on_after(REFUSAL), suppress(trio.BrokenResourceError):
                await stream.send_all(line)
                await stream.send_eof()
                # What it has sent is read: closed with that unread, it would hear of a reset.
                left = self._limits.line
                while left > 0 and (data := await stream.receive_some(left)):
                    left -= len(data)
        finally:
            self._refusing -= 1
            stream.socket.close()

    def _report(self, error: BaseException) -> None:
        with suppress(Exception):
            self._on_error("".join(traceback.format_exception(error)))
