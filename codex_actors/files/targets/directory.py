"""Owns the target that is a directory: for applications that need no server.

    <path>/<checksum>/<name>                   a file, complete
    <path>/.partials/<owner>/...               what a process is sending; gone when it has ended

Invariant: a content is there complete, under one name, or not at all; what a process that died has
left is removed by the next upload, and what one that lives is writing is not. Must not know where
the bytes come from.
"""

import errno
import os
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio
from attrs import define, field, frozen

from codex_actors.files.blocking import CLEANUP_SECONDS, Blocking, Threads
from codex_actors.files.errors import InvalidConfig, InvalidName, SystemCallError
from codex_actors.files.names import validate_name
from codex_actors.files.store.claim import Claim, claim, owners, remove_dead
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.hashing import READ_BYTES, Hasher, hasher
from codex_actors.files.store.layout import Layout
from codex_actors.files.targets.protocol import (
    CHUNK_BYTES,
    Body,
    Corrupted,
    Fate,
    Finished,
    Limits,
    Outgoing,
    Part,
    Receipt,
    Refused,
    Remote,
    Retryable,
    TargetFailure,
)

__all__ = ["DirectoryTarget"]

PART_BYTES = 8 << 20  # what counts as progress
BLOCK_BYTES = 4 * CHUNK_BYTES  # what one hop to a thread writes
_ATTEMPTS = 16
_NEVER = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
    }
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def _directory(path: str | os.PathLike[str]) -> Path:
    if not os.fspath(path) or "\0" in os.fspath(path):
        raise InvalidConfig(
            f"DirectoryTarget.path is {os.fspath(path)!r}: give the path of a directory."
        )
    # Symlinks resolved: two ways to one directory are one account.
    return Path(os.path.realpath(path))


@frozen
class DirectoryTarget:
    """A directory that uploads are published in, atomically and synced.

    A file becomes `<path>/<checksum>/<name>`, and that relative path its file id. It is written
    aside first; a reader never sees half of it. Another upload of the same content gets the file
    that is there. Directories and files are created for this user only.

    Attributes:
        path: The directory; it is created when something is uploaded. Not a staging directory.
        disk: Makes the system calls; `Disk("none")` syncs nothing.
        blocking: Where they are made.

    Raises:
        InvalidConfig: The path is none.
    """

    path: Path = field(converter=_directory)
    disk: Disk = field(factory=Disk, kw_only=True, repr=False)
    blocking: Blocking = field(factory=Threads, kw_only=True, repr=False)

    @property
    def name(self) -> str:
        """See `Target.name`."""
        return "directory"

    @property
    def limits(self) -> Limits:
        """See `Target.limits`: an empty file is a file; what was sent half is sent again."""
        return Limits(max_bytes=(1 << 63) - 1, min_bytes=0, part_size=PART_BYTES)

    def account(self) -> str:
        """See `Target.account`."""
        return os.fsencode(self.path).decode(errors="backslashreplace")  # it may be no UTF-8

    @asynccontextmanager
    async def open_session(self) -> AsyncGenerator["_Session"]:
        """See `Target.open_session`."""
        session = _Session(self.path, self.disk, self.blocking)
        try:
            yield session
        finally:
            with trio.move_on_after(CLEANUP_SECONDS, shield=True):
                await self.blocking.run(session.close)


@define(eq=False)
class _Writing:
    """A partial file, hashed as it is written, from part to part."""

    disk: Disk
    descriptor: int
    before: Hasher  # fed what came before the part in hand
    now: Hasher

    def write(self, data: bytes, position: int) -> None:
        """Write some of a part; blocking."""
        os.lseek(self.descriptor, position, os.SEEK_SET)
        self.disk.write(self.descriptor, data)
        self.now.update(data)

    def keep(self) -> None:
        """End the part."""
        self.before = self.now


@define(eq=False)
class _Session:
    path: Path
    disk: Disk
    blocking: Blocking
    _claim: Claim | None = None
    _writing: dict[str, _Writing] = field(factory=dict[str, _Writing])

    @property
    def layout(self) -> Layout:
        return Layout(self.path)

    async def begin(self, file: Outgoing) -> Remote:
        return await self._do(self._begin, file)

    async def send_part(self, file: Outgoing, remote: Remote, part: Part, body: Body) -> Receipt:
        del file
        writing = self._of(remote)
        writing.now = writing.before.copy()  # also when the part is sent again
        position = part.offset
        waiting = bytearray()
        async for chunk in body:
            waiting += chunk
            if len(waiting) >= BLOCK_BYTES:
                await self._do(writing.write, bytes(waiting), position)
                position += len(waiting)
                waiting.clear()
        await self._do(writing.write, bytes(waiting), position)
        writing.keep()
        return Receipt(part.number)

    async def complete(
        self, file: Outgoing, remote: Remote, receipts: Sequence[Receipt]
    ) -> Finished:
        del receipts
        writing = self._of(remote)
        if writing.before.hexdigest() != file.checksum:
            raise Corrupted("the parts that arrived are not the file")
        content = await self._do(self._wrap, file, remote, writing)
        for _ in range(_ATTEMPTS):
            if await self._do(self._publish, content, file):
                return Finished(f"{file.checksum}/{file.name}")
            found = await self._find(file)
            if found is not None:
                await self._do(self._leave_to, content)
                return Finished(found)
            await self._do(self._clear, content, file)
        raise Retryable(f"somebody keeps writing to {self.layout.content(file.checksum)}")

    async def abort(self, file: Outgoing, remote: Remote) -> None:
        del file
        await self._do(self._abort, remote)

    async def send_whole(self, file: Outgoing, body: Body) -> Finished:
        del body
        raise Refused(f"a directory takes {file.name!r} in parts")

    async def settle(
        self, file: Outgoing, remote: Remote | None, receipts: Sequence[Receipt]
    ) -> Finished | Fate:
        del remote, receipts
        found = await self._find(file)
        return Fate.NOT_DONE if found is None else Finished(found)

    async def confirm(self, file_id: str) -> bool:
        return await self._do(self._has, file_id)

    def close(self) -> None:
        """Close what is open; the folder of this process goes with its last session."""
        for writing in self._writing.values():
            os.close(writing.descriptor)
        self._writing.clear()
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        with suppress(OSError):
            self.layout.partials.rmdir()  # unless others are sending

    def _of(self, remote: Remote) -> _Writing:
        writing = self._writing.get(remote.id)
        if writing is None:
            raise Refused(f"there is no upload {remote.id!r}")
        return writing

    async def _find(self, file: Outgoing) -> str | None:
        """Return the id of a content that is there; None if it is not, or is not what it says."""
        try:
            return await self.blocking.drive(self._digests(file))
        except OSError as error:
            raise _failure(error, self.path) from error

    async def _do(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        try:
            return await self.blocking.run(work, *args)
        except OSError as error:
            raise _failure(error, self.path) from error

    # Blocking, from here on

    def _begin(self, file: Outgoing) -> Remote:
        if self.layout.manifest.exists():
            raise Refused(f"{self.path} is a staging directory: name another one")
        validate_name(file.name)
        mine = self._join()
        for owner in owners(self.layout):
            if owner != mine.owner:
                remove_dead(self.layout, owner)
        partial = mine.new_partial()
        remote = Remote(f"{mine.owner}/{partial.name}")
        fresh = hasher(file.algorithm)
        self._writing[remote.id] = _Writing(self.disk, self.disk.create(partial), fresh, fresh)
        return remote

    def _join(self) -> Claim:
        self.path.mkdir(parents=True, exist_ok=True)
        if self._claim is None:
            self._claim = claim(self.layout, self.disk)
        return self._claim

    def _wrap(self, file: Outgoing, remote: Remote, writing: _Writing) -> Path:
        """Make the partial file a directory that holds it under its name."""
        partial = self._partial(remote)
        content = partial.with_suffix(".content")
        if self.disk.size_of(partial) is not None:  # or an earlier attempt came as far as this
            self.disk.sync_file(writing.descriptor)
            self.disk.make_directory(content)
            self.disk.replace(partial, content / file.name)
            self.disk.sync_directory(content)
        return content

    def _publish(self, content: Path, file: Outgoing) -> bool:
        """Give it its place, if nothing of that content is there: one name for all."""
        published = self.layout.content(file.checksum)
        try:
            self.disk.replace(content, published)
        except OSError as error:
            # ENOENT: an earlier attempt has got there, and failed afterwards.
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT}:
                raise
            return False
        try:
            self.disk.sync_directory(self.path)
        except OSError:
            with suppress(OSError):
                self.disk.replace(published, content)  # a file that may be lost is none
            raise
        return True

    def _leave_to(self, content: Path) -> None:
        """Let what is there be the file, for good, in place of our own."""
        self._remove(content)
        self.disk.sync_directory(self.path)

    def _clear(self, content: Path, file: Outgoing) -> None:
        """Put away what is not what its directory says: somebody wrote to it."""
        wrong = content.with_suffix(".wrong")
        with suppress(FileNotFoundError):
            self.disk.replace(self.layout.content(file.checksum), wrong)
        self._remove(wrong)

    def _digests(self, file: Outgoing) -> Generator[None, None, str | None]:
        try:
            entries = sorted(self.layout.content(file.checksum).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return None
        for entry in entries:
            if self.disk.size_of(entry) != file.size:
                continue
            state = hasher(file.algorithm)
            with entry.open("rb") as reader:
                while data := reader.read(READ_BYTES):
                    state.update(data)
                    yield
            if state.hexdigest() == file.checksum:
                return f"{file.checksum}/{entry.name}"
        return None

    def _has(self, file_id: str) -> bool:
        checksum, _, name = file_id.partition("/")
        return self.disk.size_of(self.layout.blob(checksum, name)) is not None

    def _abort(self, remote: Remote) -> None:
        writing = self._writing.pop(remote.id, None)
        if writing is not None:
            os.close(writing.descriptor)
        partial = self._partial(remote)
        for path in (partial, partial.with_suffix(".content"), partial.with_suffix(".wrong")):
            self._remove(path)
        with suppress(FileNotFoundError):
            remove_dead(self.layout, partial.parent.name)
        with suppress(OSError):
            self.layout.partials.rmdir()

    def _partial(self, remote: Remote) -> Path:
        owner, _, number = remote.id.partition("/")
        try:
            return self.layout.owned(validate_name(owner)) / validate_name(number)
        except InvalidName as error:
            raise Refused(f"there is no upload {remote.id!r}") from error

    def _remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            for entry in path.iterdir():
                self.disk.unlink(entry)
            self.disk.remove_directory(path)
        else:
            with suppress(FileNotFoundError):
                self.disk.unlink(path)


def _failure(error: OSError, path: Path) -> TargetFailure:
    if isinstance(error, SystemCallError):
        message = str(error)
    else:
        reason = os.strerror(error.errno) if error.errno else str(error)
        message = f"{error.filename or path}: {reason}"
    if error.errno in _NEVER:
        return Refused(message)
    return Retryable(message)
