"""Owns what the upload servers have received: bytes on disk, and the files made of them.

Invariant: no content is held in memory; all of it goes with the server's directory. Must not know
HTTP or any protocol.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Self, final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Spool", "Storage", "StoredFile"]

PIECE = 2**20


@final
class Spool:
    """Bytes that are coming in.

    They are written on the event loop: this is a test's server, and the writes end in the page
    cache.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.size = 0
        self._file = None if path is None else path.open("wb", buffering=0)

    def write(self, data: bytes) -> None:
        """Append."""
        self.size += len(data)
        if self._file is not None:
            self._file.write(data)

    def close(self) -> Self:
        """End writing."""
        if self._file is not None:
            self._file.close()
        return self

    def discard(self) -> None:
        """Forget the bytes."""
        self.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@final
class Storage:
    """A directory of spools; with `keep=False` the bytes are only counted."""

    def __init__(self, directory: Path, *, keep: bool) -> None:
        self._directory = directory
        self._keep = keep
        self._count = 0

    def spool(self) -> Spool:
        """Return a new, empty one."""
        self._count += 1
        return Spool(self._directory / str(self._count) if self._keep else None)


@frozen(kw_only=True)
class StoredFile:
    """A file that a client has uploaded. Its bytes can be read while the server runs.

    Attributes:
        id: What the server calls it.
        name: What the client called it.
        size: Bytes.
        purpose: As sent, empty where the protocol knows none.
        content_type: As sent, empty where the protocol sends none.
        created_at: Seconds since the epoch, by the server's clock.
        expires_at: Likewise, None for never.
    """

    id: str
    name: str
    size: int
    purpose: str
    content_type: str
    created_at: int
    expires_at: int | None
    spools: tuple[Spool, ...]

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes, a MiB at a time.

        Raises:
            RuntimeError: The server was told not to keep them.
        """
        return read_pieces(self.spools)

    def read(self) -> bytes:
        """Return all bytes."""
        return b"".join(self.pieces())

    def sha256(self) -> str:
        """Return the hex digest of the bytes."""
        return digest("sha256", self.spools)


def read_pieces(spools: Iterable[Spool]) -> Iterator[bytes]:
    """Yield the bytes of several spools, one after the other."""
    for spool in spools:
        if spool.path is None:
            raise RuntimeError("the server was opened with keep_bytes=False: it only counted them")
        with spool.path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


def digest(algorithm: str, spools: Iterable[Spool]) -> str:
    """Return the hex digest of the bytes of several spools, one after the other."""
    hashing = hashlib.new(algorithm, usedforsecurity=False)
    for piece in read_pieces(spools):
        hashing.update(piece)
    return hashing.hexdigest()
