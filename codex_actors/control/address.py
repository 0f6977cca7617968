"""Owns where a supervisor's socket is, so that whoever knows its staging directory finds it.

Invariant: the same directory and environment give the same path; nothing is created here. Must not
know sockets.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from codex_actors.control.errors import AddressRefused

__all__ = ["MAX_PATH", "choose_address", "is_private"]

# What fits into sockaddr_un.sun_path, the NUL left out.
MAX_PATH = 103 if sys.platform == "darwin" else 107

_FOLDER = "codex_actors"
_DIGITS = 16


def choose_address(
    staging_dir: Path, socket: Path | None = None, environ: Mapping[str, str] | None = None
) -> Path:
    """Return the path of the socket.

    It is what `socket` says; else in the user's runtime directory, if there is a private one; else
    beside the staging directory; else, where that is too long for a socket, in a private folder
    for temporary files.

    Args:
        staging_dir: Whose supervisor it is.
        socket: What somebody has chosen.
        environ: Variables, those of this process when None.

    Raises:
        AddressRefused: What was chosen is too long for a socket.
    """
    environ = os.environ if environ is None else environ
    if socket is not None:
        chosen = Path(os.path.abspath(socket))  # noqa: PTH100 - links are kept as they are
        if not _fits(chosen):
            raise AddressRefused(
                f"{chosen} is longer than the path of a socket can be ({MAX_PATH} bytes): choose a"
                " shorter one"
            )
        return chosen
    staging_dir = Path(os.path.realpath(staging_dir))
    name = f"{blake3(os.fsencode(staging_dir)).hexdigest()[:_DIGITS]}.sock"
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime and is_private(Path(runtime)) and _fits(Path(runtime) / _FOLDER / name):
        return Path(runtime) / _FOLDER / name
    beside = staging_dir.with_name(f"{staging_dir.name}.sock")
    if _fits(beside):
        return beside
    return Path(tempfile.gettempdir()) / f"{_FOLDER}-{os.geteuid()}" / name


def is_private(directory: Path) -> bool:
    """Whether a directory is this user's, and nobody else may write to it."""
    try:
        found = directory.stat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    )


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_PATH
