"""Owns finding the codex executable.

Invariant: what the user named is used or refused, never silently replaced by another. Must not run
anything.
"""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from codex_actors.codex.errors import CodexNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CODEX_VARIABLE", "bundled_codex", "find_codex"]

CODEX_VARIABLE = "CODEX_ACTORS_CODEX"


def bundled_codex() -> Path | None:
    """Return the executable that the extra `codex` installed, None without the extra."""
    try:
        package = importlib.import_module("codex_cli_bin")
        return Path(package.bundled_codex_path())
    except (ImportError, FileNotFoundError):
        return None


def find_codex(
    codex_path: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    bundled: Callable[[], Path | None] = bundled_codex,
) -> Path:
    """Find codex: the argument, else `CODEX_ACTORS_CODEX`, else the extra's binary, else PATH.

    Looks at the disk, so call it in a thread when that matters. `environ` defaults to that of this
    process.

    Raises:
        CodexNotFound: There is none, or the one that was named cannot be executed.
    """
    environ = os.environ if environ is None else environ
    for named, by in (
        (codex_path, "codex_path"),
        (environ.get(CODEX_VARIABLE) or None, CODEX_VARIABLE),
    ):
        if named is not None:
            return _named(os.fspath(named), by, environ)
    found = bundled() or shutil.which("codex", path=environ.get("PATH"))
    if found is None:
        raise CodexNotFound(
            "the codex executable was not found. Give it as codex_path=..., name it in the "
            f"environment variable {CODEX_VARIABLE}, install the extra (pip install "
            "'codex-actors[codex]'), or put it on PATH"
        )
    return Path(found).absolute()


def _named(name: str, by: str, environ: Mapping[str, str]) -> Path:
    found = shutil.which(os.path.expanduser(name), path=environ.get("PATH"))  # noqa: PTH111 - a bare name must stay one
    if found is None:
        raise CodexNotFound(f"{by} names {name!r}, which is not an executable file: correct it")
    return Path(found).absolute()
