"""Owns the asking end: requests over one connection, any number at a time.

Invariant: every request ends, by its answer, its timeout, its cancellation, or the end of the
connection. Must not know what is asked.
"""

import errno
import math
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast, final

import trio
from attrs import define, field

from codex_actors.control.errors import NotRunning, RequestFailed, Unreachable
from codex_actors.control.jsonrpc import CANCEL, NOTE, call, encode, parse_document
from codex_actors.control.lines import Lines, LineTooLong
from codex_actors.control.messages import Request
from codex_actors.control.peers import peer_of
from codex_actors.control.service import Notify

__all__ = ["Client", "open_client"]

# A snapshot of very many actors is long.
MAX_LINE = 256 * 2**20
CHUNK = 256 * 2**10


@define(eq=False)
class _Pending:
    """A request that waits for its answer."""

    on_note: Notify | None
    answered: trio.Event = field(factory=trio.Event)
    answer: dict[str, Any] | None = None


@asynccontextmanager
async def open_client(path: Path, *, timeout: float = 5.0) -> AsyncGenerator["Client"]:
    """Connect to the supervisor at an address, for the duration of a block.

    Args:
        path: Its socket.
        timeout: Seconds for connecting.

    Raises:
        NotRunning: None listens there.
        Unreachable: One does, but cannot be asked: it is another user's, or does not let in.

    Leaving the block cancels what was asked and is not answered.
    """
    stream = await _connect(path, timeout)
    async with stream:
        client = Client(stream, path)
        error: BaseException | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.listen)
            try:
                yield client
            except BaseException as raised:  # noqa: BLE001 - raised again, out of the nursery
                error = raised
            nursery.cancel_scope.cancel()
        if error is not None:
            raise error


async def _connect(path: Path, timeout: float) -> trio.SocketStream:
    connecting = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        with trio.fail_after(timeout):
            await connecting.connect(os.fspath(path))
        uid = peer_of(connecting).uid
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        connecting.close()
        raise NotRunning(
            f"no supervisor runs at {path}: start one with `python -m codex_actors run`"
        ) from error
    except trio.TooSlowError:
        connecting.close()
        raise Unreachable(f"the supervisor at {path} lets nobody in for {timeout:g} s") from None
    except OSError as error:
        connecting.close()
        why = os.strerror(error.errno or errno.EIO)
        raise Unreachable(f"the supervisor at {path} cannot be asked: {why}") from error
    except BaseException:
        connecting.close()
        raise
    if uid != os.geteuid():
        connecting.close()
        raise Unreachable(f"the supervisor at {path} is user {uid}'s, not yours")
    return trio.SocketStream(connecting)


@final
class Client:
    """A `Session` over a socket; got from `open_client`."""

    def __init__(self, stream: trio.SocketStream, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._sending = trio.StrictFIFOLock()
        self._pending: dict[int, _Pending] = {}
        self._number = 0
        self._gone: Unreachable | None = None

    async def request(
        self, request: Request, *, on_note: Notify | None = None, timeout: float = math.inf
    ) -> dict[str, Any]:
        """See `Session.request`."""
        if self._gone is not None:
            raise _copy_of(self._gone)
        self._number += 1
        number = self._number
        pending = self._pending[number] = _Pending(on_note)
        try:
            with trio.move_on_after(timeout) as patience:
                await self._send(call(number, request.method, request.to_params()))
                await pending.answered.wait()
        finally:
            del self._pending[number]
            if pending.answer is None and self._gone is None:
                await self._give_up(number)
        if patience.cancelled_caught and pending.answer is None:
            raise Unreachable(f"the supervisor at {self._path} did not answer within {timeout:g} s")
        if pending.answer is None:
            assert self._gone is not None  # noqa: S101 - tells the type checkers
            raise _copy_of(self._gone)
        return _unwrap(pending.answer)

    async def listen(self) -> None:
        """Sort what comes to whom it is for, until the end of the connection."""
        lines = Lines(MAX_LINE)
        why = "it has gone"
        try:
            while data := await self._stream.receive_some(CHUNK):
                for line in lines.feed(data):
                    self._take(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except ValueError as error:
            why = f"it does not speak our language: {error}"
        self._end(Unreachable(f"the supervisor at {self._path} cannot be asked any more: {why}"))

    def _take(self, line: bytes | LineTooLong) -> None:
        if isinstance(line, LineTooLong):
            raise ValueError("an answer that is too long")  # noqa: TRY004 - as garbage is
        document: Any = parse_document(line)
        if not isinstance(document, dict):
            raise ValueError("no object")  # noqa: TRY004 - as garbage is
        message = cast("dict[str, Any]", document)
        if message.get("method") == NOTE:
            params = message["params"]
            pending = self._pending.get(params.pop("id", None))
            if pending is not None and pending.on_note is not None:
                pending.on_note(params)
            return
        pending = self._pending.get(cast("int", message.get("id")))
        if pending is not None:
            pending.answer = message
            pending.answered.set()
        elif message.get("id") is None and "error" in message:
            self._end(Unreachable(f"{self._path}: {message['error'].get('message')}"))

    def _end(self, gone: Unreachable) -> None:
        if self._gone is None:
            self._gone = gone
        for pending in self._pending.values():
            pending.answered.set()

    async def _give_up(self, number: int) -> None:
        with trio.move_on_after(1.0, shield=True), suppress(Unreachable):
            await self._send(call(None, CANCEL, {"id": number}))

    async def _send(self, document: dict[str, Any]) -> None:
        async with self._sending:
            try:
                await self._stream.send_all(encode(document))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise Unreachable(f"the supervisor at {self._path} has gone") from None


def _copy_of(error: Unreachable) -> Unreachable:
    """One error object per raise: raising one in many tasks would mix their tracebacks."""
    return Unreachable(*error.args)


def _unwrap(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" not in answer:
        result: dict[str, Any] = answer["result"]
        return result
    error = answer["error"]
    data = dict(error.get("data") or {})
    kind = data.pop("kind", None)
    raise RequestFailed(error["message"], error["code"], kind, data)
