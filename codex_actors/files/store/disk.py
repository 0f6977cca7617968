"""Owns the system calls on files, so that tests can fail, record or reorder each one.

Invariant: everything that the file layer does to a disk goes through one `Disk`; files are 0600 and
directories 0700 whatever the umask; with durability "none" nothing is synced. Blocking: only from
worker threads. Must not know checksums, names or the manifest.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import sys
from pathlib import Path

from attrs import frozen

from codex_actors.files.content_type import HEAD_BYTES
from codex_actors.files.errors import FilesError, StagingFull, StagingIOError
from codex_actors.files.model import Durability
from codex_actors.files.store.layout import DIRECTORY_MODE, FILE_MODE

__all__ = ["Disk", "directories_in", "staging_error"]

_SECOND = 1_000_000_000  # ns
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What a file system answers that has no (more) hard links for this file.
_NO_LINK = frozenset({errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV})

# What opening says to a symlink, a socket, or a device without a driver.
_IRREGULAR = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV})


def staging_error(error: OSError, path: Path) -> FilesError:
    """Return the typed error for a failed system call in the staging directory."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return StagingFull(
            error.errno,
            f"There is no room for {path} ({reason}): free some, or name another staging"
            " directory.",
            str(path),
        )
    return StagingIOError(
        error.errno or errno.EIO,
        f"The staging directory failed at {path} ({reason}): check it, or name another one.",
        str(path),
    )


def directories_in(path: Path) -> list[str]:
    """Return the names of the directories in one, sorted; none when it is not there. Blocking.

    A symlink is none of them: what it leads to is not ours to move or delete.
    """
    with contextlib.suppress(FileNotFoundError), os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    return []


@frozen
class Disk:
    """System calls on files.

    Attributes:
        durability: "full" syncs what it is asked to sync, "none" syncs nothing.
    """

    durability: Durability = "full"

    def open_source(self, path: Path) -> int:
        """Open a file for reading, without ever waiting for a writer at the other end of a FIFO."""
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)

    def create(self, path: Path) -> int:
        """Create a file that was not there, for writing (and reading back)."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, FILE_MODE)
        try:
            os.fchmod(descriptor, FILE_MODE)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read_into(self, descriptor: int, buffer: bytearray) -> int:
        """Fill a buffer as far as possible; return how far, 0 at the end of the file."""
        return os.readv(descriptor, [buffer])

    def read_at(self, descriptor: int, buffer: memoryview, position: int) -> int:
        """Fill a buffer from a position on as far as possible; return how far."""
        return os.preadv(descriptor, [buffer], position)

    def copy_range(self, source: int, target: int, size: int) -> int:
        """Copy bytes between two files where both stand; return how many, 0 at the end.

        Raises:
            OSError: Also where the system cannot, or not between these two.
        """
        if sys.platform != "linux":
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        return os.copy_file_range(source, target, size)

    def write(self, descriptor: int, data: bytes | memoryview) -> None:
        """Write all of `data`."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def backdate(self, descriptor: int) -> None:
        """Set the modification time of a complete file to one that no later write can leave.

        File systems stamp with a clock that stands still for milliseconds: a write within the tick
        of the last one would not show otherwise.
        """
        status = os.fstat(descriptor)
        earlier = (status.st_mtime_ns // _SECOND - 1) * _SECOND
        os.utime(descriptor, ns=(status.st_atime_ns, earlier))

    def make_directory(self, path: Path) -> bool:
        """Create a directory unless it is there; tell whether it was created."""
        try:
            path.mkdir(DIRECTORY_MODE)
        except FileExistsError:
            return False
        path.chmod(DIRECTORY_MODE)
        return True

    def link(self, source: Path, target: Path) -> bool:
        """Give a file a second name; False where the file system has no more of those.

        Raises:
            FileExistsError: The target is there.
        """
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NO_LINK:
                return False
            raise
        return True

    def copy(self, source: Path, target: Path) -> None:
        """Write and sync a copy under a name that is not taken."""
        descriptor = self.create(target)
        with os.fdopen(descriptor, "wb") as writer, source.open("rb") as reader:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            self.backdate(descriptor)
            self.sync_file(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Move a file over another, atomically."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a name of a file."""
        path.unlink()

    def remove_directory(self, path: Path) -> bool:
        """Remove a directory if it is empty; tell whether it is gone."""
        try:
            path.rmdir()
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            raise
        return True

    def status_of(self, path: Path) -> os.stat_result | None:
        """Return the status of a regular file, None when there is none of that name."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                return status
        return None

    def size_of(self, path: Path) -> int | None:
        """Return the size of a regular file, None when there is none of that name."""
        status = self.status_of(path)
        return None if status is None else status.st_size

    def open_blob(self, path: Path) -> int | None:
        """Open a regular file for reading, None when there is none of that name."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in _IRREGULAR:
                return None
            raise
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        return None

    def head_of(self, path: Path) -> bytes:
        """Return the first bytes of a file."""
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)

    def sync_file(self, descriptor: int) -> None:
        """Make the bytes of a file survive a power cut."""
        if self.durability == "full":
            if sys.platform == "darwin":
                # There, fsync leaves the bytes in the drive's cache.
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            else:
                os.fsync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory survive a power cut."""
        if self.durability == "full":
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
