"""Owns the taking of an address: one supervisor listens there, and only this user reaches it.

Invariant: the lock beside the socket is held from before the socket is touched until it is gone; a
socket is removed only if nobody listens at it. The file of the lock stays: if it were removed, two
could hold "the" lock. Must not know what is spoken.
"""

import fcntl
import os
import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import trio

from codex_actors.control.errors import AddressHeld, AddressRefused

__all__ = ["claim_address", "hold_lock", "lock_path"]

BACKLOG = 128


def lock_path(path: Path) -> Path:
    """Return where the lock of an address is."""
    return path.with_name(f"{path.name}.lock")


@contextmanager
def claim_address(path: Path) -> Generator[trio.SocketListener]:
    """Listen at an address for the duration of the block.

    Raises:
        AddressHeld: Another supervisor does.
        AddressRefused: There is something else, or the directory is open to others.
    """
    _prepare(path.parent)
    with hold_lock(lock_path(path), f"a supervisor listens at {path}"):
        _remove_stale(path)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(_listen(path)))
        try:
            mine = path.lstat()
            try:
                yield listener
            finally:
                with suppress(OSError):  # it may be gone, or another's
                    if os.path.samestat(path.lstat(), mine):
                        path.unlink()
        finally:
            listener.socket.close()


@contextmanager
def hold_lock(path: Path, what: str) -> Generator[None]:
    """Hold a lock file for the duration of the block; it names this process.

    Args:
        path: The file; made if it is not there.
        what: What holding it means, for the error.

    Raises:
        AddressHeld: Another process holds it.
        AddressRefused: It cannot be opened as this user's file.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AddressRefused(f"the lock {path} cannot be opened: {error.strerror}") from error
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            raise AddressRefused(f"the lock {path} belongs to another user")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _read_pid(lock)
            who = "its process is not known" if pid is None else f"process {pid}"
            raise AddressHeld(f"{what} already ({who}): end that one first", pid) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _read_pid(lock: int) -> int | None:
    with suppress(ValueError, OSError):
        return int(os.pread(lock, 32, 0))
    return None


def _prepare(folder: Path) -> None:
    """Have a folder in which nobody else can put a socket of his own.

    Raises:
        AddressRefused: There is none to be had.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise AddressRefused(
            f"there can be no socket in {folder}: {error.strerror}; choose another by --socket"
        ) from error
    foreign = found.st_uid not in {os.geteuid(), 0}
    shared = bool(found.st_mode & 0o022) and not found.st_mode & stat.S_ISVTX
    if not stat.S_ISDIR(found.st_mode):
        # A link that somebody else may turn is a folder of his.
        foreign = foreign or not stat.S_ISLNK(found.st_mode)
    if foreign or shared:
        whose = "belongs to another user" if foreign else "can be written to by others"
        raise AddressRefused(
            f"there can be no private socket in {folder}, which {whose}: choose another by --socket"
        )


def _remove_stale(path: Path) -> None:
    """Remove the socket that a killed supervisor left.

    Raises:
        AddressHeld: Somebody listens there.
        AddressRefused: There is something else.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AddressRefused(
            f"{path} is no socket: move it away, or choose another path by --socket"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                path.unlink()
            return
        except BlockingIOError:
            pass  # so many wait there that somebody listens
        except OSError as error:
            raise AddressRefused(f"{path} cannot be looked at: {error.strerror}") from error
    raise AddressHeld(f"somebody listens at {path} already: end that process first")


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Nothing is awaited in between, and other threads' files only become more private.
    umask = os.umask(0o177)
    try:
        listening.bind(os.fspath(path))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise AddressRefused(f"there can be no socket at {path}: {error.strerror}") from error
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(umask)
    listening.settimeout(0)
    return listening
