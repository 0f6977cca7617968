"""Owns the taking of an address: one supervisor listens there, and only this user reaches it.

Invariant: the lock beside the socket is held from before the socket is touched until it is gone; a
socket is removed only if nobody listens at it; it is closed to others from its first moment. Must
not know what is spoken.
"""

import grp
import os
import pwd
import socket
import stat
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import trio

from codex_actors.control.errors import AddressHeld, AddressRefused
from codex_actors.control.locks import closed_in_children, hold_lock
from codex_actors.control.peers import peer_of

__all__ = ["bind", "bind_masked", "claim_address", "lock_path"]

BACKLOG = 1024
"""Clients that wait to be let in; the system may allow fewer."""


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
        listening = _listen(path)
        with closed_in_children(listening.fileno()):
            try:
                listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
                mine = path.lstat()
                try:
                    yield listener
                finally:
                    with suppress(OSError):  # it may be gone, or another's
                        if os.path.samestat(path.lstat(), mine):
                            path.unlink()
            finally:
                if trio.lowlevel.in_trio_run():
                    trio.lowlevel.notify_closing(listening)  # whoever accepts is woken
                listening.close()


def _prepare(folder: Path) -> None:
    """Have a folder in which nobody else can put a socket of his own.

    Raises:
        AddressRefused: There is none to be had.
    """
    try:
        _make(folder)
        link, found = folder.lstat(), folder.stat()
    except OSError as error:
        raise AddressRefused(
            f"there can be no socket in {folder}: {error.strerror or error}; choose another by"
            " --socket"
        ) from error
    whose = ""
    # A link that somebody else may turn is a folder of his.
    if not {link.st_uid, found.st_uid} <= {os.geteuid(), 0}:
        whose = "belongs to another user"
    elif not stat.S_ISDIR(found.st_mode):
        whose = "is no directory"
    elif _is_open(found):
        whose = "can be written to by others"
    if whose:
        raise AddressRefused(
            f"there can be no private socket in {folder}, which {whose}: choose another by --socket"
        )


def _make(folder: Path) -> None:
    """Make a folder, closed to others, and what is missing above it."""
    try:
        folder.mkdir(mode=0o700)
    except FileNotFoundError:
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        pass


def _is_open(folder: os.stat_result) -> bool:
    """Tell whether others may replace what is in a folder."""
    if folder.st_mode & stat.S_ISVTX:
        return False
    by_group = folder.st_mode & stat.S_IWGRP and not _is_own_group(folder.st_gid)
    return bool(folder.st_mode & stat.S_IWOTH or by_group)


def _is_own_group(gid: int) -> bool:
    """Tell whether a group is the private one of this user, as many systems make one for each."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _remove_stale(path: Path) -> None:
    """Remove the socket that a killed supervisor left.

    Raises:
        AddressHeld: Somebody listens there.
        AddressRefused: There is something else.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise AddressRefused(f"{path} cannot be looked at: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise AddressRefused(
            f"{path} is no socket: move it away, or choose another path by --socket"
        )
    if found.st_uid != os.geteuid():
        raise AddressRefused(f"{path} belongs to another user: choose another path by --socket")
    pid = None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(os.fspath(path))
            pid = peer_of(probe).pid
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                path.unlink()
            return
        except BlockingIOError:
            pass  # so many wait there that somebody listens
        except OSError as error:
            raise AddressRefused(f"{path} cannot be looked at: {error.strerror}") from error
    who = "its process is not known" if pid is None else f"process {pid}"
    raise AddressHeld(f"somebody listens at {path} already ({who}): end that process first", pid)


def _listen(path: Path) -> socket.socket:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            bind(listening, os.fspath(path))
            listening.listen(BACKLOG)
        except OSError as error:
            why = error.strerror or error
            raise AddressRefused(f"there can be no socket at {path}: {why}") from error
        listening.settimeout(0)
        stack.pop_all()
    return listening


def bind(listening: socket.socket, path: str) -> None:
    """Bind a socket whose file has the mode 0600 from its first moment."""
    if sys.platform == "linux":
        # The file gets the mode of the socket.
        os.fchmod(listening.fileno(), 0o600)
        listening.bind(path)
    else:
        bind_masked(listening, path)


def bind_masked(listening: socket.socket, path: str) -> None:
    """Bind it where a socket has no mode: the mask is the whole process's for this moment."""
    mask = os.umask(0o177)
    try:
        listening.bind(path)
    finally:
        os.umask(mask)
