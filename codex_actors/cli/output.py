"""How results look: tables for people, one JSON document for programs.

Every document carries `schema`, which changes when a program that reads it would break.
Colour, quiet and verbose are those of the process: `configure` is told once, by the common
options, and all that is printed goes through here.
"""

import json
import math
import os
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from attrs import define
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from codex_actors.cli.errors import print_error, visible

if TYPE_CHECKING:
    from codex_actors.files import Attachment

Color = Literal["auto", "always", "never"]
SCHEMA = 1
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024
_SHORT = 12
_GAP = "  "
_UNLIMITED = 10_000
_WHERE = 2  # so many -v ask for tracebacks


@define
class _Look:
    """How output looks in this process."""

    color: Color = "auto"
    quiet: bool = False
    verbose: int = 0


_look = _Look()


def configure(*, color: Color, quiet: bool, verbose: int) -> None:
    """Choose how all that is printed from now on looks.

    Args:
        color: "auto" colours a terminal that can show it, and heeds NO_COLOR and FORCE_COLOR.
        quiet: neither progress nor notices.
        verbose: how much of an error is shown: 1 what caused it, 2 where.
    """
    _look.color, _look.quiet, _look.verbose = color, quiet, verbose


def is_quiet() -> bool:
    """Tell whether neither progress nor notices are wanted."""
    return _look.quiet


def console(*, stderr: bool = False) -> Console:
    """Return what to print on in colour, if that is wanted."""
    color = _look.color
    if color == "auto" and os.environ.get("NO_COLOR"):
        color = "never"
    if color == "never":
        # Without colours there is no bold, either: nothing is sent but text.
        return Console(stderr=stderr, highlight=False, color_system=None)
    if color == "auto":
        return Console(stderr=stderr, highlight=False)
    forced = Console(stderr=stderr, highlight=False, force_terminal=True, no_color=False)
    if forced.color_system is not None:
        return forced
    return Console(  # TERM says that it has none
        stderr=stderr,
        highlight=False,
        force_terminal=True,
        no_color=False,
        color_system="standard",
    )


def is_live(stream: Any) -> bool:
    """Tell whether a stream is a terminal where lines can be drawn over, not a log or a pipe."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}


class Status(Protocol):
    """What is going on, on the last line of the terminal."""

    def update(self, status: str) -> None:
        """Show something else."""
        ...


class _Unseen:
    """Shows nothing."""

    def update(self, status: str) -> None:
        """Do nothing."""


@contextmanager
def _no_status() -> Generator[Status]:
    yield _Unseen()


def status(text: str) -> AbstractContextManager[Status]:
    """Show what is going on while a block runs, if stderr is a terminal and nobody said quiet."""
    if _look.quiet or not is_live(sys.stderr):
        return _no_status()
    return console(stderr=True).status(text)


def notice(text: str) -> None:
    """Print what is good to know and no error, as one line on stderr; nothing with quiet."""
    if not _look.quiet:
        print_error(text)


def print_failure(error: BaseException, *, what: str | None = None) -> None:
    """Print an error as one line on stderr; with -v what caused it, with -vv where.

    Args:
        error: what went wrong.
        what: with which of several things; said first if the error does not name it.
    """
    named = what is None or what in str(error)
    print_error(error if named else f"{what}: {error}")
    if _look.verbose >= _WHERE:
        sys.stderr.write(visible("".join(traceback.format_exception(error))))
    elif _look.verbose:
        for cause in _causes(error):
            print_error(f"caused by {type(cause).__name__}: {cause}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give what an error came from, the nearest first, as a traceback would."""
    seen = {id(error)}
    pending = [error]
    while pending:
        at = pending.pop()
        if at is not error:
            yield at
        below: list[BaseException] = []
        if isinstance(at, BaseExceptionGroup):
            below += cast("BaseExceptionGroup[BaseException]", at).exceptions
        cause = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
        if cause is not None:
            below.insert(0, cause)
        pending += [each for each in reversed(below) if id(each) not in seen]
        seen |= {id(each) for each in below}


def print_json(document: dict[str, Any]) -> None:
    """Print one document on stdout."""
    text = json.dumps({"schema": SCHEMA, **document}, indent=2, ensure_ascii=False)
    # A file name that is no text has halves of characters in it, which JSON can escape.
    sys.stdout.write(text.encode(errors="backslashreplace").decode() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """Print rows on stdout, or a sentence when there are none.

    Columns that start with ">" are aligned to the right.  When stdout is not a terminal
    nothing is cut to its width.
    """
    lines = [tuple(visible(cell) for cell in row) for row in rows]
    out = console()
    if not sys.stdout.isatty():
        out.width = _UNLIMITED
    if not lines:
        out.print(Text(empty), soft_wrap=True)
        return
    titles = [column.removeprefix(">") for column in columns]
    widths = [max(map(cell_len, cells)) for cells in zip(titles, *lines, strict=True)]
    # Where the terminal is too narrow the first column, the name, gives way.
    others = sum(widths[1:]) + len(_GAP) * (len(widths) - 1)
    widths[0] = max(_SHORT, min(widths[0], out.width - others))
    right = [column.startswith(">") for column in columns]
    for line, style in [(titles, "bold"), *((line, "") for line in lines)]:
        cells = (_fit(*cell) for cell in zip(line, widths, right, strict=True))
        out.print(Text(_GAP.join(cells).rstrip(), style=style), soft_wrap=True)


def _fit(text: str, width: int, right: bool) -> str:  # noqa: FBT001 - one of a cell's three parts
    """A cell's text in exactly its width, on the side that it belongs to."""
    cell = Text(text)
    cell.truncate(width, overflow="ellipsis")
    padding = " " * (width - cell.cell_len)
    return padding + cell.plain if right else cell.plain + padding


def print_attachments(attachments: "Iterable[Attachment]", empty: str) -> None:
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


def expiry(attachment: "Attachment") -> str:
    """When an attachment may go, as people say it."""
    if attachment.persist:
        return "never (persistent)"
    if attachment.expires_at is None:
        return "never"
    left = (attachment.expires_at - datetime.now(UTC)).total_seconds()
    return f"in {human_seconds(left)}" if left > 0 else "at the next sweep"
