"""Owns what the manifest relies on: which files still hold the bytes that were staged.

Invariant: a file is relied on only while it has the seal that the manifest keeps, or when a verdict
on the file with just that seal says so; an operation that meets another asks for verdicts and does
nothing. What is wrong goes to the quarantine, and its entry to the lost, from where it comes back
when its content is staged again. Knows no Trio.
"""

from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from attrs import frozen

from codex_actors.files.index.transaction import Row, Transaction
from codex_actors.files.store.seal import Suspect, Verdict, blob_seal

__all__ = [
    "Doubts",
    "Standing",
    "doubts",
    "found_again",
    "is_lost",
    "lose",
    "quarantine",
    "sound_name",
    "standing",
]


@frozen
class Doubts:
    """An operation's answer that these files must be read first; it has done nothing.

    Attributes:
        suspects: What to examine; the verdicts go into the operation's next attempt.
    """

    suspects: tuple[Suspect, ...]


class Standing(Enum):
    """How far a file can be relied on."""

    SOUND = "sound"
    SUSPECT = "suspect"
    WRONG = "wrong"
    GONE = "gone"


def standing(
    transaction: Transaction,
    row: Row,
    verdicts: Iterable[Verdict] = (),
    *,
    distrust: bool = False,
) -> Standing:
    """Judge the file of an attachment; a verdict that it is genuine renews its seal.

    Args:
        transaction: Where.
        row: The attachment.
        verdicts: What reading has told so far.
        distrust: A seal is not enough.
    """
    seal = blob_seal(transaction.disk, transaction.layout.blob(row.checksum, row.name))
    if seal is None:
        return Standing.GONE
    if seal.size != row.size:
        return Standing.WRONG
    for verdict in verdicts:
        if verdict.seal == seal and verdict.suspect == row.suspect:
            if not verdict.genuine:
                return Standing.WRONG
            transaction.seal(row.checksum, seal)
            return Standing.SOUND
    if distrust or not transaction.is_sealed(row.checksum, seal):
        return Standing.SUSPECT
    return Standing.SOUND


def doubts(rows: Iterable[tuple[Row, Standing]]) -> Doubts | None:
    """Return what has to be read among rows of known standing, None for nothing."""
    suspects = tuple(row.suspect for row, found in rows if found is Standing.SUSPECT)
    return Doubts(suspects) if suspects else None


def sound_name(transaction: Transaction, checksum: str) -> Row | None:
    """Return any name under which a content can be relied on."""
    for row in transaction.each("WHERE a.checksum = ?", checksum):
        if standing(transaction, row) is Standing.SOUND:
            return row
    return None


def quarantine(transaction: Transaction, checksum: str, name: str) -> Path | None:
    """Move what lies under a name out of the way; return where to, None when nothing lay there."""
    claim = transaction.claim
    # The name of a partial file is free, and says which process put it there.
    suffix = f"{claim.owner}.{claim.new_partial().stem}"
    return transaction.changes.quarantine(checksum, name, suffix)


def lose(transaction: Transaction, row: Row) -> Path | None:
    """Take an attachment whose file is wrong or gone off the list; return where the file is now.

    Its leases stay: who holds one still wants it when its content is staged again.
    """
    moved = quarantine(transaction, row.checksum, row.name)
    transaction.execute(
        "INSERT OR REPLACE INTO lost"
        " (checksum, name, algorithm, size, content_type, persist, inserted_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row.checksum,
        row.name,
        row.algorithm,
        row.size,
        row.content_type,
        row.persist,
        row.inserted_at,
        row.expires_at,
    )
    transaction.forget(row)
    return moved


def found_again(transaction: Transaction, checksum: str) -> list[Row]:
    """Take the entries of a content off the lost, and return those that have not expired."""
    rows = transaction.execute(
        "SELECT checksum, name, algorithm, size, content_type, persist, inserted_at, expires_at"
        " FROM lost WHERE checksum = ?",
        checksum,
    ).fetchall()
    if rows:
        transaction.execute("DELETE FROM lost WHERE checksum = ?", checksum)
    found = [Row(*columns) for columns in rows]
    return [row for row in found if row.expires_at is None or row.expires_at > transaction.now]


def is_lost(transaction: Transaction, checksum: str, name: str) -> bool:
    """Tell whether an entry waits to be found again."""
    found = transaction.execute(
        "SELECT 1 FROM lost WHERE checksum = ? AND name = ?", checksum, name
    ).fetchone()
    return found is not None
