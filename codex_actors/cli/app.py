"""The application: its verbs, and which exit code an error is."""

import os
import sys
from importlib.metadata import version
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, Group, Parameter

from codex_actors.cli import exit_codes
from codex_actors.cli.errors import SettingsError, Terminated, UsageError, print_error
from codex_actors.cli.verbs import FAMILIES, GROUPS, VERBS

if TYPE_CHECKING:
    from collections.abc import Sequence

app = App(
    name="codex-actors",
    help="Stage files and attach them to codex turns, supervised: nothing is lost or leaked.\n\n"
    "codex-actors COMMAND --help tells more about a command; without COMMAND: run.\n\n"
    "TIME is seconds, or 90s, 5m, 12h, 7d, inf; SIZE is bytes, or 500K, 10MiB, 2G.\n\n"
    "Exit codes: 0 it worked, 1 it did not, 2 it was asked wrongly, 3 no supervisor runs, "
    "4 it cannot be reached, 5 some of it worked.",
    version=lambda: version("codex-actors"),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    help_format="plaintext",  # rich needs a sixth of all the time of --help for Markdown
    # An option that is there or not has no --no-...; what holds without one, its help says.
    default_parameter=Parameter(negative=(), show_default=False),
    group_arguments=Group("Arguments", sort_key=0),
    group_parameters=Group("Options", sort_key=1),
    group_commands=Group("Help", sort_key=len(GROUPS)),
)
_GROUPS = {name: Group(name, sort_key=place) for place, name in enumerate(GROUPS)}


def _reflowed(text: str) -> str:
    """A text of the table as help shows it: a paragraph has no line ends."""
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _register() -> None:
    """Give the application its verbs."""
    families: dict[str, App] = {"": app}
    for name, (group, text) in FAMILIES.items():
        families[name] = App(name=name, group=_GROUPS[group], help=text, version_flags=[])
        app.command(families[name])
    for place, verb in enumerate(VERBS):
        family, _, name = verb.name.rpartition(" ")
        families[family].command(
            verb.function,
            name=name,
            group=_GROUPS[verb.group],
            help=_reflowed(verb.help),
            sort_key=place,
            usage=f"Usage: codex-actors {verb.name} {verb.usage}",
        )


_register()


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run one command; returns its exit code.

    Args:
        arguments: the command line without the program, `sys.argv` when None; without a command it
            is `run`.
    """
    _open_missing_streams()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        result = app(_with_command(given), exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except (CycloptsError, UsageError) as error:
        print_error(_usage_text(error))
        return exit_codes.USAGE
    except Terminated as error:
        print_error(error)
        return exit_codes.BY_SIGNAL + error.number
    except KeyboardInterrupt:
        print_error("interrupted; nothing is left half-done")
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`): nobody is left to tell, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.FAILED
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        _print_failure(error)
        return code
    return result if isinstance(result, int) else exit_codes.OK


def _with_command(given: list[str]) -> list[str]:
    """The command line with its command: options alone are those of `run`.

    Raises:
        UsageError: options are the commands' own, and one stands before a command.
    """
    if given and (not given[0].startswith("-") or given[0] in {"--help", "-h", "--version"}):
        return given
    commands = {verb.name.partition(" ")[0] for verb in VERBS}
    for each in given:
        if each in commands:
            option = given[0]
            raise UsageError(f"{option} stands before the command: codex-actors {each} {option}")
    return ["run", *given]


def _open_missing_streams() -> None:
    """Somebody may have closed them (`>&-`): then nobody reads what goes there."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the whole run
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the whole run


def _usage_text(error: CycloptsError | UsageError) -> str:
    """What was asked wrongly, and where it is told how to ask."""
    if isinstance(error, SettingsError):
        return str(error)
    if isinstance(error, CycloptsError):
        from codex_actors.cli.usage import usage_text  # noqa: PLC0415 - see `_exit_code`

        return f"{usage_text(error)}; see --help"
    return f"{error}; see --help"


def _print_failure(error: Exception) -> None:
    """Show an error, with as much of it as the options ask for."""
    from codex_actors.cli.output import print_failure  # noqa: PLC0415 - see `_exit_code`

    print_failure(error)


def _exit_code(error: Exception) -> int | None:
    """The exit code of an error that speaks for itself; a defect has none, and is shown whole."""
    # Imported when something went wrong: `--help` has no use for them.
    from codex_actors import ActorError  # noqa: PLC0415
    from codex_actors.codex import CodexError  # noqa: PLC0415
    from codex_actors.control.errors import (  # noqa: PLC0415
        AddressHeld,
        ControlError,
        NotRunning,
        Unreachable,
    )
    from codex_actors.files import FilesError  # noqa: PLC0415

    match error:
        case NotRunning():
            return exit_codes.NOT_RUNNING
        case Unreachable():
            return exit_codes.UNREACHABLE
        case AddressHeld():
            return exit_codes.HELD
        case ControlError() | ActorError() | FilesError() | CodexError() | OSError():
            return exit_codes.FAILED
        case _:
            return None
