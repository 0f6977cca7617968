"""Owns the choice and the preparation of a staging directory.

Invariant: what is used is a real directory of this user that nobody else can enter, and that tells
version control and backups to keep off. Must not know what is staged in it.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Generator, Mapping
from pathlib import Path

from codex_actors.files.errors import StagingDirRefused
from codex_actors.files.store.disk import Disk, staging_error
from codex_actors.files.store.layout import DIRECTORY_MODE, FILE_MODE, Layout

__all__ = ["STAGING_DIR_VARIABLE", "choose_staging_dir", "opening", "prepare_staging_dir"]

STAGING_DIR_VARIABLE = "CODEX_ACTORS_STAGING_DIR"

_DEFAULT = Path("_build/codex_files")
_MARKS = {
    ".gitignore": b"*\n",
    "CACHEDIR.TAG": (
        b"Signature: 8a477f597d28d172789f06886806bc55\n"
        b"# Staged attachments of codex-actors: see https://bford.info/cachedir/\n"
    ),
}


def choose_staging_dir(configured: Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """Return the staging directory, absolute: configured, of the environment, or the default.

    Relative ones are taken under `cwd`. An empty variable counts as unset.
    """
    chosen = configured or Path(environ.get(STAGING_DIR_VARIABLE) or _DEFAULT)
    return cwd / chosen.expanduser()


def prepare_staging_dir(root: Path, disk: Disk) -> Layout:
    """Create or check a staging directory, and close it to others. Blocking.

    Raises:
        StagingDirRefused: A symlink, no directory, or another user's.
        StagingFull, StagingIOError: It could not be created or marked.
    """
    layout = Layout(root)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        created = disk.make_directory(root)
        _check(root, os.lstat(root))
        disk.make_directory(layout.partials)
        for name, content in _MARKS.items():
            _mark(root / name, content, disk)
        if created:
            disk.sync_directory(root.parent)
    except OSError as error:
        raise staging_error(error, root) from error
    return layout


@contextlib.contextmanager
def opening(layout: Layout) -> Generator[None]:
    """Be the only process that opens, sets aside or rebuilds the manifest. Blocking.

    Raises:
        StagingFull, StagingIOError: The lock cannot be created.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(layout.lock_file, flags, FILE_MODE)
    except OSError as error:
        raise staging_error(error, layout.lock_file) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check(root: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise StagingDirRefused(
            f"The staging directory {root} is a symlink: name the directory that it points to."
        )
    if not stat.S_ISDIR(status.st_mode):
        raise StagingDirRefused(f"The staging directory {root} is a file: name another path.")
    if status.st_uid != os.geteuid():
        raise StagingDirRefused(
            f"The staging directory {root} belongs to user {status.st_uid}, not to user"
            f" {os.geteuid()}: name one of your own."
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        root.chmod(DIRECTORY_MODE)


def _mark(path: Path, content: bytes, disk: Disk) -> None:
    try:
        descriptor = disk.create(path)
    except FileExistsError:
        return
    try:
        disk.write(descriptor, content)
    finally:
        os.close(descriptor)
