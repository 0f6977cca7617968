"""How actors, operations and events look: pure."""

from typing import Any

import pytest

from codex_actors.cli.views import actor_table, event_line, event_lines, operation_line

_ACTOR: dict[str, Any] = {
    "name": "some/path/that/is/long",
    "path": "some/path/that/is/long",
    "kind": "worker",
    "state": "running",
    "uptime": None,
    "restarts_in_window": 0,
    "restarts": 0,
    "mailbox": 2,
    "mailbox_capacity": "infinity",
    "handled": 0,
    "in_hand": "Ad\x1bd",
    "in_hand_for": 75.0,
    "last_error": "crash: E: one\ntwo",
}
_OPERATION: dict[str, Any] = {
    "operation": 12,
    "kind": "upload",
    "what": "a\nb.bin",
    "state": "running",
    "seconds": 1.0,
    "progress": {},
    "outcome": None,
    "error": None,
}
_EVENT = {
    "time": "2026-01-02T03:04:05.678Z",
    "kind": "child_exited",
    "text": "child_exited a: \x9b",
}


def test_a_row_of_actors() -> None:
    """Whole where there is room, and nothing of a stranger's steers the terminal."""
    _, row = actor_table([_ACTOR])

    assert row.plain.split() == [
        *("some/path/that/is/long", "worker", "running", "-", "0", "2/inf", "0"),
        *(r"Ad\x1bd", "1m15s", "crash:", "E:", "one", "two"),
    ]


@pytest.mark.parametrize("width", [10, 40, 79])
def test_a_narrow_table(width: int) -> None:
    """The name gives way down to a third, then what is on the right."""
    head, row = actor_table([_ACTOR], width=width)

    assert max(head.cell_len, row.cell_len) <= width
    assert head.plain.startswith("NAME")
    assert row.plain.startswith("some/path" if width > 20 else "some/")


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "   12  upload a b.bin  1.0s"),
        (
            {"progress": {"acknowledged": 500, "total": 1000, "rate": 256.0, "eta": 2.0}},
            "   12  upload a b.bin  1.0s  [##########----------] 50% of 1000 B, 256 B/s, 2.0s left",
        ),
        (
            {"progress": {"state": "running", "events": 4}},
            "   12  upload a b.bin  1.0s  running, 4 events",
        ),
        ({"progress": {"acknowledged": 512, "total": 0}}, "   12  upload a b.bin  1.0s  512 B"),
        ({"state": "done", "outcome": {"x": 1}}, "   12  upload a b.bin  done  1.0s"),
        ({"state": "failed", "error": "no\x07"}, r"   12  upload a b.bin  failed  1.0s  no\x07"),
    ],
)
def test_operations(changed: dict[str, Any], text: str) -> None:
    """How far those are that tell, and what became of the others."""
    assert operation_line({**_OPERATION, **changed}).plain == text


def test_events() -> None:
    """With the time in the form of the log; what was missed stands before."""
    line = event_line(_EVENT).plain
    missed, after = event_lines({**_EVENT, "missed": 3})

    assert line == r"2026-01-02T03:04:05.678Z  child_exited a: \x9b"
    assert missed.plain == "(3 events were missed here: this was read too slowly)"
    assert after.plain == line
