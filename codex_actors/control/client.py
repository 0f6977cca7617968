"""Owns the asking end: requests over one connection, any number at a time.

Invariant: every request ends, by its answer, its timeout, its cancellation, or the end of the
connection; a line is sent wholly or not at all, whoever is cancelled. Must not know what is asked.
"""

import errno
import math
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast, final

import trio
from attrs import define, field

from codex_actors._background import open_background
from codex_actors.control.errors import NotRunning, RequestFailed, Unreachable
from codex_actors.control.jsonrpc import (
    CANCEL,
    INVALID_REQUEST,
    MAX_ANSWER,
    MAX_REQUEST,
    Failure,
    Note,
    Result,
    call,
    encode,
    parse_answer,
)
from codex_actors.control.lines import Lines, LineTooLong
from codex_actors.control.messages import Request
from codex_actors.control.peers import peer_of
from codex_actors.control.session import Notify

__all__ = ["Client", "open_client"]

CHUNK = 256 * 2**10
# Seconds until connecting is tried again while a supervisor has not let in those before.
PAUSE = 0.02
# How that shows: the connection was not begun.
_FULL = {errno.ENOTCONN, errno.EAGAIN}
# Seconds in which a supervisor that reads nothing more may still say why.
LAST_WORDS = 1.0


@define(eq=False)
class _Pending:
    """A request that waits for its answer."""

    on_note: Notify | None
    settled: trio.Event = field(factory=trio.Event)
    outcome: Result | Failure | Exception | None = None

    def settle(self, outcome: Result | Failure | Exception | None) -> None:
        if not self.settled.is_set():
            self.outcome = outcome
            self.settled.set()


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
    try:
        client = Client(stream, path)
        async with open_background() as nursery:
            nursery.start_soon(client.listen)
            nursery.start_soon(client.talk)
            yield client
    finally:
        stream.socket.close()


async def _connect(path: Path, timeout: float) -> trio.SocketStream:
    try:
        with trio.fail_after(timeout):
            connected = await _knock(path)
        uid = _uid_of(connected)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise NotRunning(
            f"no supervisor runs at {path}: start one with `python -m codex_actors run`"
        ) from error
    except trio.TooSlowError:
        raise Unreachable(f"the supervisor at {path} lets nobody in for {timeout:g} s") from None
    except OSError as error:
        why = error.strerror or error
        raise Unreachable(f"the supervisor at {path} cannot be asked: {why}") from error
    if uid != os.geteuid():
        connected.close()
        raise Unreachable(f"the supervisor at {path} is user {uid}'s, not yours")
    return trio.SocketStream(connected)


async def _knock(path: Path) -> trio.socket.SocketType:
    """Connect, however many wait to be let in."""
    while True:
        connecting = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        try:
            await connecting.connect(os.fspath(path))
            # On Linux a full queue makes a connection neither refused nor begun.
            connecting.getpeername()
        except BaseException as error:
            connecting.close()
            if not (isinstance(error, OSError) and error.errno in _FULL):
                raise  # a cancellation, too
        else:
            return connecting
        await trio.sleep(PAUSE)


def _uid_of(connected: trio.socket.SocketType) -> int:
    try:
        return peer_of(connected).uid
    except BaseException:
        connected.close()
        raise


@final
class Client:
    """A `Session` over a socket; got from `open_client`."""

    def __init__(self, stream: trio.SocketStream, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._pending: dict[int, _Pending] = {}
        # In order: requests by their numbers, and by the negative ones that these are given up.
        self._unsent: dict[int, bytes] = {}
        self._writer = trio.lowlevel.ParkingLot()
        self._number = 0
        self._gone = ""

    async def request(
        self, request: Request, *, on_note: Notify | None = None, timeout: float = math.inf
    ) -> dict[str, Any]:
        """See `Session.request`. What `on_note` raises gives the request up, and is raised here."""
        self._number += 1
        number = self._number
        line = encode(call(number, request.method, request.to_params()))
        if len(line) > MAX_REQUEST:
            raise RequestFailed(
                f"{request.method} is {len(line):,} bytes long, of at most {MAX_REQUEST:,}: ask for"
                " less at once",
                INVALID_REQUEST,
                "RequestTooLong",
            )
        pending = self._pending[number] = _Pending(on_note)
        if self._gone:
            pending.settled.set()
        self._post(number, line)
        try:
            with trio.move_on_after(timeout):
                await pending.settled.wait()
        finally:
            del self._pending[number]
            if not isinstance(pending.outcome, Result | Failure):
                self._give_up(number)
        match pending.outcome:
            case Result(_, value):
                return cast("dict[str, Any]", value)
            case Failure(_, code, message, data):
                more = dict(data)
                kind = more.pop("kind", None)
                raise RequestFailed(message, code, None if kind is None else str(kind), more)
            case Exception() as error:
                raise error
            case None if pending.settled.is_set():
                raise Unreachable(self._gone)
            case None:
                raise Unreachable(
                    f"the supervisor at {self._path} did not answer within {timeout:g} s"
                )

    @trio.lowlevel.enable_ki_protection
    async def listen(self) -> None:
        """Sort what comes to whom it is for, until the end of the connection."""
        lines = Lines(MAX_ANSWER)
        why = "it has gone"
        try:
            while not self._gone and (data := await self._stream.receive_some(CHUNK)):
                for line in lines.feed(data):
                    self._take(line)
        except trio.BrokenResourceError:
            pass
        except ValueError as error:
            why = f"it does not speak our language: {error}"
        self._end(why)

    @trio.lowlevel.enable_ki_protection
    async def talk(self) -> None:
        """Send what is asked, until the end of the connection."""
        try:
            while True:
                while not self._unsent:
                    await self._writer.park()
                number = next(iter(self._unsent))
                await self._stream.send_all(self._unsent.pop(number))
        except trio.BrokenResourceError:
            await trio.sleep(LAST_WORDS)
            self._end("it has gone")

    def _take(self, line: bytes | LineTooLong) -> None:
        if isinstance(line, LineTooLong):
            raise ValueError("an answer that is too long")  # noqa: TRY004 - as garbage is
        match parse_answer(line):
            case Note(int(number), params) if number in self._pending:
                self._tell(self._pending[number], params)
            case (Result(int(number)) | Failure(int(number))) as answer:
                if number in self._pending:  # else nobody waits for it any more
                    self._pending[number].settle(answer)
            case Failure(None, _, message):
                self._end(f"it says: {message}")
            case _:
                pass

    def _tell(self, pending: _Pending, params: dict[str, Any]) -> None:
        if pending.on_note is None or pending.settled.is_set():
            return
        try:
            pending.on_note(params)
        except Exception as error:  # noqa: BLE001 - raised by the request
            pending.settle(error)

    def _end(self, why: str) -> None:
        self._gone = self._gone or f"the supervisor at {self._path} cannot be asked any more: {why}"
        self._unsent.clear()
        for pending in self._pending.values():
            pending.settle(None)

    def _post(self, number: int, line: bytes) -> None:
        if not self._gone:
            self._unsent[number] = line
            self._writer.unpark_all()

    def _give_up(self, number: int) -> None:
        """Have the supervisor cancel a request, if it has been sent."""
        if self._unsent.pop(number, None) is None:
            self._post(-number, encode(call(None, CANCEL, {"id": number})))
