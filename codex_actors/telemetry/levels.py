"""Owns how much an event matters.

Invariant: a table; what it does not list is worth an information. Whatever needs a person is an
error or a warning, whatever every staging does many times is for debugging. Pure.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

from codex_actors import ChildExited, ChildStarted, ChildStartFailed, ExitKind

if TYPE_CHECKING:
    from codex_actors import Event
    from codex_actors.files import Event as FileEvent

__all__ = ["Level", "level_of_file_event", "level_of_tree_event"]


class Level(IntEnum):
    """What a line is worth; the numbers are those of `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40

    @classmethod
    def of(cls, name: str) -> "Level":
        """Return the level of a lower-case name."""
        return cls[name.upper()]


_TREE = {
    "child_cleanup_failed": Level.ERROR,
    "child_restarting": Level.WARNING,
    "child_shutdown_error": Level.WARNING,
    "child_start_ignored": Level.DEBUG,
    "child_unresponsive": Level.WARNING,
    "cast_unhandled": Level.WARNING,
    "handler_detached": Level.ERROR,
    "info_dropped": Level.WARNING,
    "restart_intensity_reached": Level.ERROR,
    "restart_intensity_unreachable": Level.WARNING,
}

_FILES = {
    "codex.attachment.failed": Level.WARNING,
    "codex.attachment.quarantined": Level.ERROR,
    "codex.handler.detached": Level.ERROR,
    "codex.operation.failed": Level.WARNING,
    "codex.upload.exception": Level.WARNING,
    "codex.upload.progress": Level.DEBUG,
    "codex.upload.retry": Level.WARNING,
}


def level_of_tree_event(event: "Event") -> Level:
    """Return what an event of the supervision tree is worth."""
    match event:
        case ChildStarted(incarnation=incarnation):
            return Level.DEBUG if incarnation == 1 else Level.INFO
        case ChildExited(reason=reason) | ChildStartFailed(reason=reason):
            return Level.ERROR if reason.kind is ExitKind.CRASH else Level.DEBUG
        case _:
            return _TREE.get(event.kind, Level.INFO)


def level_of_file_event(event: "FileEvent") -> Level:
    """Return what an event of the files is worth; a sweep without a find is for debugging."""
    if event.name == "codex.sweep.stop":
        removed, failed = event.measurements.get("count"), event.measurements.get("failed")
        return Level.WARNING if failed else Level.INFO if removed else Level.DEBUG
    return _FILES.get(event.name, Level.INFO)
