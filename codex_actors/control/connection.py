"""Owns one client of a supervisor: what it asks is worked on side by side, and answered.

Invariant: bounded in what it keeps (a line, what waits to be worked on, the requests in flight, the
outbox); the reader waits for no handler, so a cancellation and the end are heard while all are
busy; when the client goes, what it asked for is cancelled. Must not know what is asked.
"""

import select
from collections.abc import Callable
from typing import Any, cast, final

import trio
from attrs import Factory, frozen

from codex_actors.control.backlog import Backlog, Task
from codex_actors.control.errors import OperationCancelled, RequestFailed
from codex_actors.control.jsonrpc import (
    CANCEL,
    INTERNAL_ERROR,
    MAX_ANSWER,
    Id,
    Incoming,
    Invalid,
    encode,
    failure,
    success,
)
from codex_actors.control.limits import Limits
from codex_actors.control.lines import Lines
from codex_actors.control.notes import Notes
from codex_actors.control.outbox import Outbox
from codex_actors.control.pieces import encode_in_pieces, is_long
from codex_actors.control.session import Answer, Notify

__all__ = ["Connection", "Report", "Shared"]

Report = Callable[[BaseException], None]

CHUNK = 64 * 2**10
# Seconds to send what is answered already when the server ends.
FAREWELL = 0.5
# Seconds between looks whether a client is still there whose requests are left unread.
LOOK = 0.5
# Seconds between looks at one that sends no more.
GLANCE = 0.05


@frozen
class Shared:
    """What the connections of one server share.

    Attributes:
        encoders: The threads that make long answers.
        turns: Who holds it may begin a request.
    """

    encoders: trio.CapacityLimiter
    turns: trio.StrictFIFOLock = Factory(trio.StrictFIFOLock)


@final
class Connection:
    """One client.

    Attributes:
        last_active: When it came, or was last answered, by the clock of Trio. What it sends does
            not count: somebody who never finishes a line is idle.
    """

    def __init__(
        self,
        stream: trio.SocketStream,
        answer: Answer,
        limits: Limits,
        report: Report,
        shared: Shared,
    ) -> None:
        self._stream = stream
        self._answer = answer
        self._limits = limits
        self._report = report
        self._encoders, self._turns = shared.encoders, shared.turns
        self._outbox = Outbox(notes=limits.outbox, room=limits.outbox_bytes)
        self._making = trio.StrictFIFOLock()
        self._long = 0  # answers that are being made by a thread, or wait for that
        self._made = trio.lowlevel.ParkingLot()
        self._beginning = trio.StrictFIFOLock()
        self._slots = trio.Semaphore(limits.in_flight)
        self._working = 0
        self._reading = False
        self._backlog = Backlog(count=limits.waiting, size=limits.line, line=limits.line)
        self._life = trio.CancelScope()
        self._writing = trio.CancelScope(shield=True)
        self.last_active = trio.current_time()

    @property
    def is_idle(self) -> bool:
        """Whether nothing that it asked for is under way, or waits to be read."""
        return not self._working and self._backlog.is_empty and self._outbox.is_empty

    @property
    def may_give_way(self) -> bool:
        """Whether it is idle, and has sent nothing that was not looked at yet."""
        return self.is_idle and not self._reading and not self._stream.socket.is_readable()

    def close(self) -> None:
        """End it, soon."""
        self._life.cancel()

    async def run(self) -> None:
        """Serve it until it goes, is closed, or stops reading.

        Cancelled, or closed, it cancels what is under way and sends what is answered already, for
        half a second at most.
        """
        async with trio.open_nursery() as writing:
            writing.start_soon(self._write)
            try:
                with self._life:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._start, nursery)
                        await self._read()
                        await self._finish()
                        nursery.cancel_scope.cancel()
            finally:
                self._outbox.close()
                self._writing.deadline = trio.current_time() + FAREWELL

    async def _read(self) -> None:
        """Take in what is asked, until the client sends no more."""
        lines = Lines(self._limits.line)
        while data := await self._receive():
            for line in lines.feed(data):
                self._backlog.add(line)
                if not await self._catch_up():
                    return
            self._reading = False

    async def _receive(self) -> bytes:
        await trio.lowlevel.wait_readable(self._stream.socket)
        self._reading = True  # receiving checkpoints when it has taken the data
        try:
            return await self._stream.receive_some(CHUNK)
        except trio.BrokenResourceError:
            return b""

    async def _catch_up(self) -> bool:
        """Wait until more may be read; False when the client has gone meanwhile."""
        while self._backlog.is_full:
            with trio.move_on_after(LOOK) as patience:
                await self._backlog.wait_taken()
            if patience.cancelled_caught and self._has_gone():
                return False
        return True

    async def _finish(self) -> None:
        """Answer what is asked already, as long as the client has closed its sending end only.

        That is how `echo ... | nc -U` asks.
        """
        # That it closes the other end, too, wakes nobody: the stream is readable already.
        while not self.is_idle and not self._has_gone():  # noqa: ASYNC110 - so it is looked at
            await trio.sleep(GLANCE)

    def _has_gone(self) -> bool:
        """Tell whether the other end is closed both ways, whatever is still unread."""
        poll = select.poll()
        poll.register(self._stream.socket.fileno(), 0)  # POLLHUP needs no asking
        return bool(poll.poll(0))

    async def _start(self, nursery: trio.Nursery) -> None:
        """Have what waits worked on, as far as there is room."""
        while True:
            await self._slots.acquire()
            await self._outbox.wait_room()
            task = await self._backlog.take()
            self._working += 1
            nursery.start_soon(self._work, task)

    async def _work(self, task: Task) -> None:
        gathering = task.gathering
        try:
            await self._wait_turn()
            document = await self._answer_one(task)
            line = None
            if document is not None:
                most = MAX_ANSWER - (gathering.size if gathering else 0)
                line = await self._make(task.item.id, document, most)
            if gathering is not None:
                line = gathering.add(line)
            if line is not None:
                self._outbox.put(line)
        finally:
            self._working -= 1
            self._slots.release()
            self.last_active = trio.current_time()

    async def _wait_turn(self) -> None:
        """Wait until a request may begin.

        One of all clients does in a pass of the event loop, so that many which each take long there
        do not keep all else waiting together. None does while a long answer of this client waits to
        be made, for there would soon be more of those.
        """
        async with self._beginning:
            while self._long:
                await self._made.park()
            async with self._turns:
                pass

    async def _answer_one(self, task: Task) -> dict[str, Any] | None:
        item = task.item
        if isinstance(item, Invalid):
            return failure(item.id, item.code, item.message)
        if item.method == CANCEL and not item.wants_answer:
            return None
        notes = Notes(self._outbox, item.id, self._report)
        document: dict[str, Any] | None = None
        try:
            if not task.scope.cancel_called:
                with task.scope:
                    document = await self._result(item, notes.tell)
        finally:
            notes.close()
            self._backlog.forget(task)
        if document is None:
            kind = OperationCancelled.__name__
            why = "the client gave it up"
            document = failure(item.id, OperationCancelled.code, why, {"kind": kind})
        return document if item.wants_answer else None

    async def _result(self, item: Incoming, notify: Notify) -> dict[str, Any]:
        """Have a request carried out; what comes of it, whatever that is, is a document.

        Cancellations, KeyboardInterrupt and SystemExit pass, also out of a group.
        """
        document: dict[str, Any] = {}
        try:
            document = success(item.id, await self._answer(item.method, item.params, notify))
        except* Exception as group:  # noqa: BLE001 - one request fails, and nothing else
            document = self._explain(item.id, group)
        return document

    def _explain(self, id_: Id, error: Exception) -> dict[str, Any]:
        """Return the answer that an error is; one that nobody foresaw is told by its class only."""
        error = _only(error)
        if isinstance(error, RequestFailed):
            return failure(id_, error.code, error.message, {"kind": error.kind, **error.data})
        self._report(error)
        kind = type(error).__name__
        return failure(id_, INTERNAL_ERROR, f"a defect: {kind}; see the log", {"kind": kind})

    async def _make(self, id_: Id, document: dict[str, Any], most: int) -> bytes:
        """Return an answer as a line.

        Does not checkpoint for a short one while there is room, so that an answer which ends this
        server is on its way. A long one is made by a thread, one at a time for each client.
        """
        try:
            if not is_long(document) and self._outbox.has_room:
                line = encode(document)
            else:
                line = await self._make_long(document)
        except (TypeError, ValueError) as error:
            return encode(self._explain(id_, error))
        if len(line) - 1 > most:
            why = f"the answer is {len(line):,} bytes long, which is too long: ask for less"
            return encode(failure(id_, RequestFailed.code, why, {"kind": "AnswerTooLong"}))
        return line

    async def _make_long(self, document: dict[str, Any]) -> bytes:
        self._long += 1
        try:
            async with self._making:
                await self._outbox.wait_room()
                return await trio.to_thread.run_sync(
                    encode_in_pieces, document, limiter=self._encoders, abandon_on_cancel=True
                )
        finally:
            self._long -= 1
            self._made.unpark_all()

    async def _write(self) -> None:
        """Send what waits; a client that reads nothing of it for too long is closed."""
        with self._writing:
            while (data := await self._outbox.take(CHUNK)) is not None:
                view = memoryview(data)
                for start in range(0, len(view), CHUNK):
                    if not await self._send(view[start : start + CHUNK]):
                        self._life.cancel()
                        return

    async def _send(self, data: memoryview) -> bool:
        with trio.move_on_after(self._limits.write_timeout):
            try:
                await self._stream.send_all(data)
            except trio.BrokenResourceError:
                return False
            return True
        return False


def _only(error: Exception) -> Exception:
    """Return what a group holds, if that is one error."""
    if not isinstance(error, ExceptionGroup):
        return error
    members = cast("ExceptionGroup[Exception]", error).exceptions
    return _only(members[0]) if len(members) == 1 else cast("Exception", error)
