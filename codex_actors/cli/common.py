"""What all verbs share: their common options, and what they ask before they begin.

What a verb's `--help` has no use for is imported when a verb runs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attrs import frozen
from cyclopts import Group, Parameter, Token

from codex_actors.cli import output
from codex_actors.cli.errors import UsageError
from codex_actors.cli.units import parse_seconds
from codex_actors.telemetry.text import visible

if TYPE_CHECKING:
    from codex_actors.cli.settings import LogLevel, Settings


def _seconds(_type: Any, tokens: Sequence[Token]) -> float:
    text = tokens[0].value
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None


def _executable(_type: Any, tokens: Sequence[Token]) -> Path:
    """A name to search for stays one; as a path, "./codex" would become one."""
    text = tokens[0].value
    return Path(text).absolute() if "/" in text and not text.startswith("~") else Path(text)


Executable = Annotated[Path, Parameter(converter=_executable, metavar="PATH")]
Seconds = Annotated[float, Parameter(converter=_seconds, allow_leading_hyphen=True, metavar="TIME")]
Yes = Annotated[bool, Parameter(name=("--yes", "-y"), help="Do not ask.")]


@Parameter(name="*", group=Group("Common options", sort_key=2))
@frozen
class Common:
    """The options that every verb takes, spread over its command line."""

    staging_dir: Annotated[
        Path | None,
        Parameter(metavar="DIR", help="Where staged files are kept. [default: _build/codex_files]"),
    ] = None
    socket: Annotated[
        Path | None,
        Parameter(metavar="PATH", help="The supervisor's socket, if not the directory's own."),
    ] = None
    config_file: Annotated[
        Path | None,
        Parameter(
            metavar="PATH", help="Settings to read. [default: codex_actors.toml, if it is there]"
        ),
    ] = None
    as_json: Annotated[
        bool, Parameter(name="--json", help="Print one JSON document for programs.")
    ] = False
    color: Annotated[
        output.Color | None, Parameter(metavar="WHEN", help="Whether output is coloured.")
    ] = None
    quiet: Annotated[
        bool, Parameter(name=("--quiet", "-q"), help="No progress and no notices on stderr.")
    ] = False
    verbose: Annotated[
        int,
        Parameter(
            name=("--verbose", "-v"), count=True, help="Show what caused an error; -vv: where."
        ),
    ] = 0

    def load(self, **flags: object) -> "Settings":
        """Return the settings that hold, and give output the look that they say.

        Args:
            flags: what options of the verb's own set, by key; None for what was not given.

        Raises:
            SettingsError: what is set makes no sense.
        """
        from codex_actors.cli.settings import load_settings  # noqa: PLC0415 - see the module

        self.apply()
        common = {
            "staging_dir": self.staging_dir,
            "socket": self.socket,
            "config_file": self.config_file,
            "color": self.color,
        }
        settings = load_settings({**common, **flags})
        output.configure(color=settings.color, quiet=self.quiet, verbose=self.verbose)
        return settings

    def apply(self) -> None:
        """Give output the look that the options say, for a verb that needs no settings."""
        output.configure(color=self.color or "auto", quiet=self.quiet, verbose=self.verbose)

    def log_level(self, settings: "Settings") -> "LogLevel":
        """Return what is logged: less with -q, more with -v than the settings say."""
        if self.quiet:
            return "warning"
        return "debug" if self.verbose else settings.log_level


NO_OPTIONS = Common()


def at_terminal() -> bool:
    """Tell whether somebody is there who could answer a question."""
    # A closed stdin is None.
    return bool(sys.stdin) and sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool) -> bool:
    """Ask on the terminal whether to go on; blocks, so call it before anything runs.

    Args:
        question: what would happen, as a question.
        yes: it was answered on the command line.

    Raises:
        UsageError: there is nobody to ask.
    """
    if yes:
        return True
    if not at_terminal():
        raise UsageError(f"{question} There is no terminal to answer at: pass --yes to go on")
    sys.stderr.write(f"{visible(question)} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().lower() in {"y", "yes"}


def nothing_staged(settings: "Settings") -> bool:
    """Tell whether there is no staging directory, and say so; looking does not create one."""
    try:
        settings.staging_dir.lstat()
    except FileNotFoundError:
        output.notice(f"there is no directory {settings.staging_dir}, so nothing is staged there")
        return True
    except OSError:
        return False  # whoever opens it tells what is wrong with it
    return False
