"""Which codex is run, by the settings, and which version that is."""

import os
import re
import subprocess
from pathlib import Path

from codex_actors.cli.settings import Settings
from codex_actors.codex import CodexNotFound, find_codex

_SECONDS = 10.0  # for telling a version


def codex_executable(settings: Settings) -> Path:
    """Return the codex executable that the settings name, or that is found without; looks only.

    Raises:
        CodexNotFound: there is none, or what was named cannot be executed.
    """
    try:
        return find_codex(settings.codex)
    except CodexNotFound:
        if settings.codex is not None:
            raise CodexNotFound(
                f"{settings.sources['codex']} names the codex executable {settings.codex!r}, which"
                " is not an executable file: correct it"
            ) from None
        raise CodexNotFound(
            "the codex executable was not found: install it (pip install 'codex-actors[codex]'),"
            " put it on PATH, or name it (--codex, CODEX_ACTORS_CODEX, codex in codex_actors.toml)"
        ) from None


class CodexUnusable(Exception):
    """There is a codex executable, and it does not run as one."""


def codex_version(path: Path) -> str:
    """Return the version that codex tells; runs it, and blocks.

    Raises:
        CodexUnusable: it cannot be run, or says something else.
    """
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            # In a home of its own it would put helpers beside telling its version.
            env={**os.environ, "CODEX_HOME": str(Path(os.devnull) / "none")},
            timeout=_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise CodexUnusable(f"{path} does not tell its version in {_SECONDS:g} seconds") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CodexUnusable(f"{path} --version failed ({error.returncode}): {said}") from error
    except OSError as error:
        raise CodexUnusable(f"{path} cannot be run: {error.strerror}") from error
    said = done.stdout.decode(errors="replace").strip()
    found = re.fullmatch(r"codex\S* (\d+(?:\.\d+)+\S*)", said)
    if found is None:
        raise CodexUnusable(f"{path} --version says {said[:60]!r}: that is no codex")
    return found[1]
