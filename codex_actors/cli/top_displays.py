"""Where `top` shows its frames: on a whole terminal, or in a pipe one after the other."""

import sys
from typing import Any, Protocol, final

from rich.live import Live
from rich.text import Text

from codex_actors.cli.following import json_line, styled, write_out
from codex_actors.cli.output import console, is_live, notice, stdout_width
from codex_actors.cli.tables import cut
from codex_actors.cli.top_frame import screen

_WAITING = "waiting for the supervisor"


def display_for(*, as_json: bool) -> "Display":
    """Return what fits stdout."""
    if as_json:
        return _Documents()
    return _Screen() if is_live(sys.stdout) else _Lines()


class Display(Protocol):
    """Where frames go."""

    async def show(self, frame: dict[str, Any]) -> None:
        """Show one."""
        ...

    def redraw(self) -> None:
        """The terminal has another size now, or is ours again after `close`."""
        ...

    def wait(self) -> None:
        """There is no supervisor now."""
        ...

    def close(self) -> None:
        """Put back what was changed."""
        ...


@final
class _Screen:
    """The whole of a terminal."""

    def __init__(self) -> None:
        self._live = Live(
            console=console(),
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._frame: dict[str, Any] | None = None
        self._waits = False

    async def show(self, frame: dict[str, Any]) -> None:
        """See `Display`."""
        self._frame, self._waits = frame, False
        self.redraw()

    def redraw(self) -> None:
        """See `Display`."""
        if self._frame is None:  # not before there is something to show: it may be an error
            return
        self._live.start()
        width, height = self._live.console.size
        lines = screen(self._frame, width, height)
        if self._waits:
            lines[0] = cut(Text(_WAITING, style="bold yellow"), width)
        self._live.update(Text("\n", no_wrap=True).join(lines), refresh=True)

    def wait(self) -> None:
        """See `Display`."""
        self._waits = True
        self.redraw()

    def close(self) -> None:
        """See `Display`."""
        self._live.stop()


class _Lines:
    """A pipe, a file or a terminal that only prints: one frame after the other."""

    def __init__(self) -> None:
        self._waits = False

    async def show(self, frame: dict[str, Any]) -> None:
        """See `Display`."""
        self._waits = False
        await write_out(self.form(frame))

    def form(self, frame: dict[str, Any]) -> str:
        """Return what is written: a page for people, with an empty line at its end."""
        return "".join(map(styled, [*screen(frame, stdout_width()), Text()]))

    def redraw(self) -> None:
        """See `Display`; a page has no size."""

    def wait(self) -> None:
        """See `Display`."""
        if not self._waits:
            notice(_WAITING)
        self._waits = True

    def close(self) -> None:
        """See `Display`; there is nothing."""


@final
class _Documents(_Lines):
    """One document a line."""

    def form(self, frame: dict[str, Any]) -> str:
        """Return what is written."""
        return json_line(frame)
