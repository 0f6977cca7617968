"""Owns how the end of the process is told to those who wait for it.

Invariant: on a terminal one line counts every second and is gone at the end; elsewhere there is a
log line at the beginning, one every few seconds, one at the end. Each names what is waited for.
Must not know how the end comes about.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, final

from codex_actors.telemetry.levels import Level
from codex_actors.telemetry.log import Log

__all__ = ["Countdown", "waited_for"]

_EVERY = 5
_NAMED = 4
_STATUS_WIDTH = 79


@final
class Countdown:
    """Tells how long is left, and for what; seconds are `math.inf` when there is no deadline.

    Args:
        log: Where lines go.
        show: Sets the last line of the terminal; None when there is no terminal.
    """

    def __init__(self, log: Log, show: Callable[[str], object] | None) -> None:
        self._log = log
        self._show = show
        self._seconds = 0

    def begin(self, what: str, left: float, waiting: Sequence[str]) -> None:
        """The end has begun, or goes on in a harsher manner."""
        self._seconds = 0
        limit = "" if math.isinf(left) else f": at most {left:.3g} s"
        message = f"{what}{limit}{_names(waiting)}"
        self._say(what, message, left, waiting)

    def tick(self, what: str, left: float, waiting: Sequence[str]) -> None:
        """A second has passed."""
        self._seconds += 1
        limit = "" if math.isinf(left) else f": {max(0, math.ceil(left))} s left"
        message = f"{what}{limit}{_names(waiting)}"
        if self._show is not None:
            self._show(message[:_STATUS_WIDTH])
        elif self._seconds % _EVERY == 0:
            self._say(what, message, left, waiting)

    def overdue(self, what: str, timeout: float) -> None:
        """The time is over: what follows is told by `begin`."""
        message = f"{what}: not done within {timeout:g} s"
        self._log.say(Level.WARNING, "overdue", message, timeout=timeout)

    def end(self) -> None:
        """All is gone."""
        if self._show is not None:
            self._show("")

    def _say(self, what: str, message: str, left: float, waiting: Sequence[str]) -> None:
        event = what.replace(" ", "_")
        self._log.say(Level.INFO, event, message, seconds_left=round(left, 3), waiting_for=waiting)


def waited_for(snapshot: Mapping[str, Any], name: str) -> list[str]:
    """Return the paths of the innermost children that are stopping, or are to be stopped next.

    Args:
        snapshot: What `Snapshot.to_dict` gave, of the root.
        name: What the root is called.
    """
    return [path or name for path in _stopping(snapshot)]


def _stopping(node: Mapping[str, Any]) -> Iterator[str]:
    below = [path for child in node["children"] for path in _stopping(child)]
    if below:
        yield from below
    elif node["state"] == "stopping":
        left = [child["path"] for child in node["children"] if child["state"] != "terminated"]
        yield from left or [node["path"]]


def _names(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f", waiting for {', '.join(names[:_NAMED])}{more}"
