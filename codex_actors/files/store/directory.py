"""Owns the choice and the preparation of a staging directory.

Invariant: what is used is a real directory of this user that nobody else can enter, and that tells
version control and backups to keep off; a directory that holds anything else is not touched. Must
not know what is staged in it.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from codex_actors.files.config_file import find_config_file
from codex_actors.files.errors import StagingDirRefused
from codex_actors.files.store.disk import Disk, staging_error
from codex_actors.files.store.layout import DIRECTORY_MODE, FILE_MODE, Layout

__all__ = [
    "DEFAULT_STAGING_DIR",
    "STAGING_DIR_VARIABLE",
    "check_staging_dir",
    "choose_staging_dir",
    "opening",
    "prepare_staging_dir",
]

STAGING_DIR_VARIABLE = "CODEX_ACTORS_STAGING_DIR"
DEFAULT_STAGING_DIR = Path("_build/codex_files")

_TAG = "CACHEDIR.TAG"
_MARKS = {
    ".gitignore": b"*\n",
    _TAG: (
        b"Signature: 8a477f597d28d172789f06886806bc55\n"
        b"# Staged attachments of codex-actors: see https://bford.info/cachedir/\n"
    ),
}


def choose_staging_dir(
    configured: Path | None, environ: Mapping[str, str], cwd: Callable[[], Path] = Path.cwd
) -> Path:
    """Return the staging directory, absolute.

    That is the configured one, else that of the environment, else that of the config file, which is
    not read before, else the default. Relative ones are taken under `cwd`, those of the config file
    under its directory. An empty variable counts as unset.

    Raises:
        StagingDirRefused: It is relative to a home or a working directory that is not there.
        InvalidConfig: The config file cannot be used.
    """
    named = configured or environ.get(STAGING_DIR_VARIABLE) or None
    chosen = DEFAULT_STAGING_DIR if named is None else Path(named)
    if named is None and (file := find_config_file(environ, cwd)) is not None:
        chosen = file.directory("staging_dir") or chosen
    try:
        chosen = chosen.expanduser()
    except RuntimeError as error:
        raise StagingDirRefused(
            f"The staging directory {chosen} is in the home of a user that has none here: name it"
            " without ~."
        ) from error
    if chosen.is_absolute():
        return chosen
    try:
        return cwd() / chosen
    except OSError as error:
        raise StagingDirRefused(
            f"The staging directory {chosen} is relative to the working directory, which is gone:"
            " change to one that is there, or name an absolute path."
        ) from error


def check_staging_dir(root: Path) -> bool:
    """Tell whether a staging directory is there, looking only. Blocking.

    Raises:
        StagingDirRefused: `prepare_staging_dir` would not take it.
        StagingIOError: It cannot be looked at.
    """
    try:
        _check(root, os.lstat(root))
        _refuse_other_things(Layout(root))
    except FileNotFoundError:
        return False
    except NotADirectoryError as error:
        raise _below_a_file(root) from error
    except OSError as error:
        raise staging_error(error, root) from error
    return True


def prepare_staging_dir(root: Path, disk: Disk) -> Layout:
    """Create or check a staging directory, and close it to others. Blocking.

    One that is there is taken only if it is empty or a staging directory already.

    Raises:
        StagingDirRefused: A symlink, no directory, another user's, or one of something else; it was
            not touched.
        StagingFull, StagingIOError: It could not be created or marked.
    """
    layout = Layout(root)
    try:
        _make_parents(root)
        created = disk.make_directory(root)
        _check(root, os.lstat(root))
        if not created:
            _adopt(layout)
        # First of all, and at once: what has this folder was, or is being, made by us.
        disk.make_directory(layout.partials)
        for folder in (layout.partials, layout.quarantine):
            if folder.is_symlink():
                raise StagingDirRefused(
                    f"{folder} is a symlink, and what it leads to may be others': remove it."
                )
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


def _make_parents(root: Path) -> None:
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise _below_a_file(root) from error


def _below_a_file(root: Path) -> StagingDirRefused:
    return StagingDirRefused(
        f"The staging directory {root} cannot be created, since one of its parents is a file:"
        " name another path."
    )


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


def _adopt(layout: Layout) -> None:
    """Close a directory that was there to others, if it is one of ours or may become one."""
    _refuse_other_things(layout)
    root = layout.root
    if stat.S_IMODE(root.lstat().st_mode) & 0o077:
        root.chmod(DIRECTORY_MODE)


def _refuse_other_things(layout: Layout) -> None:
    names = {entry.name for entry in layout.root.iterdir()}
    if names and not _is_ours(layout, names):
        raise StagingDirRefused(
            f"The directory {layout.root} is not empty and no staging directory: name a new or"
            " empty one."
        )


def _is_ours(layout: Layout, names: set[str]) -> bool:
    if layout.partials.name in names:
        locks = {layout.lock_file.name, layout.supervisor_lock.name}
        made_first = {layout.partials.name, *locks, *_MARKS}
        # The tag may be there without its text: by a process that is just writing, or was killed.
        if layout.manifest.name in names or names <= made_first:
            return True
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        return (layout.root / _TAG).read_bytes().startswith(_MARKS[_TAG])
    return False


def _mark(path: Path, content: bytes, disk: Disk) -> None:
    if disk.size_of(path) == 0:
        # Whoever made it was killed, or found no room, before it was written; or is writing just
        # now: then either has the same text.
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(path)
    try:
        descriptor = disk.create(path)
    except FileExistsError:
        return
    try:
        disk.write(descriptor, content)
    finally:
        os.close(descriptor)
