"""Owns what an operation may use, and the small statements that several operations share.

Invariant: everything an operation reads and writes, in SQL and on disk, is of one transaction. An
attachment with a live lease is not removed. Knows no Trio.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from attrs import evolve, field, frozen

from codex_actors.files.model import Algorithm, Attachment
from codex_actors.files.store.changes import Changes
from codex_actors.files.store.claim import Claim, is_dead
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.layout import Layout
from codex_actors.files.store.seal import Seal, Suspect, blob_seal
from codex_actors.files.ttl import from_milliseconds, ttl_between

__all__ = ["Operation", "Row", "Transaction", "signed"]

T_co = TypeVar("T_co", covariant=True)

_COLUMNS = """
    a.checksum, a.name, b.algorithm, b.size, a.content_type, a.persist, a.inserted_at, a.expires_at
"""
_JOIN = "FROM attachments AS a JOIN blobs AS b ON b.checksum = a.checksum"


class Operation(Protocol[T_co]):
    """One thing to ask of the manifest: data, and how to carry it out."""

    @property
    def writes(self) -> bool:
        """Tell whether it needs the one write transaction at a time."""
        ...

    def apply(self, transaction: "Transaction") -> T_co:
        """Carry it out. Blocking.

        Raises:
            FilesError: The operation is refused; the others of its batch go on.
            OSError: The same, once translated.
        """
        ...


@frozen
class Row:
    """An attachment as the manifest keeps it; moments in milliseconds since 1970."""

    checksum: str
    name: str
    algorithm: Algorithm
    size: int
    content_type: str
    persist: bool = field(converter=bool)
    inserted_at: int
    expires_at: int | None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others."""
        return (self.checksum, self.name)

    @property
    def suspect(self) -> Suspect:
        """What to examine when its file is in doubt."""
        return Suspect(self.checksum, self.name, self.algorithm)

    def attachment(self, layout: Layout) -> Attachment:
        """Return the public value."""
        expires_at = self.expires_at
        return Attachment(
            name=self.name,
            path=layout.blob(self.checksum, self.name),
            checksum=self.checksum,
            algorithm=self.algorithm,
            size=self.size,
            content_type=self.content_type,
            persist=self.persist,
            inserted_at=from_milliseconds(self.inserted_at),
            ttl=ttl_between(self.inserted_at, expires_at),
            expires_at=None if expires_at is None else from_milliseconds(expires_at),
        )


@frozen
class Transaction:
    """One transaction of the manifest.

    Attributes:
        connection: SQLite.
        changes: What is done to the blobs.
        claim: Who this process is.
        now: Milliseconds since 1970.
    """

    connection: sqlite3.Connection
    changes: Changes
    claim: Claim
    now: int

    @property
    def layout(self) -> Layout:
        """Where things lie."""
        return self.changes.layout

    @property
    def disk(self) -> Disk:
        """What the disk is asked through."""
        return self.changes.disk

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run one statement."""
        return self.connection.execute(statement, values)

    def rows(self, clauses: str = "", *values: Any) -> list[Row]:
        """Return the attachments (`a`, their blobs `b`) that the clauses after FROM select."""
        return list(self.each(clauses, *values))

    def each(self, clauses: str, *values: Any) -> Iterator[Row]:
        """Return them one by one: for who may stop early, and changes nothing meanwhile."""
        cursor = self.execute(f"SELECT {_COLUMNS} {_JOIN} {clauses}", *values)
        return (Row(*cast("tuple[Any, ...]", columns)) for columns in cursor)

    def row(self, checksum: str, name: str) -> Row | None:
        """Return one attachment, if there is such a one."""
        found = self.rows("WHERE a.checksum = ? AND a.name = ?", checksum, name)
        return found[0] if found else None

    def enter(self, row: Row) -> None:
        """Enter an attachment whose file is there, and its blob."""
        self.execute(
            "INSERT OR IGNORE INTO blobs (checksum, algorithm, size) VALUES (?, ?, ?)",
            row.checksum,
            row.algorithm,
            row.size,
        )
        self.execute(
            "INSERT INTO attachments"
            " (checksum, name, content_type, persist, inserted_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row.checksum,
            row.name,
            row.content_type,
            row.persist,
            row.inserted_at,
            row.expires_at,
        )

    def is_whole(self, row: Row) -> bool:
        """Tell whether the file of an attachment is there with the right size."""
        return self.disk.size_of(self.layout.blob(row.checksum, row.name)) == row.size

    def is_leased(self, checksum: str, name: str) -> bool:
        """Tell whether anyone alive uses an attachment; forgets the leases of the dead."""
        holders = self.execute(
            "SELECT DISTINCT owner FROM leases WHERE checksum = ? AND name = ?", checksum, name
        ).fetchall()
        return any(not self.forget_if_dead(owner) for (owner,) in holders)

    def forget_if_dead(self, owner: str) -> bool:
        """Remove the leases of an owner whose process has ended; tell whether it has."""
        dead = owner != self.claim.owner and is_dead(self.layout, owner)
        if dead:
            self.execute("DELETE FROM leases WHERE owner = ?", owner)
        return dead

    def forget_the_dead(self) -> bool:
        """Remove the leases of all whose processes have ended; tell whether there were any."""
        owners = self.execute("SELECT DISTINCT owner FROM leases").fetchall()
        dead = [self.forget_if_dead(owner) for (owner,) in owners]
        return any(dead)

    def settle(self) -> None:
        """Keep what the manifest was told so far even if the operation is refused later.

        Before the operation does anything to the blobs: that would be taken back.
        """
        self.execute("RELEASE operation")
        self.execute("SAVEPOINT operation")

    def remove(self, row: Row, *, asked: bool = True) -> None:
        """Remove an attachment, and its blob with its last name.

        Args:
            row: Which.
            asked: It is to go for its own sake, not to make room for another.

        Raises:
            OSError: Its file could not be deleted; the entry stays.
        """
        before = blob_seal(self.disk, self.layout.blob(row.checksum, row.name))
        sealed = before is not None and self.is_sealed(row.checksum, before)
        spare = self.claim.new_partial()
        self.changes.remove(*row.key, spare, self.other_name(row), asked=asked)
        key = (row.checksum, row.name)
        self.execute("DELETE FROM leases WHERE checksum = ? AND name = ?", *key)
        self.forget(row)
        if before is not None and sealed:
            self._seal_again(row.checksum, before)

    def other_name(self, row: Row) -> Path | None:
        """Return the path of another name of a content that is there."""
        others = self.each("WHERE a.checksum = ? AND a.name <> ?", *row.key)
        whole = next((other for other in others if self.is_whole(other)), None)
        return None if whole is None else self.layout.blob(*whole.key)

    def _seal_again(self, checksum: str, before: Seal) -> None:
        """Renew the seal of a file that has just lost one of its names, which changes its status.

        Through any other name; where that is another file, a later reading will tell.
        """
        found = self.execute(
            "SELECT name FROM attachments WHERE checksum = ? LIMIT 1", checksum
        ).fetchone()
        if found is not None:
            after = blob_seal(self.disk, self.layout.blob(checksum, found[0]))
            if after is not None and after == evolve(before, ctime_ns=after.ctime_ns):
                self.seal(checksum, after)

    def forget(self, row: Row) -> None:
        """Take an attachment off the list, and its blob with its last name."""
        key = (row.checksum, row.name)
        self.execute("DELETE FROM attachments WHERE checksum = ? AND name = ?", *key)
        self.execute(
            "DELETE FROM blobs WHERE checksum = ?1"
            " AND NOT EXISTS (SELECT 1 FROM attachments WHERE checksum = ?1)",
            row.checksum,
        )

    def seal(self, checksum: str, seal: Seal) -> None:
        """Keep the seal of a file whose bytes are known."""
        self.execute(
            "INSERT OR REPLACE INTO seals (checksum, inode, mtime_ns, ctime_ns)"
            " VALUES (?, ?, ?, ?)",
            checksum,
            signed(seal.inode),
            seal.mtime_ns,
            seal.ctime_ns,
        )

    def is_sealed(self, checksum: str, seal: Seal) -> bool:
        """Tell whether a file has the seal that is kept of it."""
        found = self.execute(
            "SELECT mtime_ns, ctime_ns FROM seals WHERE checksum = ? AND inode = ?",
            checksum,
            signed(seal.inode),
        ).fetchone()
        return bool(found == (seal.mtime_ns, seal.ctime_ns))


def signed(number: int) -> int:
    """Return an unsigned 64-bit number as SQLite can keep it."""
    return number - (1 << 64) if number >= 1 << 63 else number
