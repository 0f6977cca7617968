"""Monitors: being told once when the current incarnation of another place ends."""

from typing import TYPE_CHECKING, final

import trio

from .messages import Down

if TYPE_CHECKING:
    from .actor_life import ActorLife
    from .exits import ExitReason
    from .incarnation import Incarnation
    from .place import Place


@final
class Monitor:
    """One watch of one incarnation (OTP's `erlang:monitor/2`), got from `Actor.monitor`.

    Ends with the incarnation that watches, with the one that is watched, or by `cancel`.
    """

    __slots__ = ("_target", "_watched", "_watcher")

    def __init__(self, watcher: "ActorLife", target: "Place") -> None:
        self._watcher = watcher
        self._target = target
        self._watched: Incarnation | None = target.life
        if self._watched is None:
            self._tell(target.last_reason)
        else:
            self._watched.watch(self, self._tell)

    def _tell(self, reason: "ExitReason") -> None:
        self._watched = None
        self._watcher.tell(self, Down(self._target.ref, reason))
        self._watcher.monitors.pop(self, None)

    @trio.lowlevel.enable_ki_protection
    def cancel(self) -> None:
        """Take it back: no `Down` will be handled, also when it is already queued."""
        if self._watched is not None:
            self._watched.unwatch(self)
            self._watched = None
            self._watcher.monitors.pop(self, None)
        self._watcher.untell(self)
