"""Owns the methods of threads: start, resume, fork, archive, and turns of those that are loaded.

Invariant: a thread is loaded by one process at a time; a turn runs only in a loaded one. What a
method returns is the answer, and what follows it. Must not know the wire.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .arguments import absolute
from .documents import resumed_document, settings_document, thread_document, turn_document
from .identifiers import checked_id, new_id
from .storage import Thread
from .turns import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .outlet import Outlet
    from .storage import Storage
    from .turns import Turns

__all__ = ["Answer", "Refused", "ThreadMethods", "nothing"]

_DEPRECATED = (
    "Full-history hydration is deprecated for paginated threads; use `excludeTurns: true`, then "
    "page with `thread/turns/list` and `thread/items/list`."
)

Answer = tuple[dict[str, Any], "Callable[[], None]"]
"""What a request is answered with, and what happens after it was."""


class Refused(Exception):
    """A request that codex understands and refuses with -32600; the message is codex's."""


def nothing() -> None:
    """Follow an answer by nothing."""


class ThreadMethods:
    """The threads of one process."""

    def __init__(
        self,
        config: dict[str, Any],
        home: Path,
        storage: Storage,
        outlet: Outlet,
        turns: Turns,
    ) -> None:
        self._config = config
        self._home = home
        self._storage = storage
        self._outlet = outlet
        self._turns = turns
        self.loaded: dict[str, Loaded] = {}
        self.originator = ""
        self.experimental = False

    def start(self, params: dict[str, Any]) -> Answer:
        """`thread/start`."""
        given: dict[str, Any] = params.get("config") or {}
        config = {**self._config, **given}
        thread = Thread(
            cwd=absolute(params.get("cwd")),
            model=str(params.get("model") or config.get("model", "gpt-5")),
            provider=str(config.get("model_provider", "openai")),
            sandbox=str(params.get("sandbox") or config.get("sandbox_mode", "read-only")),
            approval=str(params.get("approvalPolicy") or "on-request"),
            ephemeral=bool(params.get("ephemeral")),
        )
        self._storage.lock(thread.id)
        self.loaded[thread.id] = Loaded(thread)
        return self._opened(thread, whole=False), lambda: self._started(thread)

    def resume(self, params: dict[str, Any]) -> Answer:
        """`thread/resume`: loads the thread when this process has not done so."""
        thread_id = checked_id(params["threadId"], "session id")
        thread = self._stored(thread_id)
        if self._storage.is_archived(thread_id):
            raise Refused(
                f"session {thread_id} is archived. Run `codex unarchive {thread_id}` to unarchive "
                "it first."
            )
        if not self._storage.lock(thread_id):
            raise Refused(f"thread {thread_id} already has an active writer")
        whole = self._whole(params)
        known = thread_id in self.loaded
        if not known:
            self.loaded[thread_id] = Loaded(thread)
            self._turns.status(thread_id, {"type": "idle"})

        def then() -> None:
            if whole or not known:
                self._turns.tokens(thread)
            self._outlet.notify("thread/goal/cleared", {"threadId": thread_id})

        return {**self._opened(thread, whole=whole), **resumed_document(thread)}, then

    def fork(self, params: dict[str, Any]) -> Answer:
        """`thread/fork`: the copy is stored at once, with its turns and attachments."""
        source = self._stored(checked_id(params["threadId"], "session id"))
        thread = Thread(
            cwd=absolute(params.get("cwd") or source.cwd),
            model=str(params.get("model") or source.model),
            provider=source.provider,
            sandbox=str(params.get("sandbox") or source.sandbox),
            approval=source.approval,
            forked_from=source.id,
            requests=source.requests,
            last_turn=source.last_turn,
        )
        whole = self._whole(params)
        self._storage.lock(thread.id)
        self._storage.copy(source.id, thread)
        self.loaded[thread.id] = Loaded(thread)

        def then() -> None:
            if whole:
                self._turns.tokens(thread)
            self._started(thread)

        return self._opened(thread, whole=whole), then

    def archive(self, params: dict[str, Any]) -> Answer:
        """`thread/archive`."""
        thread_id = checked_id(params["threadId"], "session id")
        if not self._storage.archive(thread_id):
            raise Refused(f"no rollout found for thread id {thread_id}")
        if self.loaded.pop(thread_id, None) is not None:
            self._storage.unlock(thread_id)
            self._turns.status(thread_id, {"type": "notLoaded"})
        return {}, lambda: self._outlet.notify("thread/archived", {"threadId": thread_id})

    def start_turn(self, params: dict[str, Any]) -> Answer:
        """`turn/start`: begins a turn, or speaks into the one that runs."""
        for name in ("additionalContext", "responsesapiClientMetadata"):
            if name in params and not self.experimental:
                raise Refused(f"turn/start.{name} requires experimentalApi capability")
        loaded = self._of(params)
        given: list[dict[str, Any]] = params["input"]
        for item in given:
            if item["type"] == "image" and str(item.get("url")).startswith(("http:", "https:")):
                raise Refused("remote image URLs are not supported; use an inline data URL instead")
        if loaded.turn is not None:
            loaded.turn.inputs.append(given)
            return {"turn": turn_document(loaded.turn.id)}, nothing
        turn_id = new_id()
        answer = {"turn": turn_document(turn_id)}
        return answer, lambda: self._turns.begin(loaded, turn_id, given)

    def interrupt_turn(self, id_: int | str, params: dict[str, Any]) -> Answer | None:
        """`turn/interrupt`; None when it is answered at the end of the thread's next turn."""
        loaded = self._of(params)
        turn = loaded.turn
        if turn is None and loaded.interrupted:
            loaded.late.append(id_)
            return None
        if turn is None:
            raise Refused("no active turn to interrupt")
        if params["turnId"] != turn.id:
            raise Refused(f"expected active turn id {params['turnId']} but found {turn.id}")
        return {}, lambda: self._turns.end(loaded, turn, "interrupted")

    def _of(self, params: dict[str, Any]) -> Loaded:
        thread_id = checked_id(params["threadId"], "thread id")
        if thread_id not in self.loaded:
            raise Refused(f"thread not found: {thread_id}")
        return self.loaded[thread_id]

    def _stored(self, thread_id: str) -> Thread:
        thread = self._storage.find(thread_id)
        if thread is None:
            raise Refused(f"no rollout found for thread id {thread_id}")
        return thread

    def _whole(self, params: dict[str, Any]) -> bool:
        """Tell whether the history is asked for, which codex would rather not send."""
        if params.get("excludeTurns"):
            return False
        self._outlet.notify("deprecationNotice", {"summary": _DEPRECATED, "details": None})
        return True

    def _opened(self, thread: Thread, *, whole: bool) -> dict[str, Any]:
        turns = self._storage.turns(thread.id) if whole else []
        running = self.loaded[thread.id].turn
        for turn in turns:
            if turn["status"] == "inProgress" and (running is None or running.id != turn["id"]):
                turn["status"] = "interrupted"
        return {"thread": self._document(thread, turns), **settings_document(thread)}

    def _started(self, thread: Thread) -> None:
        self._outlet.notify("thread/started", {"thread": self._document(thread, [])})

    def _document(self, thread: Thread, turns: list[dict[str, Any]]) -> dict[str, Any]:
        created = datetime.fromtimestamp(thread.created_at, UTC)
        path = self._home / f"{created:sessions/%Y/%m/%d}"
        name = f"rollout-{created:%Y-%m-%dT%H-%M-%S}-{thread.id}.jsonl"
        return thread_document(
            thread,
            originator=self.originator,
            path=None if thread.ephemeral else str(path / name),
            turns=turns,
        )
