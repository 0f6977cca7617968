"""How actors, operations and events look: lines of text with styles, for `ps`, `top` and others.

Documents in, as supervisors answer them; lines out. Nothing here asks anybody or prints anything.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from codex_actors.cli.tables import GAP, NARROWEST, cut, fit, table
from codex_actors.cli.units import human_bytes
from codex_actors.telemetry.text import duration, one_line, visible
from codex_actors.telemetry.tree_text import tree_rows

Document = dict[str, Any]

_STYLES = {
    "running": "green",
    "starting": "yellow",
    "restarting": "yellow",
    "backoff": "yellow",
    "draining": "yellow",
    "stopping": "magenta",
    "terminated": "dim",
    "done": "green",
    "failed": "red",
    "cancelled": "magenta",
}
_ERROR = "red"
_COLUMNS = (
    "NAME",
    "KIND",
    "STATE",
    ">UPTIME",
    ">RESTARTS",
    ">MAILBOX",
    ">HANDLED",
    "IN HAND",
    "LAST ERROR",
)
_BAR = 20
# This part of a narrow line is for names.
_SHARE = 3


def style_of(state: str) -> str:
    """The style of a state, of an actor or of an operation."""
    return _STYLES.get(state, "")


def actors_of(tree: Document, root: str) -> Iterator[Document]:
    """Give a tree's actors one by one, each before those below it, with a `name` for people."""
    flat = {key: value for key, value in tree.items() if key != "children"}
    yield {"name": tree["path"] or root, **flat}
    for child in tree["children"]:
        yield from actors_of(child, root)


def actor_table(
    actors: Iterable[Document], *, width: int | None = None, rates: bool = False
) -> list[Text]:
    """Return the lines of a table of actors, its head first.

    Args:
        actors: as of `actors_of`.
        width: cells that there are for a line, None for any number; what is more is cut off.
        rates: also show how many messages each handles in a second (`rate`).
    """
    columns = (*_COLUMNS[:6], ">MSG/S", *_COLUMNS[6:]) if rates else _COLUMNS
    rows = [_cells(actor, rates=rates) for actor in actors]
    # What is cut off at the right is less than a name.
    narrowest = NARROWEST if width is None else max(NARROWEST, width // _SHARE)
    return [cut(line, width) for line in table(columns, rows, width, narrowest=narrowest)]


def picture(tree: Document, root: str, encoding: str) -> list[Text]:
    """Return the drawing of a tree, line by line, with its states in colour."""
    drawn = list(tree_rows(tree, root, encoding))
    label = max(cell_len(row.label) for row in drawn)
    state = max(len(row.state) for row in drawn)
    lines: list[Text] = []
    for row in drawn:
        line = fit(Text(row.label), label) + Text(GAP)
        line += fit(Text(row.state, style=style_of(row.state)), state) + Text(GAP)
        line += Text(row.details)
        if row.error is not None:
            line += Text("; " if row.details else "") + Text(row.error, style=_ERROR)
        line.rstrip()
        lines.append(line)
    return lines


def operation_line(operation: Document) -> Text:
    """Return what is to say of an operation, on one line."""
    line = Text(f"{operation['operation']:>5}  ")
    line += Text(one_line(f"{operation['kind']} {operation['what']}"), style="bold")
    if operation["state"] != "running":
        line += Text(f"  {operation['state']}", style=style_of(operation["state"]))
    line += Text(f"  {duration(operation['seconds'])}")
    line += Text(_progress(operation["progress"]) if operation["state"] == "running" else "")
    if operation["error"] is not None:
        line += Text(f"  {one_line(operation['error'])}", style=_ERROR)
    return line


def pace_text(progress: Document) -> str:
    """Return how fast an upload is, and how long the rest will take, after a comma; or nothing."""
    rate, eta = progress.get("rate"), progress.get("eta")
    text = f", {human_bytes(rate)}/s" if rate else ""
    return text if eta is None else f"{text}, {duration(eta)} left"


def event_line(event: Document) -> Text:
    """Return one event with its time, in the form of the log and of `--json`."""
    line = Text(f"{event['time']}  ", style="dim")
    text = one_line(event["text"])
    kind, space, rest = text.partition(" ")
    return line + Text(kind, style=_event_style(event["kind"])) + Text(space + rest)


def event_lines(event: Document) -> Iterator[Text]:
    """Give one event, and before it how many are missing there."""
    missed = event.get("missed", 0)
    if missed:
        what = "1 event was" if missed == 1 else f"{missed} events were"
        yield Text(f"({what} missed here: this was read too slowly)", style="dim")
    yield event_line(event)


def _cells(actor: Document, *, rates: bool) -> list[Text]:
    capacity = actor["mailbox_capacity"]
    room = "-" if capacity is None else f"{actor['mailbox']}/{_capacity(capacity)}"
    in_hand = actor["in_hand"]
    held = "-" if in_hand is None else f"{visible(in_hand)} {duration(actor['in_hand_for'])}"
    error = actor["last_error"]
    cells = [
        Text(one_line(actor["name"])),
        Text(actor["kind"]),
        Text(actor["state"], style=style_of(actor["state"])),
        Text("-" if actor["uptime"] is None else duration(actor["uptime"])),
        Text(str(actor["restarts"]), style="yellow" if actor["restarts_in_window"] else ""),
        Text(room),
        Text(str(actor["handled"])),
        Text(held),
        Text("-" if error is None else one_line(error), style="" if error is None else _ERROR),
    ]
    if rates:
        rate = actor["rate"]
        cells.insert(6, Text("-" if rate is None else f"{rate:.1f}"))
    return cells


def _capacity(capacity: float | str) -> str:
    return "inf" if isinstance(capacity, str) else f"{capacity:g}"


def _progress(progress: Document) -> str:
    """How far an operation is, if that can be told."""
    done, total = progress.get("acknowledged"), progress.get("total")
    if done is None:
        said = [one_line(str(progress["state"]))] if "state" in progress else []
        said += [f"{progress['events']} events"] if "events" in progress else []
        return f"  {', '.join(said)}" if said else ""
    if not total:
        return f"  {human_bytes(done)}"
    part = min(1.0, done / total)
    filled = round(part * _BAR)
    bar = "#" * filled + "-" * (_BAR - filled)
    return f"  [{bar}] {part:.0%} of {human_bytes(total)}{pace_text(progress)}"


def _event_style(kind: str) -> str:
    if any(word in kind for word in ("fail", "exceeded", "unresponsive", "error")):
        return _ERROR
    if any(word in kind for word in ("restarting", "retry", "intensity", "exited", "stopped")):
        return "yellow"
    return "green"
