"""Owns the conversation with one app-server process: requests, answers, what is told unasked.

Invariant: every request gets its answer, or an error as soon as the conversation has ended; a line
is sent wholly or not at all, whoever is cancelled; codex's own requests are answered at once. The
reader never waits for anybody: what is told unasked is handed to listeners that do not block. Must
not know threads, turns or attachments.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Protocol, final

import trio

from codex_actors.codex.app_server.approvals import answer_to
from codex_actors.codex.app_server.wire import (
    Damaged,
    Failure,
    Noise,
    Notification,
    Result,
    ServerRequest,
    encode,
    parse_line,
)
from codex_actors.codex.errors import CodexDied, CodexError, RequestRefused
from codex_actors.codex.lines import LineTooLong

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_actors.codex.lines import Tail
    from codex_actors.codex.process import CodexProcess

__all__ = ["REQUEST_TIMEOUT", "Connection", "Listener", "Pending"]

REQUEST_TIMEOUT = 60.0
"""Seconds within which codex answers what it does not have to ask the model for."""
GREETING_TIMEOUT = 20.0
STATUS_TIMEOUT = 1.0
"""Seconds to learn the exit status of a process whose output has ended."""
MAX_OWED = 256
"""Answers that codex has asked for and not yet read."""
STDERR_SHOWN = 4_000
EXCERPT = 200
EXCERPT_READ = 64 * 2**10


class Listener(Protocol):
    """Who wants to know what codex tells of one thread."""

    def hear(self, notification: Notification) -> None:
        """Take in what was told; must not block."""
        ...

    def lose(self) -> None:
        """Take in that nothing more will be told; must not block."""
        ...


@final
class Pending:
    """A request under way.

    Attributes:
        sent: Whether codex will see it.
        settled: Set when there is an answer, or will never be one.
        answer: None while, or because, there is none.
    """

    def __init__(self, id_: int, method: str) -> None:
        self.id = id_
        self.method = method
        self.sent = False
        self.settled = trio.Event()
        self.answer: Result | Failure | None = None


@final
class Connection:
    """One conversation, from the start of a process to its end.

    Attributes:
        number: Which one it is, counted from 1: a thread is loaded in one of them.
        ending: Whether it is about to end: nothing more is heard of codex.
        ended: Set when nothing more will be answered.
        gone: Set when the process, and all that it had started, has ended.
    """

    def __init__(
        self, number: int, process: CodexProcess, tail: Tail, redact: Callable[[str], str]
    ) -> None:
        self.number = number
        self.redact = redact
        self.ending = False
        self.ended = trio.Event()
        self.gone = trio.Event()
        self._process = process
        self._tail = tail
        self._ids = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self._listeners: dict[str, Listener] = {}
        self._writing = trio.Lock()
        self._outbox, self._to_write = trio.open_memory_channel[bytes](0)
        self._owed, self._to_answer = trio.open_memory_channel[bytes](MAX_OWED)
        self._greeted = False
        self._noise = ""
        self._why = ""
        self._status: int | None = None

    async def request(
        self, method: str, params: dict[str, Any], *, timeout: float = REQUEST_TIMEOUT
    ) -> Any:
        """Ask, and wait for the result. Cancelled, codex may still do what was asked.

        Raises:
            RequestRefused: Codex refused it.
            CodexDied: The conversation ended first.
            CodexError: Nothing came within `timeout` seconds.
        """
        pending = self.begin(method)
        try:
            with trio.move_on_after(timeout):
                await self.send(pending, params)
                await pending.settled.wait()
            return self.result(pending)
        finally:
            self.forget(pending)

    def begin(self, method: str) -> Pending:
        """Return a request that has not been sent; it must be forgotten in the end."""
        pending = Pending(next(self._ids), method)
        self._pending[pending.id] = pending
        if self.ended.is_set():
            pending.settled.set()
        return pending

    async def send(self, pending: Pending, params: dict[str, Any]) -> None:
        """Send a request, which waits for what is being sent before it; cancelled, it is not sent.

        Raises:
            CodexDied: The conversation has ended.
            ValueError: `params` holds what JSON has no form for.
        """
        line = encode({"id": pending.id, "method": pending.method, "params": params})
        await self._post(line, pending.method)
        pending.sent = True

    def result(self, pending: Pending) -> Any:
        """Return what a request that was waited for has come to; see `request`."""
        match pending.answer:
            case Result(_, value):
                return value
            case Failure(_, code, message):
                refusal = f"codex refused {pending.method}: {self.redact(message)}"
                raise RequestRefused(refusal, code=code)
            case None if pending.settled.is_set():
                raise self.lost(pending.method)
            case None:
                raise self.error(f"codex did not answer {pending.method} in time")

    def forget(self, pending: Pending) -> None:
        """Expect no answer any more: one that still comes is ignored."""
        self._pending.pop(pending.id, None)

    def listen(self, thread_id: str, listener: Listener) -> None:
        """Have a listener told what codex tells of a thread.

        Raises:
            CodexError: Another one listens: the thread has a turn under way.
        """
        if thread_id in self._listeners:
            raise CodexError(
                f"thread {thread_id} runs a turn already: wait for it, or use one `Thread` for both"
            )
        self._listeners[thread_id] = listener
        if self.ended.is_set():
            listener.lose()

    def ignore(self, thread_id: str) -> None:
        """Stop telling of a thread."""
        self._listeners.pop(thread_id, None)

    async def greet(self, params: dict[str, Any]) -> None:
        """Shake hands; until then, what is no message is kept for the error that may follow.

        Raises:
            CodexError: It is no codex that answers, or none that can be worked with.
        """
        await self.request("initialize", params, timeout=GREETING_TIMEOUT)
        await self._post(encode({"method": "initialized"}), "initialized")
        self._greeted = True

    async def converse(self) -> None:
        """Read and write until the conversation ends. Never fails."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, self._to_write)
            nursery.start_soon(self._write, self._to_answer)
            why = await self._read()
            nursery.cancel_scope.cancel()
        if not why:
            with trio.move_on_after(STATUS_TIMEOUT):
                self._status = await self._process.wait()
        self.close(why or "the codex app-server ended by itself")

    def close(self, why: str) -> None:
        """End the conversation: whoever waits is told why, at once. Again is harmless."""
        if self.ended.is_set():
            return
        self._why = why
        self.ending = True
        self.ended.set()
        for channel in (self._outbox, self._to_write, self._owed, self._to_answer):
            channel.close()
        for pending in self._pending.values():
            pending.settled.set()
        for listener in self._listeners.values():
            listener.lose()

    def lost(self, method: str = "") -> CodexDied:
        """Return the error of whoever wants something after the end."""
        status = "" if self._status is None else f" (exit status {self._status})"
        what = f" before it answered {method}" if method else ""
        return CodexDied(
            f"{self._why}{status}{what}{self._noise}",
            exit_code=self._status,
            stderr=self.stderr(),
        )

    def error(self, message: str) -> CodexError:
        """Return an error that shows the end of what codex wrote to standard error."""
        return CodexError(f"{message}{self._noise}", stderr=self.stderr())

    def stderr(self) -> str:
        """Return the end of what codex wrote to standard error, secrets replaced."""
        return self.redact(self._tail.text())[-STDERR_SHOWN:]

    async def _post(self, line: bytes, method: str) -> None:
        try:
            await self._outbox.send(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self.lost(method) from None

    async def _write(self, lines: trio.MemoryReceiveChannel[bytes]) -> None:
        # A codex that reads no more is about to end: the reader learns how.
        try:
            async for line in lines:
                async with self._writing:
                    await self._process.stdin.send_all(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _read(self) -> str:
        """Take in lines until there are no more; return why that was broken off, if it was."""
        why = ""
        try:
            while not why and (line := await self._process.stdout.next_line()) is not None:
                why = self._take(line)
        except LineTooLong as error:
            why = f"the codex app-server printed {error}, and was ended"
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # as if it had ended
        self.ending = True
        return why

    def _take(self, line: bytes) -> str:
        """Take in one line; return why the conversation cannot go on, if so."""
        try:
            message = parse_line(line)
        except Damaged as damage:
            return (
                f"the codex app-server printed a damaged message ({damage}), and was ended: "
                f"{self._excerpt(line)}"
            )
        match message:
            case Result() | Failure():
                # Unknown: whoever had asked has given up.
                if (pending := self._pending.get(message.id)) is not None:
                    pending.answer = message
                    pending.settled.set()
            case Notification():
                listener = self._listeners.get(str(message.params.get("threadId")))
                if listener is not None:
                    listener.hear(message)
            case ServerRequest():
                try:
                    self._owed.send_nowait(encode(answer_to(message)))
                except trio.WouldBlock:
                    return f"the codex app-server asked {MAX_OWED} things and read no answer"
            case Noise():
                if not self._greeted and line.strip():
                    self._noise = f"; it printed {self._excerpt(line)}: is it codex?"
        return ""

    def _excerpt(self, line: bytes) -> str:
        # Redacted before it is cut: a cut secret would not be recognised.
        text = self.redact(line[:EXCERPT_READ].decode(errors="replace"))
        return repr(text[:EXCERPT])
