"""Owns what becomes of one turn, as codex tells it.

Invariant: hears without waiting, so that the reader goes on; what belongs to another turn of the
thread is not taken for this one's; `over` is set once, when the turn has ended or nothing more can
be known of it. Must not know requests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast, final

import trio

from codex_actors.codex.events import (
    ErrorReported,
    Event,
    Item,
    ItemCompleted,
    ItemStarted,
    ThreadStarted,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
    UnknownEvent,
    Usage,
)

if TYPE_CHECKING:
    from codex_actors.codex.app_server.wire import Notification

__all__ = ["Turn"]

_CAPITAL = re.compile("(?<!^)([A-Z])")
_COUNTERS = {
    "input_tokens": "inputTokens",
    "cached_input_tokens": "cachedInputTokens",
    "cache_write_input_tokens": "cacheWriteInputTokens",
    "output_tokens": "outputTokens",
    "reasoning_output_tokens": "reasoningOutputTokens",
}
_TOKENS = "thread/tokenUsage/updated"


@final
class Turn:
    """One turn of a thread.

    Attributes:
        id: What codex calls it; None until it has said so.
        events: What was told, in order.
        status: "completed", "failed", "interrupted"; None while it is under way or not known.
        failure: Why it failed, in codex's words.
        started: Set when codex has taken it up, before which it cannot be interrupted, or never
            will.
        arrived: Whether codex has read the images of the prompt, and put the prompt on record.
        settled: Set when it has, or never will.
        over: Set when nothing more will be heard.
    """

    def __init__(self, thread_id: str) -> None:
        self.id: str | None = None
        self.events: list[Event] = [ThreadStarted(thread_id)]
        self.status: str | None = None
        self.failure = ""
        self.started = trio.Event()
        self.arrived = False
        self.settled = trio.Event()
        self.over = trio.Event()
        self._usage = Usage()
        self._total: dict[str, object] = {}

    def hear(self, notification: Notification) -> None:
        """Take in what codex tells of the thread."""
        method, params = notification.method, notification.params
        turn: object = params.get("turn")
        told = cast("dict[str, Any]", turn) if isinstance(turn, dict) else {}
        id_ = params.get("turnId", told.get("id"))
        if method == "turn/started" and self.id is None:
            self.id = id_
        if self.over.is_set() or id_ is None or id_ != self.id:
            return
        # Whatever is told of it says that it has begun.
        self.started.set()
        if method == "turn/started":
            self.events.append(TurnStarted())
        elif method == "turn/completed":
            self._complete(told)
        elif method == _TOKENS:
            self._count(params.get("tokenUsage"))
        elif not method.lower().endswith("delta"):
            self.events.append(self._event(method, params))

    def lose(self) -> None:
        """Take in that the conversation has ended."""
        self._end()

    def _event(self, method: str, params: dict[str, Any]) -> Event:
        match method, params:
            case "item/started", {"item": {"id": str(id_), "type": str(type_)}}:
                if type_ == "userMessage":
                    self.arrived = True
                    self.settled.set()
                return ItemStarted(_item(id_, type_, params["item"]))
            case "item/completed", {"item": {"id": str(id_), "type": str(type_)}}:
                return ItemCompleted(_item(id_, type_, params["item"]))
            case "error", {"error": {"message": str(message)}}:
                return ErrorReported(message)
            case _:
                return UnknownEvent(method, params)

    def _complete(self, told: dict[str, Any]) -> None:
        self.status = str(told.get("status"))
        match told.get("error"):
            case {"message": str(message)}:
                self.failure = message
            case _:
                pass
        if self.status == "completed":
            self.events.append(TurnCompleted(self._usage))
        else:
            self.events.append(TurnFailed(self.failure or self.status))
        self._end()

    def _end(self) -> None:
        self.over.set()
        # Whoever waits for one of these must not wait for ever.
        self.started.set()
        self.settled.set()

    def _count(self, told: object) -> None:
        """Add up what each answer of the model took: codex itself sums over the whole thread."""
        match told:
            case {"total": dict(), "last": dict()}:
                counted = cast("dict[str, dict[str, object]]", told)
                if counted["total"] == self._total:
                    return
                self._total = counted["total"]
                added = {name: counted["last"].get(key) for name, key in _COUNTERS.items()}
                self._usage = Usage(
                    **{
                        name: getattr(self._usage, name) + (value if isinstance(value, int) else 0)
                        for name, value in added.items()
                    }
                )
            case _:
                pass


def _item(id_: str, type_: str, data: dict[str, Any]) -> Item:
    """Return an item; its type is written as `codex exec` writes it."""
    text = data.get("text", "")
    return Item(
        id=id_,
        type=_CAPITAL.sub(r"_\1", type_).lower(),
        text=text if isinstance(text, str) else "",
        data=data,
    )
