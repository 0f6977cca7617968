"""Owns the lock files by which supervisors keep out of each other's way.

Invariant: a lock is held exactly as long as the process that took it lives and wants it; its file
stays when it is given up, for if it were removed, two could hold "the" lock. A file that is not a
lock's is never written to. Must not know what is locked.
"""

import fcntl
import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from codex_actors.control.errors import AddressHeld, AddressRefused

__all__ = ["closed_in_children", "hold_lock", "lock_holder"]

_PID = re.compile(rb"\d{0,20}\n?")

# Descriptors that are this process's alone.
_own: set[int] = set()


@contextmanager
def hold_lock(path: Path, what: str) -> Generator[None]:
    """Hold a lock file for the duration of the block; it names this process.

    Args:
        path: The file; made if it is not there.
        what: What holding it means, for the error.

    Raises:
        AddressHeld: Another process holds it.
        AddressRefused: It cannot be opened as this user's file, or is no lock.
    """
    lock = _take(path, what)
    try:
        with closed_in_children(lock):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            try:
                yield
            finally:
                os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def lock_holder(path: Path) -> int | None:
    """Return the process that holds a lock, None when none does; looks only.

    The lock is not tried, since somebody who wants it at that moment would be turned away: it is
    the process that the file names, if it lives.
    """
    try:
        lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        written = os.pread(lock, 64, 0) if stat.S_ISREG(os.fstat(lock).st_mode) else b""
    finally:
        os.close(lock)
    pid = int(written) if written.strip() and _PID.fullmatch(written) else 0
    try:
        if pid > 0:
            os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass  # another user's, which lives
    return pid or None


@contextmanager
def closed_in_children(descriptor: int) -> Generator[None]:
    """Have a descriptor closed in what is forked meanwhile.

    A child that outlives this process would hold the lock, or the socket, of nobody.
    """
    _own.add(descriptor)
    try:
        yield
    finally:
        _own.discard(descriptor)


def _take(path: Path, what: str) -> int:
    """Return the descriptor of a lock that is held."""
    while True:
        try:
            lock = os.open(
                path,
                os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK,
                mode=0o600,
            )
        except OSError as error:
            raise AddressRefused(
                f"the lock {path} cannot be opened: {error.strerror or error}"
            ) from error
        try:
            _check(lock, path)
            _lock(lock, path, what)
            if _is_there(lock, path):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # somebody had removed it: the lock is another file now


def _check(lock: int, path: Path) -> None:
    found = os.fstat(lock)
    if found.st_uid != os.geteuid():
        raise AddressRefused(f"the lock {path} belongs to another user")
    if not stat.S_ISREG(found.st_mode) or not _PID.fullmatch(os.pread(lock, 64, 0)):
        raise AddressRefused(f"{path} is no lock of a supervisor: move it away")
    if found.st_nlink > 1:
        raise AddressRefused(f"the lock {path} is a link to another file: move it away")


def _lock(lock: int, path: Path, what: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        digits = os.pread(lock, 32, 0).strip()
        pid = int(digits) if digits else None
        who = "its process is not known" if pid is None else f"process {pid}"
        raise AddressHeld(f"{what} already ({who}): end that one first", pid) from None
    except OSError as error:
        raise AddressRefused(f"{path} cannot be locked: {error.strerror}") from error


def _is_there(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.lstat())
    except FileNotFoundError:
        return False


def _forget_in_child() -> None:
    for descriptor in _own:
        os.close(descriptor)
    _own.clear()


os.register_at_fork(after_in_child=_forget_in_child)
