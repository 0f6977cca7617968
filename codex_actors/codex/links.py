"""Owns the private directory through which codex sees the files of one turn.

Invariant: its path and every name in it are of our own making and safe in every argument of codex
(a comma splits `-i`, also one in a directory's name, and the staging directory is the user's
choice); mode 0700; gone when the block ends, however it ends. The entries are symbolic links: codex
and its sandboxes follow them, and, unlike through a hard link, the agent's rights to write are
those it has where the file truly lies. Must not know what the files are.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

__all__ = ["open_links", "safe_parent"]

CLEANUP_TIMEOUT = 10.0
_SAFE = re.compile(r"(/[A-Za-z0-9_+.][A-Za-z0-9_+.-]*)+/?|/")


def safe_parent(preferred: str | None = None) -> Path:
    """Return a directory for temporary files whose path codex cannot misread.

    Raises:
        FileNotFoundError: There is none.
    """
    for candidate in (preferred or tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp makes a private directory there
        if _SAFE.fullmatch(candidate) and Path(candidate).is_dir():
            return Path(candidate)
    raise FileNotFoundError(
        "no directory for temporary files has a path without commas, spaces and quotes: "
        "set TMPDIR to one"
    )


@asynccontextmanager
async def open_links(targets: Mapping[str, Path]) -> AsyncGenerator[Path]:
    """Open a private directory that holds a link for each name; the directory goes at exit.

    Making it is not interrupted by cancellation, so that it is never left behind; removing it is
    shielded and takes at most `CLEANUP_TIMEOUT` seconds.

    Raises:
        OSError: It cannot be made.
    """
    directory = await trio.to_thread.run_sync(_make, dict(targets))
    try:
        yield directory
    finally:
        with trio.move_on_after(CLEANUP_TIMEOUT, shield=True):
            # The agent may have written into it: whatever is there goes, links are not followed.
            await trio.to_thread.run_sync(
                lambda: shutil.rmtree(directory, ignore_errors=True), abandon_on_cancel=True
            )


def _make(targets: dict[str, Path]) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="codex-turn-", dir=safe_parent()))
    try:
        for name, target in targets.items():
            (directory / name).symlink_to(target.absolute())
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return directory
