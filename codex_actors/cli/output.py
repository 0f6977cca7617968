"""How anything is printed: lines for people, one JSON document for programs.

Every document carries `schema`, which changes when a program that reads it would break.
Colour, quiet and verbose are those of the process: `configure` is told once, by the common
options, and all that is printed goes through here.
"""

import json
import os
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, Protocol, cast

from attrs import define
from rich.console import Console
from rich.text import Text

from codex_actors.cli.errors import print_error
from codex_actors.telemetry.text import visible

Color = Literal["auto", "always", "never"]
SCHEMA = 1
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


def print_lines(lines: Iterable[Text]) -> None:
    """Print lines on stdout, whole."""
    out = console()
    for line in lines:
        if out.color_system is None:
            sys.stdout.write(f"{line.plain}\n")  # there may be very many
        else:
            out.print(line, soft_wrap=True)


def stdout_width() -> int | None:
    """Return how many cells a line on stdout may have; None when it is no terminal: any number."""
    return console().width if sys.stdout.isatty() else None


def stdout_encoding() -> str:
    """Return how stdout writes text."""
    return sys.stdout.encoding or "ascii"
