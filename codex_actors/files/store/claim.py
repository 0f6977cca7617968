"""Owns this process's folder of partial files, and with it its identity in a staging directory.

Invariant: the lock of the folder is held exactly as long as this process may write there or holds
leases, so a folder whose lock can be taken belongs to the dead, whatever process ids were reused.
The claim outlives a registry that crashes: its leases are still held by those who took them.
Must not know what the partial files are for.
"""

import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
import threading
from collections.abc import Generator, Iterator
from enum import Enum
from pathlib import Path

from attrs import define, field

from codex_actors.files.errors import StagingIOError
from codex_actors.files.store.disk import Disk, directories_in, staging_error
from codex_actors.files.store.layout import FILE_MODE, PARTIAL_SUFFIX, Layout

__all__ = ["Claim", "claim", "is_dead", "owners", "remove_dead", "settle"]

_ATTEMPTS = 16

# One claim per process and directory, however many trees of this process share it.
_claims: dict[Path, "Claim"] = {}
_mutex = threading.Lock()


@define(eq=False)
class Claim:
    """The folder of this process in one staging directory.

    Attributes:
        layout: The directory.
        owner: The folder's name: who holds this process's leases.
    """

    layout: Layout
    owner: str
    _descriptor: int
    _holders: int = 1
    _bereft: int = 0
    _numbers: Iterator[int] = field(factory=itertools.count)
    _folder: Path = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._folder = self.layout.owned(self.owner)

    def new_partial(self) -> Path:
        """Return the path of a partial file that nobody else will use. Does not block."""
        return self._folder / f"{next(self._numbers)}{PARTIAL_SUFFIX}"

    def abandon(self) -> None:
        """Leave the claim to whoever claims next: its holder crashed, and will be restarted."""
        with _mutex:
            self._bereft += 1

    def release(self) -> None:
        """Give the claim up; the last holder's release removes the folder. Blocking."""
        with _mutex:
            self._leave(1)

    def settle(self) -> None:
        """Give up what was abandoned and will not be taken over any more. Blocking."""
        with _mutex:
            bereft, self._bereft = self._bereft, 0
            self._leave(bereft)

    @property
    def is_last(self) -> bool:
        """Tell whether nobody else in this process holds it."""
        return self._holders == 1

    def _leave(self, holders: int) -> None:
        if holders == 0 or _claims.get(self.layout.root) is not self:
            return  # nothing to give up, or a forked child's copy of its parent's claim
        self._holders -= holders
        if self._holders == 0:
            del _claims[self.layout.root]
            _remove_folder(self.layout, self.owner)
            os.close(self._descriptor)

    def drop(self) -> None:
        """Close what a forked child inherited; the claim stays its parent's."""
        os.close(self._descriptor)

    def join(self) -> None:
        """Hold the claim once more, or in place of a holder that crashed. Under the mutex."""
        if self._bereft:
            self._bereft -= 1
        else:
            self._holders += 1


def claim(layout: Layout, disk: Disk) -> Claim:
    """Return this process's claim on a staging directory, joining one that is there. Blocking.

    Raises:
        StagingFull, StagingIOError: No folder could be created or locked.
    """
    with _mutex:
        existing = _claims.get(layout.root)
        if existing is not None:
            existing.join()
            return existing
        for _ in range(_ATTEMPTS):
            owner = f"{os.getpid()}-{secrets.token_hex(8)}"
            try:
                descriptor = _lock_new(layout, owner, disk)
            except OSError as error:
                raise staging_error(error, layout.owned(owner)) from error
            if descriptor is not None:
                fresh = Claim(layout, owner, descriptor)
                _claims[layout.root] = fresh
                return fresh
    raise StagingIOError(
        f"Another process keeps removing {layout.partials}/*: stop it, or name another staging"
        " directory."
    )


def settle(layout: Layout) -> None:
    """Give up this process's claim where crashed holders were the last. Blocking."""
    with _mutex:
        existing = _claims.get(layout.root)
    if existing is not None:
        existing.settle()


def owners(layout: Layout) -> list[str]:
    """Return the owners of all folders, dead ones too. Blocking."""
    return directories_in(layout.partials)


def is_dead(layout: Layout, owner: str) -> bool:
    """Tell whether the process that made a folder has let go of it: for good, then. Blocking."""
    with _lock(layout, owner, os.O_RDWR) as state:
        return state is not _State.ALIVE


def remove_dead(layout: Layout, owner: str) -> bool:
    """Remove the folder of a dead process; tell whether that was done. Blocking."""
    with _lock(layout, owner, os.O_RDWR) as state:
        if state is _State.DEAD:
            _remove_folder(layout, owner)
    if state is not _State.UNLOCKED:
        return state is _State.DEAD
    # It may be in the making: then its maker finds our lock, and makes another.
    with _lock(layout, owner, os.O_RDWR | os.O_CREAT | os.O_EXCL) as state:
        if state is _State.DEAD:
            _remove_folder(layout, owner)
        return state is not _State.ALIVE


def _lock_new(layout: Layout, owner: str, disk: Disk) -> int | None:
    """Create and lock a folder, None when a sweeper took it for dead before it was locked."""
    disk.make_directory(layout.partials)
    try:
        disk.make_directory(layout.owned(owner))
        descriptor = disk.create(layout.lock(owner))
    except (FileNotFoundError, FileExistsError):
        return None
    except BaseException:
        _remove_folder(layout, owner)
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), layout.lock(owner).lstat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        _remove_folder(layout, owner)
        raise
    os.close(descriptor)
    _remove_folder(layout, owner)
    return None


class _State(Enum):
    """What the lock of a folder tells of its maker; all but ALIVE are for good."""

    ALIVE = "alive"
    DEAD = "dead"
    UNLOCKED = "unlocked"  # it died between two steps, or is between them


@contextlib.contextmanager
def _lock(layout: Layout, owner: str, flags: int) -> Generator[_State]:
    """Tell how the owner of a folder is; if it is dead, nobody can take its place in the block.

    The lock is a shared one: several may look, or sweep, at once.
    """
    try:
        descriptor = os.open(
            layout.lock(owner), flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode=FILE_MODE
        )
    except FileNotFoundError:
        yield _State.UNLOCKED
        return
    except FileExistsError:
        yield _State.ALIVE
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _State.ALIVE
        else:
            yield _State.DEAD
    finally:
        os.close(descriptor)


def _remove_folder(layout: Layout, owner: str) -> None:
    folder = layout.owned(owner)
    with contextlib.suppress(OSError):
        # The lock goes last: until then the folder can be told from one that is being made.
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == "lock"):
            with contextlib.suppress(FileNotFoundError):
                # Another process may be at it, too.
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        folder.rmdir()


def _forget_in_child() -> None:
    """Leave a forked child without its parent's claims, and let their locks end with the parent."""
    global _mutex
    _mutex = threading.Lock()  # some other thread of the parent's may have held it
    for inherited in _claims.values():
        inherited.drop()
    _claims.clear()


os.register_at_fork(after_in_child=_forget_in_child)
