"""Owns how a blob is told to be untouched without reading it, and the reading when it was not.

Invariant: a seal is taken only of a file whose bytes are known; a file that still has its seal has
not been written to since. A verdict speaks of the file with that seal and of no other. Must not
know the manifest.
"""

import os
from collections.abc import Generator
from pathlib import Path

from attrs import frozen

from codex_actors.files.model import Algorithm
from codex_actors.files.store.disk import Disk, staging_error
from codex_actors.files.store.hashing import READ_BYTES, hasher
from codex_actors.files.store.layout import Layout

__all__ = ["Seal", "Suspect", "Verdict", "blob_seal", "examine", "seal_of"]


@frozen
class Seal:
    """The status of a file as it was when its bytes were known.

    The change time cannot be set by anybody, so that a writer who restores the modification time is
    found out too. `Disk.backdate` sees to it that a write in the very next moment shows.

    Attributes:
        inode: Which file it is; the device is left out, since its number may change at a restart.
        size: Bytes.
        mtime_ns, ctime_ns: When its bytes, or anything of it, last changed (ns since 1970).
    """

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@frozen
class Suspect:
    """A file whose bytes have to be read before they can be relied on.

    Attributes:
        checksum, name: Which one.
        algorithm: What its checksum was computed with.
    """

    checksum: str
    name: str
    algorithm: Algorithm


@frozen
class Verdict:
    """What reading a suspect told.

    Attributes:
        suspect: Which one.
        seal: Of the file that was read, None when there was none.
        genuine: Its bytes are those of its checksum.
    """

    suspect: Suspect
    seal: Seal | None
    genuine: bool


def seal_of(status: os.stat_result) -> Seal:
    """Return the seal of a file by its status."""
    return Seal(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def blob_seal(disk: Disk, path: Path) -> Seal | None:
    """Return the seal of the regular file of a name, None when there is none."""
    status = disk.status_of(path)
    return None if status is None else seal_of(status)


def examine(
    layout: Layout, disk: Disk, suspects: tuple[Suspect, ...]
) -> Generator[None, None, tuple[Verdict, ...]]:
    """Read suspects and return a verdict on each; yields between chunks. Blocking.

    Names that are links to one file are read once.

    Raises:
        StagingIOError: One cannot be read.
    """
    verdicts: list[Verdict] = []
    read: dict[tuple[str, Seal], bool] = {}
    for suspect in suspects:
        path = layout.blob(suspect.checksum, suspect.name)
        try:
            descriptor = disk.open_blob(path)
            if descriptor is None:
                verdicts.append(Verdict(suspect, None, genuine=False))
                continue
            try:
                seal = seal_of(os.fstat(descriptor))
                known = read.get((suspect.checksum, seal))
                if known is None:
                    known = (yield from _digest(descriptor, disk, suspect)) == suspect.checksum
                    read[suspect.checksum, seal] = known
            finally:
                os.close(descriptor)
        except OSError as error:
            raise staging_error(error, path) from error
        verdicts.append(Verdict(suspect, seal, known))
    return tuple(verdicts)


def _digest(descriptor: int, disk: Disk, suspect: Suspect) -> Generator[None, None, str]:
    state = hasher(suspect.algorithm)
    buffer = bytearray(READ_BYTES)
    view = memoryview(buffer)
    while filled := disk.read_into(descriptor, buffer):
        state.update(view[:filled])
        yield
    return state.hexdigest()
