"""Bars of uploads, on terminals of any width."""

import io

import pytest
from rich.console import Console

from codex_actors.cli.upload_display import Bars, bars_on


@pytest.mark.parametrize(("width", "sent"), [(50, False), (80, True), (120, True)])
def test_there_is_a_bar_at_every_width(width: int, sent: bool) -> None:
    """With how far it is and how long it takes; what was sent only where there is room."""
    terminal = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    progress = bars_on(terminal)
    note = {"state": "sending", "acknowledged": 50 << 20, "total": 100 << 20, "attempt": 1}

    Bars(progress).begin("the report of the last quarter, with all its appendices.pdf").note(
        {**note, "rate": 6.5 * (1 << 20), "eta": 8.0}
    )
    with terminal.capture() as captured:
        terminal.print(progress.get_renderable())

    (line,) = captured.get().splitlines()
    assert line.startswith("the ")
    assert line.count("━") >= 4
    assert " 50% " in line
    assert line.rstrip().endswith("6.5 MiB/s, 8.0s left")
    assert ("50.0 MiB of 100.0 MiB" in line) == sent
