"""Tables: rows of cells in, lines out that are aligned by what a terminal shows of them.

Whoever prints a table knows whether it may be cut at the edge of a terminal: a picture of the
moment may, a checksum may not.
"""

from collections.abc import Iterable, Sequence

from rich.text import Text

from codex_actors.cli.output import print_lines, stdout_width
from codex_actors.telemetry.text import visible

GAP = "  "
NARROWEST = 12


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Text]],
    width: int | None = None,
    *,
    narrowest: int = NARROWEST,
) -> list[Text]:
    """Return the lines of a table, its head first.

    Args:
        columns: their titles; what is below one with ">" before it is aligned to the right.
        rows: the cells.
        width: cells that there are for a line, None for any number. Where they are too few, the
            first column, the name, gives way; the others do not, so lines may be longer.
        narrowest: cells that are left to the first column.
    """
    titles = [Text(column.removeprefix(">"), style="bold") for column in columns]
    lines = [titles, *rows]
    widths = [max(line[place].cell_len for line in lines) for place in range(len(columns))]
    if width is not None:
        left = width - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
        widths[0] = min(widths[0], max(narrowest, left))
    made: list[Text] = []
    for line in lines:
        whole = Text(GAP).join(
            fit(cell, cells, right=column.startswith(">"))
            for cell, cells, column in zip(line, widths, columns, strict=True)
        )
        whole.rstrip()
        made.append(whole)
    return made


def fit(text: Text, width: int, *, right: bool = False) -> Text:
    """Return a text in exactly its width, on the side that it belongs to."""
    cell = cut(text.copy(), width)
    padding = Text(" " * (width - cell.cell_len))
    return padding + cell if right else cell + padding


def cut(line: Text, width: int | None) -> Text:
    """Cut a line to at most so many cells, None for any number; return it."""
    if width is not None:
        line.truncate(width, overflow="ellipsis")
    return line


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str = "") -> None:
    """Print rows on stdout, or a sentence when there are none; nothing but a name is cut.

    Args:
        columns: as of `table`.
        rows: the cells, whosever text they are.
        empty: the sentence.
    """
    cells = [[Text(visible(cell)) for cell in row] for row in rows]
    print_lines(table(columns, cells, stdout_width()) if cells else [Text(empty)])
