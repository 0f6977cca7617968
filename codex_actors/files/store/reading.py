"""Owns the reading of a blob whose bytes are about to leave.

Invariant: what is read is of the file that was opened, and a read that cannot be whole says so.
Blocking: only from worker threads. Must not know where the bytes go.
"""

import os
from collections.abc import Generator
from hashlib import md5
from pathlib import Path

from attrs import define

from codex_actors.files.errors import ChecksumMismatch
from codex_actors.files.model import Algorithm, Attachment
from codex_actors.files.store.disk import Disk, staging_error
from codex_actors.files.store.hashing import READ_BYTES, Hasher, hasher
from codex_actors.files.store.seal import Seal, seal_of

__all__ = ["Blob", "open_blob"]

_NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)  # Linux has it


@define(eq=False)
class Blob:
    """An open blob.

    Attributes:
        disk: What it is read through.
        path: Where it lies.
        name: Of the attachment, for errors.
        checksum, algorithm, size: What it should be.
    """

    disk: Disk
    path: Path
    name: str
    checksum: str
    algorithm: Algorithm
    size: int
    _descriptor: int

    def seal(self) -> Seal:
        """Return what stays the same as long as nobody writes to it."""
        return seal_of(os.fstat(self._descriptor))

    def read(self, buffer: memoryview, offset: int) -> None:
        """Fill a buffer from an offset on.

        Raises:
            ChecksumMismatch: The file ends before.
            StagingIOError: It cannot be read.
        """
        while buffer:
            filled = self._read(buffer, offset)
            if not filled:
                raise self.mismatch()
            buffer = buffer[filled:]
            offset += filled

    def read_cached(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer with what is in memory from an offset on; return how far, 0 for not at all.

        Does not block, so it may be called from the event loop: where the system cannot tell, there
        is nothing.
        """
        if _NO_WAIT is None:
            return 0
        try:
            return os.preadv(self._descriptor, [buffer], offset, _NO_WAIT)
        except OSError:
            return 0  # it would block, or fail: `read` tells

    def check(self) -> Generator[None, None, None]:
        """Read all of it and compare the digest; yields between chunks.

        Raises:
            ChecksumMismatch: It is not what was staged.
            StagingIOError: It cannot be read.
        """
        digest = yield from self._digest(hasher(self.algorithm))
        if digest != self.checksum:
            raise self.mismatch()

    def md5(self) -> Generator[None, None, str]:
        """Return its MD5, which some servers check; yields between chunks."""
        return (yield from self._digest(md5(usedforsecurity=False)))

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def mismatch(self) -> ChecksumMismatch:
        """Return the error for bytes that are not those that were staged."""
        return ChecksumMismatch(
            f"The file {self.path} of attachment {self.name!r} is not what was staged (content"
            f" {self.checksum}): somebody wrote to it. Stage it again with verify=True."
        )

    def _digest(self, state: Hasher) -> Generator[None, None, str]:
        view = memoryview(bytearray(READ_BYTES))
        offset = 0
        while filled := self._read(view, offset):
            state.update(view[:filled])
            offset += filled
            yield
        return state.hexdigest()

    def _read(self, buffer: memoryview, offset: int) -> int:
        try:
            return self.disk.read_at(self._descriptor, buffer, offset)
        except OSError as error:
            raise staging_error(error, self.path) from error


def open_blob(disk: Disk, attachment: Attachment) -> Blob:
    """Open the blob of an attachment.

    Raises:
        ChecksumMismatch: There is no regular file of its size.
        StagingIOError: It cannot be opened.
    """
    path = attachment.path
    try:
        descriptor = disk.open_blob(path)
    except OSError as error:
        raise staging_error(error, path) from error
    blob = Blob(
        disk,
        path,
        attachment.name,
        attachment.checksum,
        attachment.algorithm,
        attachment.size,
        -1 if descriptor is None else descriptor,
    )
    if descriptor is None:
        raise blob.mismatch()
    if blob.seal().size != attachment.size:
        blob.close()
        raise blob.mismatch()
    return blob
