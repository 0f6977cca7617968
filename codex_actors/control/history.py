"""Owns what has happened lately in a supervisor process: the last events, of its tree and files.

Invariant: numbered without gaps from 1, bounded in number and in the length of every text; whoever
follows is told each once, in order. Must not know who asks.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from codex_actors import Event as TreeEvent
from codex_actors.files import Event as FileEvent
from codex_actors.telemetry.text import shortened, timestamp

__all__ = ["History", "Record", "matches"]

KEPT = 1_000
LONGEST = 2_000
"""Characters of a text: names, and messages with names in them, are whatever clients send."""

Record = dict[str, Any]
Follower = Callable[[Record], object]


class History:
    """The last events, and those who follow."""

    def __init__(self, kept: int = KEPT) -> None:
        self._records: deque[Record] = deque(maxlen=kept)
        self._followers: dict[object, Follower] = {}
        self._number = 0

    def add_tree_event(self, event: TreeEvent) -> None:
        """Remember what happened in the supervision tree; an event handler."""
        self._add(event.kind, str(event), event.to_dict())

    def add_file_event(self, event: FileEvent) -> None:
        """Remember what happened to files; an event handler."""
        self._add(event.name, str(event), event.to_dict())

    @property
    def seen(self) -> int:
        """How many there have been, which is the number of the last one."""
        return self._number

    def records(
        self,
        *,
        last: int | None = None,
        after: int | None = None,
        kinds: tuple[str, ...] = (),
        path: str | None = None,
    ) -> list[Record]:
        """Return those that are kept, the oldest first.

        Args:
            last: How many at most.
            after: Only those with a higher number.
            kinds: See `matches`.
            path: See `matches`.
        """
        found = [
            record
            for record in self._records
            if (after is None or record["seq"] > after) and matches(record, kinds, path)
        ]
        return found if last is None else found[max(0, len(found) - last) :]

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Call `follower`, which must not raise, with every record from now on.

        Returns:
            What ends that.
        """
        key = object()
        self._followers[key] = follower

        def unfollow() -> None:
            self._followers.pop(key, None)

        return unfollow

    def _add(self, kind: str, text: str, data: dict[str, Any]) -> None:
        self._number += 1
        now = timestamp(datetime.now(UTC))
        record: Record = {
            **_bounded(data),
            "seq": self._number,
            "time": now,
            "kind": kind,
            "text": shortened(text, LONGEST),
        }
        self._records.append(record)
        for follower in tuple(self._followers.values()):
            follower(record)


def _bounded(value: Any) -> Any:
    """Return JSON-ready data with no long text in it."""
    if isinstance(value, str):
        return shortened(value, LONGEST)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: _bounded(each) for key, each in members.items()}
    if isinstance(value, list):
        return [_bounded(each) for each in cast("list[object]", value)]
    return value


def matches(record: Record, kinds: tuple[str, ...], path: str | None = None) -> bool:
    """Whether a record is wanted.

    Args:
        record: What happened.
        kinds: Its kind must be one of these, or begin with one and a dot or an underscore.
        path: It must be about this actor, or one below it; events of files are about none.
    """
    kind = record["kind"]
    if kinds and not any(
        kind == wanted or kind.startswith((f"{wanted}.", f"{wanted}_")) for wanted in kinds
    ):
        return False
    about = record.get("path")
    return (
        path is None or about == path or (about is not None and f"{about}/".startswith(f"{path}/"))
    )
