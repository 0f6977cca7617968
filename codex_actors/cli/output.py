"""How results look: tables for people, one JSON document for programs.

Every document carries `schema`, which changes when a program that reads it would break.
"""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from codex_actors.cli.errors import visible
from codex_actors.files import Attachment

SCHEMA = 1
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024
_SHORT = 12
_GAP = "  "
_UNLIMITED = 10_000


def print_json(document: dict[str, Any]) -> None:
    """Print one document on stdout."""
    json.dump({"schema": SCHEMA, **document}, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """Print rows on stdout, or a sentence when there are none.

    Columns that start with ">" are aligned to the right.  When stdout is not a terminal
    nothing is cut to its width.
    """
    lines = [tuple(visible(cell) for cell in row) for row in rows]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _UNLIMITED
    if not lines:
        console.print(Text(empty), soft_wrap=True)
        return
    titles = [column.removeprefix(">") for column in columns]
    widths = [max(map(cell_len, cells)) for cells in zip(titles, *lines, strict=True)]
    # Where the terminal is too narrow the first column, the name, gives way.
    others = sum(widths[1:]) + len(_GAP) * (len(widths) - 1)
    widths[0] = max(_SHORT, min(widths[0], console.width - others))
    right = [column.startswith(">") for column in columns]
    for line, style in [(titles, "bold"), *((line, "") for line in lines)]:
        cells = (_fit(*cell) for cell in zip(line, widths, right, strict=True))
        console.print(Text(_GAP.join(cells).rstrip(), style=style), soft_wrap=True)


def _fit(text: str, width: int, right: bool) -> str:  # noqa: FBT001 - one of a cell's three parts
    """A cell's text in exactly its width, on the side that it belongs to."""
    cell = Text(text)
    cell.truncate(width, overflow="ellipsis")
    padding = " " * (width - cell.cell_len)
    return padding + cell.plain if right else cell.plain + padding


def print_attachments(attachments: Iterable[Attachment], empty: str) -> None:
    """Print attachments as a table."""
    print_table(
        ("NAME", ">SIZE", "TYPE", "CHECKSUM", "EXPIRES"),
        [
            (
                attachment.name,
                human_bytes(attachment.size),
                attachment.content_type,
                attachment.checksum[:_SHORT],
                expiry(attachment),
            )
            for attachment in attachments
        ],
        empty,
    )


def human_bytes(size: float) -> str:
    """A size for people, in powers of 1024."""
    for unit in _UNITS:
        if size < _STEP or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    raise AssertionError("the last unit takes all")


def human_seconds(seconds: float) -> str:
    """A duration for people, in its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{round(seconds / length)}{unit}"
    return f"{max(0, math.ceil(seconds))}s"


def expiry(attachment: Attachment) -> str:
    """When an attachment may go, as people say it."""
    if attachment.persist:
        return "never (persistent)"
    if attachment.expires_at is None:
        return "never"
    left = (attachment.expires_at - datetime.now(UTC)).total_seconds()
    return f"in {human_seconds(left)}" if left > 0 else "at the next sweep"
