"""Owns where a supervisor's socket is, so that whoever knows its staging directory finds it.

Invariant: the same directory and environment give the same path, by whatever name the directory is
called; nothing is created here. Must not know sockets.
"""

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from blake3 import blake3

from codex_actors.control.errors import AddressRefused

__all__ = ["MAX_PATH", "choose_address", "find_address", "is_private"]

# What fits into sockaddr_un.sun_path, the NUL left out.
MAX_PATH = 103 if sys.platform == "darwin" else 107

_FOLDER = "codex_actors"
_DIGITS = 16


def choose_address(
    staging_dir: Path, socket: Path | None = None, environ: Mapping[str, str] | None = None
) -> Path:
    """Return the path of the socket that a supervisor makes.

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
        return _chosen(socket)
    return next(_places(staging_dir, environ.get("XDG_RUNTIME_DIR"), environ))


def find_address(
    staging_dir: Path, socket: Path | None = None, environ: Mapping[str, str] | None = None
) -> Path:
    """Return the path of the socket at which a supervisor is to be asked.

    That is the one of `choose_address`, unless there is none and one is where a supervisor would
    make it that was started with other variables: from a service manager, or by cron.

    Raises:
        AddressRefused: What was chosen is too long for a socket.
    """
    environ = os.environ if environ is None else environ
    if socket is not None:
        return _chosen(socket)
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    places = list(_places(staging_dir, runtime, environ))
    first = choose_address(staging_dir, None, environ)
    return next((place for place in [first, *places] if _is_socket_of_ours(place)), first)


def is_private(directory: Path) -> bool:
    """Whether a directory is this user's, and closed to all others."""
    try:
        found = directory.stat()
    except (OSError, ValueError):
        return False
    return (
        stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    )


def _chosen(socket: Path) -> Path:
    chosen = Path(os.path.abspath(socket))  # noqa: PTH100 - links are kept as they are
    if not _fits(chosen):
        raise AddressRefused(
            f"{chosen} is longer than the path of a socket can be ({MAX_PATH} bytes): choose a"
            " shorter one"
        )
    return chosen


def _places(staging_dir: Path, runtime: str | None, environ: Mapping[str, str]) -> Iterator[Path]:
    """Iterate over where the socket may be, the best place first; at least one."""
    staging_dir = Path(os.path.realpath(staging_dir))
    name = f"{blake3(os.fsencode(staging_dir)).hexdigest()[:_DIGITS]}.sock"
    if runtime and Path(runtime).is_absolute() and is_private(Path(runtime)):
        place = Path(runtime) / _FOLDER / name
        if _fits(place):
            yield place
    beside = staging_dir.parent / f"{staging_dir.name}.sock"
    if _fits(beside):
        yield beside
    # Not by `tempfile`, which writes where it looks.
    for temporary in (environ.get("TMPDIR") or "/tmp", "/tmp"):  # noqa: S108 - a private folder in it
        place = Path(temporary) / f"{_FOLDER}-{os.geteuid()}" / name
        if place.is_absolute() and _fits(place):
            yield place


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_PATH


def _is_socket_of_ours(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()
