"""Owns the log: what happens, from handlers of events to lines.

Invariant: nothing here blocks or raises; what is below the level costs no line. Must not know where
the lines go.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from codex_actors import ChildCleanupFailed, ChildExited, ChildStartFailed, HandlerDetached
from codex_actors.telemetry.levels import Level, level_of_file_event, level_of_tree_event
from codex_actors.telemetry.lines import LogFormat, Record, format_record, traceback_of

if TYPE_CHECKING:
    from codex_actors import Event
    from codex_actors.files import Event as FileEvent

__all__ = ["Log"]


class Log:
    """Turns events, and what a program has to say itself, into lines.

    Args:
        write: Takes each line, its end included; it must not block.
        form: How lines look.
        level: The least that is logged.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        form: LogFormat = "text",
        level: Level = Level.INFO,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self.form: LogFormat = form
        self._level = level
        self._clock = clock

    def tree_event(self, event: "Event") -> None:
        """Log what happened in a supervision tree: a handler for `on_event`."""
        level = level_of_tree_event(event)
        if level < self._level:
            return
        error = _error_of(event) if level >= Level.ERROR else None
        self._log(level, event.kind, str(event), event.to_dict(), error)

    def file_event(self, event: "FileEvent") -> None:
        """Log what happened to files: a handler for `Files.events`."""
        level = level_of_file_event(event)
        if level < self._level:
            return
        fields = {**event.measurements, **event.metadata}
        self._log(level, event.name, str(event), fields, None)

    def say(
        self,
        level: Level,
        event: str,
        message: str,
        *,
        error: BaseException | None = None,
        **fields: Any,
    ) -> None:
        """Log what the program itself has to say.

        Args:
            level: What it is worth.
            event: What kind of thing it is, for programs.
            message: One line, for people.
            error: Whose traceback to show.
            fields: What programs want to know of it.
        """
        if level >= self._level:
            self._log(level, event, message, fields, error)

    def draw(self, lines: list[str], event: str, **fields: Any) -> None:
        """Write what somebody asked to see, whatever the level: lines for people, one document.

        Args:
            lines: What it looks like; without what would steer a terminal.
            event: What kind of thing it is, for programs.
            fields: What programs get in place of the lines.
        """
        if self.form == "text":
            self._write("".join(f"{line}\n" for line in lines))
        else:
            self._log(Level.INFO, event, event, fields, None)

    def dropped(self, count: int) -> str:
        """Return the line that tells how many there is no trace of: for `LineWriter`."""
        return self._format(
            Level.WARNING,
            "log_dropped",
            f"{count} log lines were dropped: nobody read them in time",
            {"count": count},
            None,
        )

    def _log(
        self,
        level: Level,
        event: str,
        message: str,
        fields: dict[str, Any],
        error: BaseException | None,
    ) -> None:
        self._write(self._format(level, event, message, fields, error))

    def _format(
        self,
        level: Level,
        event: str,
        message: str,
        fields: dict[str, Any],
        error: BaseException | None,
    ) -> str:
        record = Record(
            time=self._clock(),
            level=level,
            event=event,
            message=message,
            fields=fields,
            traceback=traceback_of(error),
        )
        return format_record(record, self.form)


def _error_of(event: "Event") -> BaseException | None:
    match event:
        case ChildExited(reason=reason) | ChildStartFailed(reason=reason):
            return reason.error
        case ChildCleanupFailed(error=error) | HandlerDetached(error=error):
            return error
        case _:
            return None
