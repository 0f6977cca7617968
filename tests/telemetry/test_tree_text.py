"""How a tree is drawn: a pure function of a snapshot's document."""

from typing import Any

import pytest

from codex_actors import Snapshot
from codex_actors.telemetry.text import duration
from codex_actors.telemetry.tree_text import draw_tree

_QUIET: dict[str, Any] = {
    "kind": "worker",
    "state": "running",
    "uptime": 3.0,
    "restarts_in_window": 0,
    "restarts": 0,
    "mailbox": 0,
    "mailbox_capacity": 10.0,
    "handled": 0,
    "in_hand": None,
    "in_hand_for": None,
    "last_error": None,
    "children": (),
}


def _snapshot(path: str, *children: Snapshot, **changed: Any) -> Snapshot:
    kind = "supervisor" if children else "worker"
    values: dict[str, Any] = {**_QUIET, "kind": kind, **changed, "children": children}
    return Snapshot(path=path, **values)


def test_the_picture() -> None:
    """Branches as in the documentation, states in a column, then what there is to say."""
    tree = _snapshot(
        "",
        _snapshot("a", _snapshot("a/b", handled=7, mailbox=2), uptime=3_725.0),
        _snapshot("busy", in_hand="Add", in_hand_for=2.25),
        _snapshot(
            "c",
            state="backoff",
            uptime=None,
            restarts=2,
            restarts_in_window=1,
            last_error="crash: ValueError: no",
        ),
    )

    assert draw_tree(tree.to_dict(), "files") == [
        "files      running  supervisor, up 3.0s",
        "├── a      running  supervisor, up 1h02m",
        "│   └── b  running  up 3.0s, 7 handled, 2 waiting",
        "├── busy   running  up 3.0s, Add in hand for 2.2s",
        "└── c      backoff  restarted 2 times, 1 in the window; crash: ValueError: no",
    ]


def test_what_cannot_be_shown_is_drawn_in_ascii() -> None:
    """Branches and names, for a stream that knows no others."""
    tree = _snapshot("", _snapshot("größe", _snapshot("größe/x")), _snapshot("z"))

    lines = draw_tree(tree.to_dict(), "root", "ascii")

    assert [line.partition("running")[0].rstrip() for line in lines] == [
        "root",
        r"|-- gr\xf6\xdfe",
        "|   `-- x",
        "`-- z",
    ]
    assert draw_tree(tree.to_dict(), "root", "no-such-encoding") == lines


def test_errors_of_strangers_steer_no_terminal() -> None:
    """One line for each actor, whatever its error says."""
    tree = _snapshot("", _snapshot("a", last_error="crash: E: \x1b[2J\nmore\r\n\x9b"))

    lines = draw_tree(tree.to_dict(), "root")

    assert len(lines) == 2
    assert lines[1].endswith(r"crash: E: \x1b[2J more \x9b")


def test_a_part_of_a_tree_has_its_own_name() -> None:
    """The name given is the root's, which has no path."""
    assert draw_tree(_snapshot("a/b").to_dict(), "root")[0].startswith("b  ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0.0s"),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (10.0, "10s"),
        (59.6, "1m00s"),
        (61.0, "1m01s"),
        (3_599.0, "59m59s"),
        (3_599.6, "1h00m"),
        (3_661.0, "1h01m"),
        (7_199.0, "2h00m"),
        (86_399.0, "1d00h"),
        (90_000.0, "1d01h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """The two largest units; tenths while it is short."""
    assert duration(seconds) == text
