"""How the end is told: on a terminal, and elsewhere."""

import json
import math
from typing import Any

from codex_actors.control.process.countdown import Countdown, waited_for
from codex_actors.telemetry.log import Log


def _node(path: str, state: str, *children: dict[str, Any]) -> dict[str, Any]:
    return {"path": path, "state": state, "children": children}


class _Told:
    """What a countdown says; times are left out."""

    def __init__(self, *, terminal: bool) -> None:
        self._lines: list[str] = []
        self.shown: list[str] = []
        log = Log(self._lines.append, clock=lambda: 0.0)
        self.countdown = Countdown(log, self.shown.append if terminal else None)

    @property
    def lines(self) -> list[str]:
        """The lines of the log."""
        return [line.split(None, 2)[2].rstrip() for line in self._lines]


def test_off_a_terminal_there_is_a_line_now_and_then() -> None:
    """At the beginning, every five seconds, and when the time is over."""
    told = _Told(terminal=False)

    told.countdown.begin("draining", 12.0, ["worker"])
    for second in range(1, 13):
        told.countdown.tick("draining", 12.0 - second, ["worker"])
    told.countdown.overdue("draining", 12.0)
    told.countdown.begin("cancelling", math.inf, ["worker"])
    told.countdown.end()

    assert told.lines == [
        "draining: at most 12 s, waiting for worker",
        "draining: 7 s left, waiting for worker",
        "draining: 2 s left, waiting for worker",
        "draining: not done within 12 s",
        "cancelling, waiting for worker",
    ]


def test_programs_read_a_word_for_what_happens() -> None:
    """As every event's kind it has no blanks, whatever people read."""
    lines: list[str] = []
    countdown = Countdown(Log(lines.append, form="json"), None)

    countdown.begin("shutting down", 12.0, [])
    for second in range(1, 6):
        countdown.tick("shutting down", 12.0 - second, [])

    assert [json.loads(line)["event"] for line in lines] == ["shutting_down", "shutting_down"]


def test_on_a_terminal_one_line_counts() -> None:
    """Every second, on the line that is gone at the end."""
    told = _Told(terminal=True)

    told.countdown.begin("draining", 3.0, [])
    told.countdown.tick("draining", 2.0, list("abcdef"))
    told.countdown.tick("draining", 0.9, ["x" * 200])
    told.countdown.end()

    assert told.lines == ["draining: at most 3 s"]
    assert told.shown[0] == "draining: 2 s left, waiting for a, b, c, d and 2 more"
    assert told.shown[1].startswith("draining: 1 s left, waiting for xxx")
    assert len(told.shown[1]) < 80
    assert told.shown[2] == ""


def test_what_is_waited_for_is_the_innermost() -> None:
    """A supervisor is named only when nothing below it is left."""
    tree = _node(
        "",
        "stopping",
        _node("idle", "running"),
        _node("pool", "stopping", _node("pool/a", "stopping"), _node("pool/b", "terminated")),
        _node("bare", "stopping", _node("bare/x", "terminated")),
    )

    assert waited_for(tree, "root") == ["pool/a", "bare"]
    begun = _node("", "stopping", _node("a", "running"), _node("b", "terminated"))
    assert waited_for(begun, "root") == ["a"]
    assert waited_for(_node("", "stopping"), "root") == ["root"]
    assert waited_for(_node("", "running"), "root") == []
