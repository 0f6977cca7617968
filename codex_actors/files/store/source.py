"""Owns the judgement of a path that is to be staged.

Invariant: opening never waits, only a regular file passes, and an identity is trusted only when a
later write could not have left it the same (git's rule for "racy" files). Must not know where the
bytes go.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Generator
from pathlib import Path

from attrs import frozen

from codex_actors.files.errors import (
    FilesError,
    NotARegularFile,
    SourceChanged,
    SourceNotFound,
    SourceNotReadable,
    StagingIOError,
)
from codex_actors.files.store.disk import Disk

__all__ = ["SourceIdentity", "check_unchanged", "identify", "open_source", "source_error"]

_FINE_GRAIN = 20_000_000  # ns: two ticks of the slowest kernel clock that stamps files
_COARSE_GRAIN = 2_000_000_000  # ns: FAT
_SECOND = 1_000_000_000  # ns

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


@frozen
class SourceIdentity:
    """What stays the same as long as a file is not written to.

    Attributes:
        device, inode: Which file it is.
        size: Bytes.
        mtime_ns, ctime_ns: When its bytes, or anything of it, last changed (ns since 1970).
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    def is_racy(self, now_ns: int) -> bool:
        """Tell whether a write right after `now_ns` could leave this identity as it is."""
        coarse = self.mtime_ns % _SECOND == 0
        grain = _COARSE_GRAIN if coarse else _FINE_GRAIN
        return max(self.mtime_ns, self.ctime_ns) + grain > now_ns


def identify(status: os.stat_result) -> SourceIdentity:
    """Return the identity of a file by its status."""
    return SourceIdentity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def source_error(error: OSError, path: Path) -> FilesError:
    """Return the typed error for a source that could not be opened or read."""
    code = error.errno or errno.EIO
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceNotFound(code, f"There is no file {path} to stage: check the path.", str(path))
    if isinstance(error, PermissionError):
        return SourceNotReadable(
            code,
            f"The file {path} may not be read by this user: grant read permission, also to the"
            " directories above it.",
            str(path),
        )
    if error.errno in {errno.ENXIO, errno.ENODEV}:
        return _irregular(path, "a socket or device")
    return StagingIOError(
        code,
        f"The file {path} cannot be read ({os.strerror(code)}): check the disk that it is on.",
        str(path),
    )


@contextlib.contextmanager
def open_source(disk: Disk, path: Path) -> Generator[tuple[int, SourceIdentity, bool]]:
    """Open a regular file; give its descriptor, identity, and whether that may be trusted later.

    Raises:
        SourceNotFound, SourceNotReadable, NotARegularFile: As named; nothing was waited for.
        StagingIOError: Any other failure.
    """
    now = time.time_ns()
    try:
        descriptor = disk.open_source(path)
    except OSError as error:
        raise source_error(error, path) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            kind = next((name for test, name in _KINDS if test(status.st_mode)), "no file")
            raise _irregular(path, kind)
        identity = identify(status)
        yield descriptor, identity, not identity.is_racy(now)
    finally:
        os.close(descriptor)


def check_unchanged(path: Path, before: SourceIdentity, descriptor: int, copied: int) -> bool:
    """Check that a source was not written to; tell whether its metadata is the same, too.

    The change time alone is no ground for refusal: a new hard link or mode sets it, too.

    Raises:
        SourceChanged: It was written to; both sizes and times are named.
    """
    after = identify(os.fstat(descriptor))
    if (after.size, after.mtime_ns) != (before.size, before.mtime_ns) or copied != before.size:
        raise SourceChanged(
            f"{path} changed while it was staged (size {before.size} -> {after.size}, copied"
            f" {copied}, mtime {before.mtime_ns} -> {after.mtime_ns} ns): stage it again when it is"
            " complete."
        )
    return after == before


def _irregular(path: Path, kind: str) -> NotARegularFile:
    return NotARegularFile(f"{path} is {kind}, not a regular file: stage a file, or its bytes.")
