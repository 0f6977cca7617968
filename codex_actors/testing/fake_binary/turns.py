"""Owns the turns of loaded threads: what is said, when, and how they end.

Invariant: a turn takes one step at a time, when it is due, so that requests are served meanwhile;
it ends with exactly one `turn/completed`. Files are read between `turn/started` and `item/started`
of the user's message, as measured. Must not know requests.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .documents import (
    agent_message,
    now_ms,
    rate_limits,
    token_usage,
    turn_document,
    user_message,
)
from .faults import Failure, Faults, Stall
from .identifiers import new_id
from .images import model_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .journal import Journal
    from .outlet import Outlet
    from .storage import Storage, Thread

__all__ = ["Loaded", "Turn", "Turns"]

Input = list[dict[str, Any]]


@dataclass
class Turn:
    """A turn that runs: its document, and what the model has not heard yet."""

    document: dict[str, Any]
    inputs: list[Input]
    steps: Iterator[float]
    began: float = field(default_factory=time.monotonic)
    due: float = 0.0
    stalled: bool = False
    said: Input = field(default_factory=list[dict[str, Any]])

    @property
    def id(self) -> str:
        """Its identifier."""
        return str(self.document["id"])


@dataclass
class Loaded:
    """A thread that this process has loaded; `late` waits for the end of its next turn."""

    thread: Thread
    turn: Turn | None = None
    interrupted: bool = False
    late: list[int | str] = field(default_factory=list[int | str])


class Turns:
    """The turns of one process."""

    def __init__(
        self,
        outlet: Outlet,
        storage: Storage,
        journal: Journal,
        *,
        faults: Faults,
        next_reply: Callable[[], str],
    ) -> None:
        self._outlet = outlet
        self._storage = storage
        self._journal = journal
        self._faults = faults
        self._next_reply = next_reply
        self.stuck = False

    def begin(self, loaded: Loaded, turn_id: str, given: Input) -> None:
        """Begin a turn."""
        turn = Turn(turn_document(turn_id), [given], iter(()))
        turn.steps = self._play(loaded, turn)
        loaded.turn = turn
        self.advance(loaded)

    def advance(self, loaded: Loaded) -> None:
        """Let a thread's turn take its next step, when it is due."""
        turn = loaded.turn
        if turn is None or turn.stalled or time.monotonic() < turn.due:
            return
        try:
            turn.due = time.monotonic() + next(turn.steps)
        except StopIteration:
            self.end(loaded, turn, "completed")
        except Stall:
            turn.stalled = True
        except Failure as failure:
            self._fail(loaded, turn, failure.message)

    def end(
        self, loaded: Loaded, turn: Turn, status: str, error: dict[str, Any] | None = None
    ) -> None:
        """End a turn: "completed", "interrupted" or "failed"."""
        thread = loaded.thread
        loaded.turn = None
        loaded.interrupted = status == "interrupted"
        turn.document |= {
            "status": status,
            "error": error,
            "completedAt": int(time.time()),
            "durationMs": round((time.monotonic() - turn.began) * 1000),
        }
        self._storage.save_turn(thread, _stored(turn))
        for id_ in loaded.late:
            self._outlet.answer(id_, {})
        loaded.late.clear()
        if status != "failed":
            self.status(thread.id, {"type": "idle"})
        said = [item for item in turn.said if item["type"] == "agentMessage"][-1:]
        view = {"items": said, "itemsView": "summary"} if status == "completed" else {}
        self._outlet.notify(
            "turn/completed", {"threadId": thread.id, "turn": {**turn.document, **view}}
        )

    def status(self, thread_id: str, status: dict[str, Any]) -> None:
        """Tell what a thread is doing."""
        self._outlet.notify("thread/status/changed", {"threadId": thread_id, "status": status})

    def tokens(self, thread: Thread) -> None:
        """Tell what a thread has taken so far."""
        if thread.last_turn is not None:
            usage = token_usage(thread.requests)
            self._outlet.notify(
                "thread/tokenUsage/updated",
                {"threadId": thread.id, "turnId": thread.last_turn, "tokenUsage": usage},
            )

    def _play(self, loaded: Loaded, turn: Turn) -> Iterator[float]:
        """Run a turn; what is yielded are seconds to wait."""
        thread_id = loaded.thread.id
        self.status(thread_id, {"type": "active", "activeFlags": []})
        yield self._faults.meet("turn/started")
        turn.document["startedAt"] = int(time.time())
        self._outlet.notify("turn/started", {"threadId": thread_id, "turn": turn.document})
        while turn.inputs:
            yield from self._listen(loaded.thread, turn, turn.inputs.pop(0))
            if not turn.inputs:
                yield from self._speak(loaded.thread, turn)
            if not turn.inputs:
                yield self._faults.meet("turn/completed")

    def _listen(self, thread: Thread, turn: Turn, given: Input) -> Iterator[float]:
        """Take what the user sent: the files are read here."""
        yield self._faults.meet("item/started:userMessage")
        try:
            parts, images = model_parts(given, self._journal)
        except Stall:
            self.stuck = True
            self._store(thread, turn)
            raise
        self._journal.record(
            "turn", thread_id=thread.id, turn_id=turn.id, parts=parts, images=images
        )
        thread.preview = thread.preview or "".join(_texts(given))
        item = user_message(new_id(), given)
        turn.said += [item] if given else []
        self._store(thread, turn)
        if given:
            self._item("item/started", thread, turn, item)
            yield self._faults.meet("item/completed:userMessage")
            self._item("item/completed", thread, turn, item)

    def _speak(self, thread: Thread, turn: Turn) -> Iterator[float]:
        """Say what the model says."""
        yield self._faults.meet("item/started:agentMessage")
        item = agent_message(f"msg_{new_id()}", self._next_reply())
        self._item("item/started", thread, turn, item)
        yield self._faults.meet("item/completed:agentMessage")
        self._item("item/completed", thread, turn, item)
        turn.said.append(item)
        thread.requests += 1
        self._store(thread, turn)
        self.tokens(thread)
        self._outlet.notify("account/rateLimits/updated", rate_limits())

    def _store(self, thread: Thread, turn: Turn) -> None:
        thread.updated_at = int(time.time())
        thread.last_turn = turn.id
        self._storage.save(thread)
        self._storage.save_turn(thread, _stored(turn))

    def _item(self, method: str, thread: Thread, turn: Turn, item: dict[str, Any]) -> None:
        at = "startedAtMs" if method == "item/started" else "completedAtMs"
        self._outlet.notify(
            method, {"item": item, "threadId": thread.id, "turnId": turn.id, at: now_ms()}
        )

    def _fail(self, loaded: Loaded, turn: Turn, message: str) -> None:
        error = {
            "message": message,
            "codexErrorInfo": "other",
            "additionalDetails": None,
            "misalignment": None,
        }
        thread_id = loaded.thread.id
        self.status(thread_id, {"type": "systemError"})
        self._outlet.notify(
            "error", {"error": error, "willRetry": False, "threadId": thread_id, "turnId": turn.id}
        )
        self.end(loaded, turn, "failed", error)


def _stored(turn: Turn) -> dict[str, Any]:
    return {**turn.document, "items": turn.said, "itemsView": "full"}


def _texts(given: Input) -> Iterable[str]:
    return (item["text"] for item in given if item["type"] == "text")
