"""Owns what becomes of files that the manifest does not know.

They are left by a process that died between a link and its commit, or all of them are unknown since
the manifest was lost. Invariant: no byte is lost and none is believed: what hashes to its directory
is adopted with the default time to live, anything else is quarantined. Knows no Trio.
"""

import errno
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from attrs import frozen

from codex_actors.files.content_type import HEAD_BYTES, detect_content_type
from codex_actors.files.errors import InvalidName
from codex_actors.files.index.transaction import Operation, Row, Transaction
from codex_actors.files.model import Algorithm, Attachment, FilesConfig
from codex_actors.files.names import validate_name
from codex_actors.files.store.disk import Disk, staging_error
from codex_actors.files.store.hashing import digest_of
from codex_actors.files.store.layout import Layout
from codex_actors.files.ttl import expiry

__all__ = [
    "CHUNK",
    "FindStrays",
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
        algorithm: By which it hashes to its directory, None when by none.
        size: Bytes.
        head: Its first bytes.
    """

    checksum: str
    name: str
    algorithm: Algorithm | None
    size: int = 0
    head: bytes = b""


@frozen
class Settled:
    """What became of strays.

    Attributes:
        adopted: Listed again.
        quarantined: Where the others lie now.
    """

    adopted: tuple[Attachment, ...] = ()
    quarantined: tuple[Path, ...] = ()


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
            for name in _names_in(transaction.layout.content(checksum))
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
        for stray in self.strays:
            path = transaction.layout.blob(stray.checksum, stray.name)
            if transaction.row(stray.checksum, stray.name) is not None or not _exists(path):
                continue  # another process knows it by now, or has taken it back
            if stray.algorithm is None or transaction.disk.size_of(path) != stray.size:
                quarantined.append(_quarantine(transaction, stray))
            else:
                row = _adopt(transaction, stray, stray.algorithm, self.ttl)
                adopted.append(row.attachment(transaction.layout))
        return Settled(tuple(adopted), tuple(quarantined))


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
    return sorted(entry.name for entry in layout.root.iterdir() if layout.is_checksum(entry.name))


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
        return _judge(path, disk.size_of(path), key, preferred)
    except FileNotFoundError:
        return Stray(*key, None)  # taken back meanwhile
    except OSError as error:
        raise staging_error(error, path) from error


def _judge(path: Path, size: int | None, key: Key, preferred: Algorithm) -> Stray:
    checksum, name = key
    try:
        validate_name(name)
    except InvalidName:
        size = None
    if size is None:  # no regular file, or no name that was ever given out
        return Stray(checksum, name, None)
    other: Algorithm = "sha256" if preferred == "blake3" else "blake3"
    for algorithm in (preferred, other):
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if digest_of(file, algorithm) == checksum:
                return Stray(checksum, name, algorithm, size, head)
    return Stray(checksum, name, None)


def _names_in(directory: Path) -> Iterator[str]:
    try:
        entries = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        yield entry.name


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return False
        raise
    return True


def _adopt(transaction: Transaction, stray: Stray, algorithm: Algorithm, ttl: float) -> Row:
    row = Row(
        stray.checksum,
        stray.name,
        algorithm,
        stray.size,
        detect_content_type(stray.name, stray.head),
        persist=False,
        inserted_at=transaction.now,
        expires_at=expiry(transaction.now, ttl, persist=False),
    )
    transaction.enter(row)
    return row


def _quarantine(transaction: Transaction, stray: Stray) -> Path:
    layout, disk = transaction.layout, transaction.disk
    disk.make_directory(layout.quarantine)
    # The name of a partial file is free, and says which process put it there.
    number = transaction.claim.new_partial().stem
    target = layout.quarantine / f"{stray.checksum}.{transaction.claim.owner}.{number}"
    disk.replace(layout.blob(stray.checksum, stray.name), target)
    disk.remove_directory(layout.content(stray.checksum))
    return target
