"""How actors, operations and events look: lines of text with styles, for `ps`, `top` and others.

Documents in, as supervisors answer them; lines out, which `print_lines` prints. Nothing here asks
anybody anything.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from codex_actors.cli.errors import visible
from codex_actors.cli.output import console, human_bytes
from codex_actors.telemetry.text import one_line
from codex_actors.telemetry.tree_text import duration, tree_rows

Document = dict[str, Any]

_GAP = "  "
_NARROWEST = 12
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
    return table(columns, rows, width)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Text]], width: int | None = None
) -> list[Text]:
    """Return the lines of a table, its head first.

    Args:
        columns: their titles; what is below one with ">" before it is aligned to the right.
        rows: the cells.
        width: cells that there are for a line; the first column gives way, then the last ones.
    """
    titles = [Text(column.removeprefix(">"), style="bold") for column in columns]
    lines = [titles, *rows]
    widths = [max(line[place].cell_len for line in lines) for place in range(len(columns))]
    if width is not None:
        widths[0] = min(widths[0], max(_NARROWEST, width // 3))
    made: list[Text] = []
    for line in lines:
        whole = Text(_GAP).join(
            _fit(cell, cells, right=column.startswith(">"))
            for cell, cells, column in zip(line, widths, columns, strict=True)
        )
        whole.rstrip()
        made.append(cut(whole, width))
    return made


def cut(line: Text, width: int | None) -> Text:
    """Return a line of at most so many cells."""
    if width is not None:
        line.truncate(width, overflow="ellipsis")
    return line


def picture(tree: Document, root: str, encoding: str) -> list[Text]:
    """Return the drawing of a tree, line by line, with its states in colour."""
    drawn = list(tree_rows(tree, root, encoding))
    label = max(cell_len(row.label) for row in drawn)
    state = max(len(row.state) for row in drawn)
    lines: list[Text] = []
    for row in drawn:
        line = _fit(Text(row.label), label) + Text(_GAP)
        line += _fit(Text(row.state, style=style_of(row.state)), state) + Text(_GAP)
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


def print_lines(lines: Iterable[Text]) -> None:
    """Print lines on stdout, whole."""
    out = console()
    for line in lines:
        if out.color_system is None:
            sys.stdout.write(f"{line.plain}\n")  # there may be very many
        else:
            out.print(line, soft_wrap=True)


def stdout_width() -> int | None:
    """How many cells a line on stdout may have; None when it is no terminal, where any may."""
    return console().width if sys.stdout.isatty() else None


def stdout_encoding() -> str:
    """How stdout writes text."""
    return sys.stdout.encoding or "ascii"


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


def _fit(text: Text, width: int, *, right: bool = False) -> Text:
    """A cell in exactly its width, on the side that it belongs to."""
    cell = text.copy()
    cell.truncate(width, overflow="ellipsis")
    padding = Text(" " * (width - cell.cell_len))
    return padding + cell if right else cell + padding


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
    eta = progress.get("eta")
    left = f", {duration(eta)} left" if isinstance(eta, int | float) else ""
    return (
        f"  [{bar}] {part:.0%} of {human_bytes(total)}, {human_bytes(progress.get('rate') or 0)}/s"
        f"{left}"
    )


def _event_style(kind: str) -> str:
    if any(word in kind for word in ("fail", "exceeded", "unresponsive", "error")):
        return _ERROR
    if any(word in kind for word in ("restarting", "retry", "intensity", "exited", "stopped")):
        return "yellow"
    return "green"
