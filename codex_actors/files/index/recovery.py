"""Owns what becomes of files that the manifest does not know.

They are left by a process that died between a link and its commit, or all of them are unknown since
the manifest was lost. Invariant: no byte is lost and none is believed: what hashes to its directory
is adopted with the default time to live, anything else is quarantined. Knows no Trio.
"""

import contextlib
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

from attrs import frozen

from codex_actors.files.content_type import HEAD_BYTES, detect_content_type
from codex_actors.files.errors import InvalidName
from codex_actors.files.index.transaction import Operation, Row, Transaction
from codex_actors.files.index.trust import quarantine
from codex_actors.files.model import Algorithm, Attachment, FilesConfig
from codex_actors.files.names import validate_name
from codex_actors.files.store.disk import Disk, directories_in, staging_error
from codex_actors.files.store.hashing import digest_of
from codex_actors.files.store.layout import Layout
from codex_actors.files.store.seal import Seal, blob_seal, seal_of
from codex_actors.files.ttl import expiry

__all__ = [
    "CHUNK",
    "FindStrays",
    "RemoveEmpty",
    "RestoreRemoved",
    "SettleStrays",
    "Settled",
    "Settling",
    "Stray",
    "advance",
    "judge",
    "settling",
]

CHUNK = 64  # directories, or strays, in one transaction

Key = tuple[str, str]
T = TypeVar("T")


@frozen
class Stray:
    """A file that the manifest does not know.

    Attributes:
        checksum: Its directory.
        name: Its name.
        seal: Of the file that was read, None when there was none.
        algorithm: By which it hashes to its directory, None when by none.
        head: Its first bytes.
    """

    checksum: str
    name: str
    seal: Seal | None = None
    algorithm: Algorithm | None = None
    head: bytes = b""


@frozen
class Settled:
    """What became of strays.

    Attributes:
        adopted: Listed again.
        quarantined: Where the others lie now.
        unknown: What they were called when they were found.
    """

    adopted: tuple[Attachment, ...] = ()
    quarantined: tuple[Path, ...] = ()
    unknown: tuple[Path, ...] = ()


@frozen
class FindStrays:
    """Which files in some directories of contents the manifest does not know."""

    checksums: tuple[str, ...]
    writes: bool = False

    def apply(self, transaction: Transaction) -> tuple[Key, ...]:
        """Carry it out."""
        return tuple(
            (checksum, name)
            for checksum in self.checksums
            for name in (path.name for path in _entries(transaction.layout.content(checksum)))
            if transaction.row(checksum, name) is None
        )


@frozen
class SettleStrays:
    """Adopt or quarantine strays that are still unknown."""

    strays: tuple[Stray, ...]
    ttl: float
    writes: bool = True

    def apply(self, transaction: Transaction) -> Settled:
        """Carry it out."""
        adopted: list[Attachment] = []
        quarantined: list[Path] = []
        unknown: list[Path] = []
        for stray in self.strays:
            path = transaction.layout.blob(stray.checksum, stray.name)
            if transaction.row(stray.checksum, stray.name) is not None:
                continue  # another process knows it by now
            if blob_seal(transaction.disk, path) != stray.seal:
                continue  # or is about to, or has taken it back: the next walk will see
            if stray.seal is not None and stray.algorithm is not None:
                row = _adopt(transaction, stray, stray.seal, stray.algorithm, self.ttl)
                adopted.append(row.attachment(transaction.layout))
            else:
                moved = quarantine(transaction, stray.checksum, stray.name)
                if moved is None:
                    continue
                quarantined.append(moved)
            unknown.append(path)
        return Settled(tuple(adopted), tuple(quarantined), tuple(unknown))


@frozen
class RemoveEmpty:
    """Remove directories of contents without a name: left between making one and its first link."""

    checksums: tuple[str, ...]
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        for checksum in self.checksums:
            transaction.changes.remove_empty(checksum)


@frozen
class RestoreRemoved:
    """Put back what a dead process was removing in a transaction that it did not commit."""

    owner: str
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        layout = transaction.layout
        for aside in _entries(layout.owned(self.owner)):
            checksum = layout.content_of_aside(aside)
            for row in transaction.rows("WHERE a.checksum = ?", checksum):
                if blob_seal(transaction.disk, layout.blob(*row.key)) is None:
                    self._restore(transaction, row, aside)

    def _restore(self, transaction: Transaction, row: Row, aside: Path) -> None:
        """Give an attachment its file back: of another name, or the one that was set aside."""
        source = transaction.other_name(row)
        if source is None and transaction.disk.size_of(aside) == row.size:
            source = aside
        if source is not None:
            transaction.changes.publish(source, *row.key, transaction.claim.new_partial)


# Asks for operations and is sent what they gave; None where it may be left.
Settling: TypeAlias = Generator[Operation[Any] | None, Any, Settled]


def settling(layout: Layout, disk: Disk, config: FilesConfig) -> Settling:
    """Walk a staging directory and settle all strays; return what became of them. Blocking.

    It only reads: what it asks for, in transactions of a bounded size, is for its driver to do.

    Raises:
        StagingIOError: A stray cannot be read.
    """
    parts: list[Settled] = []
    for checksums in _chunked(_contents(layout)):
        keys: tuple[Key, ...] = yield FindStrays(checksums)
        empty = tuple(name for name in checksums if _is_empty(layout.content(name)))
        if empty:
            yield RemoveEmpty(empty)
        for some in _chunked(keys):
            strays: list[Stray] = []
            for key in some:
                strays.append(judge(layout, disk, key, config.algorithm))
                yield None
            settled: Settled = yield SettleStrays(tuple(strays), config.default_ttl)
            parts.append(settled)
    return Settled(
        tuple(attachment for part in parts for attachment in part.adopted),
        tuple(path for part in parts for path in part.quarantined),
        tuple(path for part in parts for path in part.unknown),
    )


def advance(steps: Settling, answer: object) -> Operation[Any] | Settled | None:
    """Take a settling one step further; return what it asks for, or in the end what it did.

    Blocking. A StopIteration cannot come out of a worker thread.
    """
    try:
        return steps.send(answer)
    except StopIteration as stop:
        value: Settled = stop.value
        return value


def _contents(layout: Layout) -> list[str]:
    return [name for name in directories_in(layout.root) if layout.is_checksum(name)]


def _chunked(items: Sequence[T]) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(items), CHUNK):
        yield tuple(items[start : start + CHUNK])


def judge(layout: Layout, disk: Disk, key: Key, preferred: Algorithm) -> Stray:
    """Tell whether a file is what its directory says. Blocking: reads it once or twice.

    Raises:
        StagingIOError: It cannot be read.
    """
    path = layout.blob(*key)
    try:
        descriptor = disk.open_blob(path)
        if descriptor is None:
            return Stray(*key)  # no regular file, or taken back meanwhile
        with os.fdopen(descriptor, "rb") as file:
            return _judge(file, key, preferred)
    except OSError as error:
        raise staging_error(error, path) from error


def _judge(file: BinaryIO, key: Key, preferred: Algorithm) -> Stray:
    checksum, name = key
    seal = seal_of(os.fstat(file.fileno()))
    try:
        validate_name(name)
    except InvalidName:
        return Stray(checksum, name, seal)  # it was never given out
    head = file.read(HEAD_BYTES)
    other: Algorithm = "sha256" if preferred == "blake3" else "blake3"
    for algorithm in (preferred, other):
        file.seek(0)
        if digest_of(file, algorithm) == checksum:
            return Stray(checksum, name, seal, algorithm, head)
    return Stray(checksum, name, seal)


def _entries(directory: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(directory.iterdir())
    return []


def _is_empty(directory: Path) -> bool:
    try:
        return not any(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _adopt(
    transaction: Transaction, stray: Stray, seal: Seal, algorithm: Algorithm, ttl: float
) -> Row:
    row = Row(
        stray.checksum,
        stray.name,
        algorithm,
        seal.size,
        detect_content_type(stray.name, stray.head),
        persist=False,
        inserted_at=transaction.now,
        expires_at=expiry(transaction.now, ttl, persist=False),
    )
    transaction.enter(row)
    transaction.seal(stray.checksum, seal)
    return row
