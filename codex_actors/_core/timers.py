"""Timers of an actor: an info after a time, once or again and again."""

from collections.abc import Callable
from typing import TYPE_CHECKING, final

import trio

from .events import InfoDropped

if TYPE_CHECKING:
    from .actor_life import ActorLife
    from .deadlines import Deadline
    from .messages import Info


@final
class Timer:
    """A running timer, got from `Actor.send_after` or `Actor.send_interval`.

    Ends with the incarnation that set it.
    """

    __slots__ = ("_deadline", "_due", "_info", "_interval", "_life")

    def __init__(
        self, life: "ActorLife", info: "Info", seconds: float, interval: float | None
    ) -> None:
        self._life = life
        self._info = info
        self._interval = interval
        self._due = trio.current_time() + seconds
        self._deadline: Deadline | None = self._schedule(self._fire)

    def _schedule(self, fire: Callable[[], None]) -> "Deadline":
        return self._life.place.tree.deadlines.add(self._due, fire)

    def _fire(self) -> None:
        if self._interval is None:
            self._deadline = None
            self._life.timers.pop(self, None)
            self._life.tell(self, self._info)
            return
        # From the due time, not from now: an interval does not drift.
        now = trio.current_time()
        self._due = max(self._due + self._interval, now)
        self._deadline = self._schedule(self._fire)
        if self._life.is_told(self):
            place = self._life.place
            place.tree.hub.emit(
                InfoDropped(
                    path=place.path,
                    info=type(self._info).__name__,
                    why="the tick before it still waits",
                )
            )
        else:
            self._life.tell(self, self._info)

    @trio.lowlevel.enable_ki_protection
    def cancel(self) -> None:
        """Stop it; what it has already queued is taken back too.  Calling it twice is fine."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._life.timers.pop(self, None)
        self._life.untell(self)
