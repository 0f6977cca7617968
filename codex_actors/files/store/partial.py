"""Owns the partial file of one staging: the bytes on their way to be published.

Invariant: the checksum and size are those of the bytes written here, hashed as they were written;
whatever happens, `discard` leaves nothing. Steps are generators that yield between chunks, so that
whoever drives them can stop there. Must not know the manifest or the final name.
"""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

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

__all__ = ["CHUNK_BYTES", "Copied", "Partial", "copy_bytes", "copy_path"]

CHUNK_BYTES = 1 << 20

_CLOSED = -1


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
        self.refuse_beyond_limit(self.size + len(chunk))
        try:
            self.disk.write(self._descriptor, chunk)
        except OSError as error:
            raise staging_error(error, self.path) from error
        self._hasher.update(chunk)
        if len(self._head) < HEAD_BYTES:
            self._head += bytes(chunk[: HEAD_BYTES - len(self._head)])
        self.size += len(chunk)

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
        """Sync and close the file.

        Raises:
            StagingFull, StagingIOError: It could not be synced.
        """
        try:
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


def copy_path(partial: Partial, path: Path) -> Generator[None, None, Copied]:
    """Copy a regular file; yields between chunks.

    Raises:
        SourceNotFound, SourceNotReadable, NotARegularFile, SourceChanged: See there; `partial` was
            not created for the first three.
        QuotaExceeded: It is larger than the partial file may become.
        StagingFull, StagingIOError: Reading or writing failed.
    """
    with open_source(partial.disk, path) as (descriptor, before, steady):
        partial.refuse_beyond_limit(before.size)
        partial.create()
        # One buffer for all chunks: fresh memory for each costs more than the copy.
        buffer = bytearray(min(CHUNK_BYTES, before.size + 1))
        view = memoryview(buffer)
        while True:
            try:
                filled = partial.disk.read_into(descriptor, buffer)
            except OSError as error:
                raise source_error(error, path) from error
            if not filled:
                break
            partial.write(view[:filled])
            yield
        same = check_unchanged(path, before, descriptor, partial.size)
    return partial.finish(before if steady and same else None)


def copy_bytes(partial: Partial, data: bytes) -> Generator[None, None, Copied]:
    """Copy bytes in memory; yields between chunks.

    Raises:
        QuotaExceeded: They are more than the partial file may become.
        StagingFull, StagingIOError: Writing failed.
    """
    partial.refuse_beyond_limit(len(data))
    partial.create()
    view = memoryview(data)
    for start in range(0, len(view), CHUNK_BYTES):
        partial.write(view[start : start + CHUNK_BYTES])
        yield
    return partial.finish()
