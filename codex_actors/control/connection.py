"""Owns one client of a supervisor: what it asks is worked on side by side, and answered.

Invariant: bounded in what it keeps (a line, the requests in flight, the outbox); when the client
goes, what it asked for is cancelled. Must not know what is asked.
"""

import traceback
from collections.abc import Awaitable, Callable
from typing import Any, cast, final

import trio

from codex_actors.control.errors import RequestFailed
from codex_actors.control.jsonrpc import (
    CANCEL,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Batch,
    Id,
    Incoming,
    Invalid,
    encode,
    failure,
    note,
    parse_line,
    success,
)
from codex_actors.control.limits import Limits
from codex_actors.control.lines import Lines, LineTooLong

__all__ = ["Answer", "Connection"]

Answer = Callable[[str, object, Callable[[dict[str, Any]], None]], Awaitable[object]]

CHUNK = 64 * 2**10


@final
class Connection:
    """One client.

    Attributes:
        last_active: When it last sent something or was answered, by the clock of Trio.
    """

    def __init__(
        self,
        stream: trio.SocketStream,
        answer: Answer,
        limits: Limits,
        on_error: Callable[[str], object],
    ) -> None:
        self._stream = stream
        self._answer = answer
        self._limits = limits
        self._on_error = on_error
        self._outbox, self._outgoing = trio.open_memory_channel[bytes](limits.outbox)
        self._slots = trio.Semaphore(limits.in_flight)
        self._scopes: dict[Id, trio.CancelScope] = {}
        self._working = 0
        self._life = trio.CancelScope()
        self.last_active = trio.current_time()

    @property
    def is_idle(self) -> bool:
        """Whether nothing that it asked for is under way."""
        return self._working == 0

    def close(self) -> None:
        """End it, soon."""
        self._life.cancel()

    async def run(self) -> None:
        """Serve it until it goes, is closed, or stops reading."""
        with self._life:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                await self._read(nursery)
                nursery.cancel_scope.cancel()

    async def _read(self, nursery: trio.Nursery) -> None:
        lines = Lines(self._limits.line)
        while data := await self._stream.receive_some(CHUNK):
            self.last_active = trio.current_time()
            for line in lines.feed(data):
                if isinstance(line, LineTooLong):
                    limit = self._limits.line
                    message = f"a request is at most {limit} bytes long"
                    await self._send(failure(None, INVALID_REQUEST, message))
                    continue
                asked = parse_line(line)
                if isinstance(asked, Incoming) and asked.method == CANCEL:
                    self._cancel(asked.params)
                    continue
                await self._slots.acquire()
                self._working += 1
                nursery.start_soon(self._work, asked)

    def _cancel(self, params: object) -> None:
        given = cast("dict[str, Any]", params) if isinstance(params, dict) else {}
        id_ = given.get("id")
        if isinstance(id_, str | int | float) and id_ in self._scopes:
            self._scopes[id_].cancel()

    async def _work(self, message: Incoming | Invalid | Batch) -> None:
        """Answer one line."""
        try:
            if isinstance(message, Batch):
                answers = [await self._answer_one(item) for item in message.items]
                documents = [answer for answer in answers if answer is not None]
                if documents:
                    await self._send(documents)
            else:
                document = await self._answer_one(message)
                if document is not None:
                    await self._send(document)
        finally:
            self._working -= 1
            self._slots.release()
            self.last_active = trio.current_time()

    async def _answer_one(self, message: Incoming | Invalid) -> dict[str, Any] | None:
        if isinstance(message, Invalid):
            return failure(message.id, message.code, message.message)
        id_ = message.id
        if message.wants_answer and id_ in self._scopes:
            return failure(id_, INVALID_REQUEST, f"request {id_!r} is still under way")
        scope = trio.CancelScope()
        if message.wants_answer:
            self._scopes[id_] = scope
        try:
            with scope:
                document = await self._result(message)
                return document if message.wants_answer else None
        finally:
            if message.wants_answer:
                del self._scopes[id_]
        return failure(id_, -32004, "the client gave it up", {"kind": "OperationCancelled"})

    async def _result(self, message: Incoming) -> dict[str, Any]:
        """Have a request carried out; what comes of it, whatever that is, is a document."""
        id_ = message.id
        try:
            result = await self._answer(message.method, message.params, self._notifier(message))
            encode(result)
        except RequestFailed as error:
            return failure(id_, error.code, error.message, {"kind": error.kind, **error.data})
        except Exception as error:  # noqa: BLE001 - a defect: told, and the connection goes on
            self._on_error(traceback.format_exc())
            kind = type(error).__name__
            return failure(id_, INTERNAL_ERROR, f"a defect: {kind}; see the log", {"kind": kind})
        return success(id_, result)

    def _notifier(self, message: Incoming) -> Callable[[dict[str, Any]], None]:
        missed = 0

        def notify(document: dict[str, Any]) -> None:
            nonlocal missed
            if not message.wants_answer:
                return
            told = {**document, "missed": missed} if missed else document
            try:
                self._outbox.send_nowait(encode(note(message.id, told)))
            except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
                missed += 1
            else:
                missed = 0

        return notify

    async def _send(self, document: object) -> None:
        await self._outbox.send(encode(document))

    async def _write(self) -> None:
        """Send what waits; a client that reads nothing of it for too long is closed."""
        async for data in self._outgoing:
            view = memoryview(data)
            for start in range(0, len(view), CHUNK):
                with trio.move_on_after(self._limits.write_timeout) as patience:
                    await self._stream.send_all(view[start : start + CHUNK])
                if patience.cancelled_caught:
                    self._life.cancel()
                    return
