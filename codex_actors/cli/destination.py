"""Where an upload goes, from the command line and this process's environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from codex_actors.cli.errors import UsageError
from codex_actors.control.messages import TargetChoice
from codex_actors.control.targets import target_of, wrong_options
from codex_actors.files import FilesError

_DIRECTORY = "directory"
_PREFIX = f"{_DIRECTORY}:"
# What this environment has goes along, so that a supervisor that was started elsewhere, with other
# credentials or none, uploads as whoever asks would.
_VARIABLES = {
    "openai": {
        "secret": "OPENAI_API_KEY",
        "base_url": "OPENAI_BASE_URL",
        "organization": "OPENAI_ORG_ID",
        "project": "OPENAI_PROJECT_ID",
    },
    "codex": {"secret": "CODEX_ACCESS_TOKEN", "account_id": "CODEX_ACCOUNT_ID"},
    _DIRECTORY: {},
}


def destination(
    to: str, options: Mapping[str, str | int | None], environ: Mapping[str, str]
) -> TargetChoice:
    """Return what was chosen, with what the environment adds.

    Args:
        to: openai, codex, directory:PATH, or a path with a slash.
        options: those of `TargetChoice`, by name; None for what was not given.
        environ: where credentials are.

    Raises:
        UsageError: there is no such target, or it has no such option, or not of that value.
    """
    kind, path = _kind_of(to)
    given = {name: value for name, value in options.items() if value is not None}
    choice = TargetChoice(kind=kind, path=path, **given)  # type: ignore[arg-type]
    wrong = wrong_options(choice)
    if wrong:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise UsageError(f"{flags}: uploads to {to} have no such option")
    try:
        target_of(choice)
    except FilesError as error:
        raise UsageError(str(error)) from None
    found = {
        name: environ[variable]
        for name, variable in _VARIABLES[kind].items()
        if name not in given and environ.get(variable)
    }
    return evolve(choice, **found)  # type: ignore[arg-type]


def _kind_of(to: str) -> tuple[str, str | None]:
    path = to.removeprefix(_PREFIX) if to.startswith(_PREFIX) else to if os.sep in to else None
    if path:
        return _DIRECTORY, str(Path(path).absolute())
    if to not in _VARIABLES or to == _DIRECTORY:
        raise UsageError(
            f"--to {to!r}: give openai, codex, or a directory as directory:PATH or with a slash"
        )
    return to, None
