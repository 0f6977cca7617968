"""What `top` shows: one moment as a document, and as the lines of a screen.

Pure: rates are differences between two moments, which the caller's clock times.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, final

from rich.text import Text

from codex_actors.cli.tables import cut
from codex_actors.cli.views import actor_table, actors_of, operation_line, style_of
from codex_actors.telemetry.text import duration, one_line, timestamp

Document = dict[str, Any]

# This part of a screen is for operations at most.
_SHARE = 3


@final
class Meter:
    """Makes frames, and remembers what the next one is compared with."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._at = 0.0
        self._handled: dict[str, int] = {}

    def frame(self, process: Document, tree: Document | None, now: float) -> Document:
        """Return one moment; the busiest actors first.

        Args:
            process: the answer to `Status`.
            tree: the answer to `Tree`; None when there is none now.
            now: a clock's time, in seconds.

        Returns:
            `time`, `rate` (messages a second, None when there is nothing to compare with),
            `process`, and `actors`, each with a `rate` of its own.
        """
        actors = [] if tree is None else list(actors_of(tree["tree"], tree["root"]))
        elapsed = now - self._at
        before = self._handled if self._pid == process["pid"] and elapsed > 0 else {}
        for actor in actors:
            known = before.get(actor["path"])
            actor["rate"] = (
                None if known is None else round(max(0, actor["handled"] - known) / elapsed, 3)
            )
        rates = [actor["rate"] for actor in actors if actor["rate"] is not None]
        self._pid, self._at = process["pid"], now
        self._handled = {actor["path"]: actor["handled"] for actor in actors}
        return {
            "time": timestamp(datetime.now(UTC)),
            "rate": round(sum(rates), 3) if rates else None,
            "process": process,
            "actors": sorted(actors, key=_idleness),
        }


def screen(frame: Document, width: int | None = None, height: int | None = None) -> list[Text]:
    """Return the lines of a frame.

    Args:
        frame: as of `Meter`.
        width: cells of a line, None for any number.
        height: lines, None for any number.
    """
    lines = [cut(line, width) for line in _head(frame)]
    operations = [cut(operation_line(each), width) for each in frame["process"]["operations"]]
    room = None if height is None else max(1, height // _SHARE)
    if room is not None and len(operations) > room:
        more = len(operations) - room + 1
        operations = [*operations[: room - 1], Text(f"       and {more} more", style="dim")]
    lines += operations
    lines.append(Text())
    lines += actor_table(frame["actors"][:height], width=width, rates=True)
    return lines if height is None else lines[:height]


def _head(frame: Document) -> Iterator[Text]:
    process, actors = frame["process"], frame["actors"]
    clock = datetime.fromisoformat(frame["time"])
    state = Text(process["state"], style=style_of(process["state"]))
    yield (
        Text(f"codex-actors {one_line(process['version'])}", style="bold")
        + Text(f" - {clock:%H:%M:%S} UTC, up {duration(process['uptime'])}, pid {process['pid']}, ")
        + state
    )
    counts: Document = process["actors"] or {"total": 0, "restarts": 0, "states": {}}
    line = Text(f"Actors: {counts['total']} total")
    for name, count in counts["states"].items():
        line += Text(", ") + Text(f"{count} {name}", style=style_of(name))
    yield line + Text(f"; {counts['restarts']} restarts")
    rate = "-" if frame["rate"] is None else f"{frame['rate']:.1f}"
    waiting = sum(actor["mailbox"] for actor in actors)
    in_hand = sum(actor["in_hand"] is not None for actor in actors)
    yield Text(f"Messages: {rate}/s, {waiting} waiting, {in_hand} in hand")
    yield Text(
        f"Events: {process['events']} seen; operations: {len(process['operations'])} under way,"
        f" {len(process['ended'])} ended lately"
    )


def _idleness(actor: Document) -> tuple[bool, float, int]:
    """What actors are sorted by; those of equal idleness keep the order of the tree."""
    return actor["in_hand"] is None, -(actor["rate"] or 0.0), -actor["mailbox"]
