"""Owns how a supervision tree is drawn as text, as the documentation draws it.

    root            running  supervisor, up 5m10s
    ├── counter     running  up 5m10s, 17 handled
    └── transfers   running  supervisor, up 5m10s
        └── upload  backoff  restarted 2 times; crash: ValueError: no

Invariant: a pure function of the document of a snapshot; what comes out is one line per actor and
can be printed anywhere. Must not know terminals or colours.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from codex_actors.telemetry.text import duration, one_line

__all__ = ["Row", "can_draw", "draw_tree", "tree_rows"]

_LINES = ("├── ", "└── ", "│   ")
_ASCII = ("|-- ", "`-- ", "|   ")
_NOTHING = "    "
_GAP = "  "


@frozen
class Row:
    """One line of the picture.

    Attributes:
        label: The branches of the tree, then the name.
        state: The actor's state.
        details: What else there is to say.
        error: Why its last life ended, when that was abnormal.
    """

    label: str
    state: str
    details: str
    error: str | None


def draw_tree(tree: Mapping[str, Any], name: str, encoding: str = "utf-8") -> list[str]:
    """Return the picture, line by line.

    Args:
        tree: The document of a snapshot.
        name: What the root is called; it has no path.
        encoding: Of the stream that it is for: what that cannot show is drawn in ASCII.
    """
    drawn = list(tree_rows(tree, name, encoding))
    label = max(len(row.label) for row in drawn)
    state = max(len(row.state) for row in drawn)
    return [
        _GAP.join((row.label.ljust(label), row.state.ljust(state), "; ".join(_said(row)))).rstrip()
        for row in drawn
    ]


def tree_rows(tree: Mapping[str, Any], name: str, encoding: str = "utf-8") -> Iterator[Row]:
    """Give the lines of the picture in parts; see `draw_tree`."""
    lines = _LINES if can_draw(encoding) else _ASCII
    yield _row(tree, tree["path"].rpartition("/")[2] or name, encoding)
    yield from _below(tree, "", lines, encoding)


def can_draw(encoding: str) -> bool:
    """Whether a stream with this encoding can show the branches of a tree."""
    try:
        "".join(_LINES).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _below(
    tree: Mapping[str, Any], before: str, lines: tuple[str, str, str], encoding: str
) -> Iterator[Row]:
    fork, end, through = lines
    for place, child in enumerate(tree["children"], start=1):
        is_last = place == len(tree["children"])
        name = child["path"].rpartition("/")[2]
        yield _row(child, before + (end if is_last else fork) + name, encoding)
        yield from _below(child, before + (_NOTHING if is_last else through), lines, encoding)


def _row(actor: Mapping[str, Any], label: str, encoding: str) -> Row:
    error = actor["last_error"]
    return Row(
        label=_encodable(label, encoding),
        state=actor["state"],
        details=", ".join(_details(actor)),
        error=None if error is None else _encodable(one_line(error), encoding),
    )


def _encodable(text: str, encoding: str) -> str:
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "backslashreplace").decode("ascii")


def _details(actor: Mapping[str, Any]) -> Iterator[str]:
    if actor["kind"] == "supervisor":
        yield "supervisor"
    if actor["uptime"] is not None:
        yield f"up {duration(actor['uptime'])}"
    if actor["restarts"]:
        yield f"restarted {_times(actor['restarts'])}"
    if actor["restarts_in_window"]:
        yield f"{actor['restarts_in_window']} in the window"
    if actor["handled"]:
        yield f"{actor['handled']} handled"
    if actor["mailbox"]:
        yield f"{actor['mailbox']} waiting"
    if actor["in_hand"] is not None:
        yield f"{actor['in_hand']} in hand for {duration(actor['in_hand_for'])}"


def _said(row: Row) -> Iterator[str]:
    if row.details:
        yield row.details
    if row.error is not None:
        yield row.error


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
