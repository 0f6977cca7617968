"""How uploads look while they run: bars on a terminal, a line for each change of state elsewhere.

Notes of the requests in, as supervisors tell them; nothing here raises, for it is called by whoever
reads the socket.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from codex_actors.cli.output import console, is_live, is_quiet, notice
from codex_actors.cli.units import human_bytes
from codex_actors.cli.views import pace_text
from codex_actors.telemetry.text import visible

Note = dict[str, Any]

_WIDE = 72  # a terminal that has room for how much was sent beside a bar


class Shown(Protocol):
    """One upload that is shown."""

    def note(self, note: Note) -> None:
        """It has come further."""

    def end(self, how: str) -> None:
        """It has ended."""


class Display(Protocol):
    """What uploads are shown on."""

    def begin(self, name: str) -> Shown:
        """Show one more."""
        ...


@contextmanager
def open_display() -> Generator[Display]:
    """Show uploads on stderr while a block runs: nothing with quiet."""
    if is_quiet() or not is_live(sys.stderr):
        yield _Lines()
        return
    with bars_on(console(stderr=True)) as progress:
        yield Bars(progress)


def bars_on(terminal: Console) -> Progress:
    """Return what draws bars there; names give way to them, however narrow it is."""
    name = Column(no_wrap=True, overflow="ellipsis", max_width=max(8, terminal.width // 4))
    columns = (
        TextColumn("{task.description}", markup=False, table_column=name),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[text]}", markup=False),
    )
    return Progress(*columns, console=terminal, transient=True)


class _Lines:
    """Lines, which `notice` leaves out with quiet."""

    def begin(self, name: str) -> Shown:
        return _Line(name)


class _Line:
    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: set[str] = set()

    def note(self, note: Note) -> None:
        state = note["state"]
        if state == "retry":
            self._tell(retry_text(note))
        elif state not in self._seen:
            self._seen.add(state)
            size = f" {human_bytes(note['total'])}" if state == "sending" else ""
            self._tell(f"{state}{size}")

    def end(self, how: str) -> None:
        self._tell(how)

    def _tell(self, what: str) -> None:
        notice(f"{self._name}: {what}")


class Bars:
    """A bar for each that is under way."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, name: str) -> Shown:
        """Show one more."""
        task = self._progress.add_task(visible(name), total=None, text="")
        return _Bar(self._progress, task)


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def note(self, note: Note) -> None:
        if note["state"] == "sending":
            self._progress.update(
                self._task,
                total=note["total"] or 1,  # an empty file is a bar, too
                completed=note["acknowledged"],
                text=(
                    sending_text(note)
                    if self._progress.console.width >= _WIDE
                    else pace_text(note).removeprefix(", ")
                ),
            )
        else:
            text = retry_text(note) if note["state"] == "retry" else note["state"]
            self._progress.update(self._task, text=visible(text))

    def end(self, how: str) -> None:  # noqa: ARG002 - what follows the bars says it
        self._progress.remove_task(self._task)


def sending_text(note: Note) -> str:
    """Say how much was sent of how much, how fast, and how long the rest will take."""
    return f"{human_bytes(note['acknowledged'])} of {human_bytes(note['total'])}{pace_text(note)}"


def retry_text(note: Note) -> str:
    """Say what failed, and when it is tried again."""
    again = f"attempt {note['attempt']} in {note['delay']:.1f}s"
    return f"{note['step']} failed, {again}: {note['reason']}"
