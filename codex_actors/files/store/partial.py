"""Owns the partial file of one staging: the bytes on their way to be published.

Invariant: the checksum and size are those of the bytes that lie here, hashed as they were written
or read back from here, never those of the source; whatever happens, `discard` leaves nothing. Steps
are generators that yield between chunks, so that whoever drives them can stop there. Must not know
the manifest or the final name, nor what runs what follows.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from attrs import define, field, frozen

from codex_actors.files.content_type import HEAD_BYTES
from codex_actors.files.errors import QuotaExceeded
from codex_actors.files.model import Algorithm
from codex_actors.files.store.disk import Disk, staging_error
from codex_actors.files.store.hashing import Hasher, hasher
from codex_actors.files.store.source import (
    SourceIdentity,
    check_unchanged,
    open_source,
    source_error,
)

__all__ = [
    "CHUNK_BYTES",
    "Copied",
    "Follow",
    "Partial",
    "copy_bytes",
    "copy_path",
    "directly",
    "fill_from_bytes",
    "fill_from_path",
]

CHUNK_BYTES = 1 << 20
# What is read back to be hashed at a time: it and what it was copied from stay in the cache.
_HASH_BYTES = 1 << 17

_CLOSED = -1

# Opens something that lets work follow a growing file: what it gives is told how far the file has
# got. When it has been left, the work has got there as well, or raised.
Follow: TypeAlias = Callable[[Callable[[int], None]], AbstractContextManager[Callable[[int], None]]]


def directly(work: Callable[[int], None]) -> AbstractContextManager[Callable[[int], None]]:
    """Let work follow at once, in the thread that writes."""
    return contextlib.nullcontext(work)


@frozen
class Copied:
    """A complete partial file.

    Attributes:
        path: Where it lies.
        checksum: Hex digest of its bytes.
        size: Bytes.
        head: Its first bytes, for telling its type.
        source: The identity of the path that it was read from, where that may be remembered.
    """

    path: Path
    checksum: str
    size: int
    head: bytes
    source: SourceIdentity | None = None


@define
class Partial:
    """A partial file being written. Blocking: only from worker threads.

    Attributes:
        path: Where it lies; nobody else writes there.
        disk: What it is written through.
        algorithm: What it is hashed with.
        limit: Bytes that it may not exceed, None for any.
        size: Bytes written so far.
    """

    path: Path
    disk: Disk
    algorithm: Algorithm
    limit: int | None = None
    size: int = 0
    _hasher: Hasher = field(init=False)
    _hashed: int = 0
    _head: bytes = b""
    _descriptor: int = _CLOSED

    def __attrs_post_init__(self) -> None:
        self._hasher = hasher(self.algorithm)

    def create(self) -> None:
        """Create the file, which must not be there.

        Raises:
            StagingFull, StagingIOError: It could not be created.
        """
        try:
            self._descriptor = self.disk.create(self.path)
        except OSError as error:
            raise staging_error(error, self.path) from error

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes and hash them.

        Raises:
            QuotaExceeded: They are more than `limit`.
            StagingFull, StagingIOError: They could not be written.
        """
        self.append(chunk)
        self._hash(chunk)

    def append(self, chunk: bytes | memoryview) -> None:
        """Append bytes that `hash_up_to` will hash.

        Raises:
            QuotaExceeded: They are more than `limit`.
            StagingFull, StagingIOError: They could not be written.
        """
        self.refuse_beyond_limit(self.size + len(chunk))
        try:
            self.disk.write(self._descriptor, chunk)
        except OSError as error:
            raise staging_error(error, self.path) from error
        self.size += len(chunk)

    def append_from(self, source: int) -> bool:
        """Append a chunk of a file without its bytes passing through here; False if that fails.

        It fails at the end of the source, for want of the system call between these two files, or
        by an error: reading and writing will tell which. `hash_up_to` will hash them.
        """
        try:
            copied = self.disk.copy_range(source, self._descriptor, CHUNK_BYTES)
        except OSError:
            return False
        self.size += copied
        return copied > 0

    def hash_up_to(self, position: int) -> None:
        """Read back and hash what was appended; only one thread at a time, of any.

        Raises:
            StagingIOError: It cannot be read, or somebody else has cut it off.
        """
        view = memoryview(bytearray(min(_HASH_BYTES, position - self._hashed)))
        while self._hashed < position:
            piece = view[: position - self._hashed]
            try:
                filled = self.disk.read_at(self._descriptor, piece, self._hashed)
                if not filled:
                    raise OSError(errno.EIO, "Bytes just written are gone")  # noqa: TRY301
            except OSError as error:
                raise staging_error(error, self.path) from error
            self._hash(piece[:filled])

    def _hash(self, chunk: bytes | memoryview) -> None:
        self._hasher.update(chunk)
        self._hashed += len(chunk)
        if len(self._head) < HEAD_BYTES:
            self._head += bytes(chunk[: HEAD_BYTES - len(self._head)])

    def refuse_beyond_limit(self, size: int) -> None:
        """Check what the size will be at least.

        Raises:
            QuotaExceeded: It is more than `limit`.
        """
        if self.limit is not None and size > self.limit:
            raise QuotaExceeded(
                f"Staging {size} bytes or more exceeds max_bytes, which is {self.limit}: stage"
                " something smaller, or raise the limit."
            )

    def finish(self, source: SourceIdentity | None = None) -> Copied:
        """Sync and close the file, dated so that a later write shows.

        Raises:
            StagingFull, StagingIOError: It could not be synced.
        """
        try:
            self.disk.backdate(self._descriptor)
            self.disk.sync_file(self._descriptor)
        except OSError as error:
            raise staging_error(error, self.path) from error
        self._close()
        return Copied(self.path, self._hasher.hexdigest(), self.size, self._head, source)

    def discard(self) -> None:
        """Close and remove the file, whatever state it is in; not an error when it is gone."""
        self._close()
        with contextlib.suppress(OSError):
            # What cannot be removed now is collected as a partial of a dead process later.
            self.disk.unlink(self.path)

    def _close(self) -> None:
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor = _CLOSED


def copy_path(
    partial: Partial, path: Path, follow: Follow = directly
) -> Generator[None, None, Copied]:
    """Copy a regular file; yields between chunks.

    Args:
        partial: Where to.
        path: Where from.
        follow: How the hashing follows the copying of a large file.

    Raises:
        SourceNotFound, SourceNotReadable, NotARegularFile, SourceChanged: See there; `partial` was
            not created for the first three.
        QuotaExceeded: It is larger than the partial file may become.
        StagingFull, StagingIOError: Reading or writing failed.
    """
    return partial.finish((yield from fill_from_path(partial, path, follow)))


def fill_from_path(
    partial: Partial, path: Path, follow: Follow = directly
) -> Generator[None, None, SourceIdentity | None]:
    """Copy a regular file, but do not finish; return its identity where that may be remembered.

    For who has many to finish; arguments and errors are those of `copy_path`.
    """
    with open_source(partial.disk, path) as (descriptor, before, steady):
        partial.refuse_beyond_limit(before.size)
        partial.create()
        if before.size <= CHUNK_BYTES:
            yield from _read(partial, path, descriptor, before.size, partial.write)
        else:
            with follow(partial.hash_up_to) as advance:
                for _ in _transfer(partial, path, descriptor, before.size):
                    advance(partial.size)
                    yield
        same = check_unchanged(path, before, descriptor, partial.size)
    return before if steady and same else None


def _transfer(partial: Partial, path: Path, descriptor: int, size: int) -> Generator[None]:
    """Append a source by the system's own copying as far as that goes, else by reading."""
    while partial.size < size:
        if not partial.append_from(descriptor):
            yield from _read(partial, path, descriptor, size, partial.append)
            break
        yield


def _read(
    partial: Partial,
    path: Path,
    descriptor: int,
    size: int,
    append: Callable[[memoryview], None],
) -> Generator[None]:
    """Append the rest of a source; no further than what tells that it has grown."""
    # One buffer for all chunks: fresh memory for each costs more than the copy.
    buffer = bytearray(min(CHUNK_BYTES, size - partial.size + 1))
    view = memoryview(buffer)
    while True:
        try:
            filled = partial.disk.read_into(descriptor, buffer)
        except OSError as error:
            raise source_error(error, path) from error
        if not filled:
            break
        append(view[:filled])
        yield
        if partial.size >= size:
            break


def copy_bytes(
    partial: Partial, data: bytes, follow: Follow = directly
) -> Generator[None, None, Copied]:
    """Copy bytes in memory; yields between chunks.

    Args:
        partial: Where to.
        data: Where from.
        follow: How the hashing follows the writing of many bytes.

    Raises:
        QuotaExceeded: They are more than the partial file may become.
        StagingFull, StagingIOError: Writing failed.
    """
    yield from fill_from_bytes(partial, data, follow)
    return partial.finish()


def fill_from_bytes(partial: Partial, data: bytes, follow: Follow = directly) -> Generator[None]:
    """Copy bytes in memory, but do not finish; as `copy_bytes`."""
    partial.refuse_beyond_limit(len(data))
    partial.create()
    if len(data) <= CHUNK_BYTES:
        partial.write(data)
        yield
    else:
        view = memoryview(data)
        with follow(partial.hash_up_to) as advance:
            for start in range(0, len(view), CHUNK_BYTES):
                partial.append(view[start : start + CHUNK_BYTES])
                advance(partial.size)
                yield
