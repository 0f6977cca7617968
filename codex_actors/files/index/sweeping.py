"""Owns the operations by which attachments go.

Invariant: what goes is decided and deleted in one write transaction, at most 64 at a time, so that
no staging can be told of a file that is going; what is leased stays; what could not be deleted
stays listed. A sweep costs what goes, not what is staged. Knows no Trio.
"""

from enum import Enum

from attrs import frozen

from codex_actors.files.errors import AttachmentLeased
from codex_actors.files.index.leasing import not_found
from codex_actors.files.index.transaction import Row, Transaction
from codex_actors.files.model import Attachment

__all__ = ["CHUNK", "START", "EndTemporary", "Remove", "RequireNoLeases", "Scope", "Sweep", "Swept"]

CHUNK = 64

Cursor = tuple[int, str, str]
START: Cursor = (-1, "", "")

_UNLEASED = """
    NOT EXISTS (SELECT 1 FROM leases AS l WHERE l.checksum = a.checksum AND l.name = a.name)
"""


class Scope(Enum):
    """Which attachments a sweep is about."""

    EXPIRED = "expired"
    UNLEASED = "unleased"
    ALL = "all"


@frozen
class Swept:
    """What one chunk of a sweep did.

    Attributes:
        removed: What went, or would go.
        failed: What could not be deleted.
        cursor: Where to go on, None at the end.
    """

    removed: tuple[Attachment, ...]
    failed: tuple[Attachment, ...]
    cursor: Cursor | None
    dry_run: bool = False


@frozen
class Sweep:
    """One chunk of a sweep.

    Attributes:
        scope: What it is about.
        after: Where the chunk before ended.
        dry_run: Only tell.
    """

    scope: Scope = Scope.EXPIRED
    after: Cursor = START
    dry_run: bool = False

    @property
    def writes(self) -> bool:
        """Only when it removes."""
        return not self.dry_run

    def apply(self, transaction: Transaction) -> Swept:
        """Carry it out."""
        if self.after == START and not self.dry_run:
            self._forget_lost(transaction)
        rows = self._next(transaction)
        removed: list[Attachment] = []
        failed: list[Attachment] = []
        for row in rows:
            attachment = row.attachment(transaction.layout)
            try:
                if not self.dry_run:
                    transaction.remove(row)
            except OSError:
                failed.append(attachment)
            else:
                removed.append(attachment)
        cursor = self._cursor(rows[-1]) if len(rows) == CHUNK else None
        return Swept(tuple(removed), tuple(failed), cursor, self.dry_run)

    def _next(self, transaction: Transaction) -> list[Row]:
        if self.scope is Scope.EXPIRED:
            return transaction.rows(
                "WHERE a.expires_at IS NOT NULL AND a.expires_at <= ?"
                f" AND (a.expires_at, a.checksum, a.name) > (?, ?, ?) AND {_UNLEASED}"
                " ORDER BY a.expires_at, a.checksum, a.name LIMIT ?",
                transaction.now,
                *self.after,
                CHUNK,
            )
        condition = "1" if self.scope is Scope.ALL else _UNLEASED
        return transaction.rows(
            f"WHERE (a.checksum, a.name) > (?, ?) AND {condition}"
            " ORDER BY a.checksum, a.name LIMIT ?",
            *self.after[1:],
            CHUNK,
        )

    def _forget_lost(self, transaction: Transaction) -> None:
        match self.scope:
            case Scope.EXPIRED:
                transaction.execute("DELETE FROM lost WHERE expires_at <= ?", transaction.now)
            case Scope.UNLEASED:
                transaction.execute(
                    "DELETE FROM lost AS a WHERE NOT EXISTS (SELECT 1 FROM leases AS l"
                    " WHERE l.checksum = a.checksum AND l.name = a.name)"
                )
            case Scope.ALL:
                transaction.execute("DELETE FROM lost")

    def _cursor(self, row: Row) -> Cursor:
        return (row.expires_at or 0, row.checksum, row.name)


@frozen
class Remove:
    """Remove one attachment."""

    checksum: str
    name: str
    writes: bool = True

    def apply(self, transaction: Transaction) -> Swept:
        """Carry it out.

        Raises:
            AttachmentNotFound: There is none.
            AttachmentLeased: Somebody uses it.
            OSError: Its file could not be deleted; it is still listed.
        """
        row = transaction.row(self.checksum, self.name)
        if row is None:
            transaction.execute(
                "DELETE FROM lost WHERE checksum = ? AND name = ?", self.checksum, self.name
            )
            transaction.settle()  # nor does it come back when its content is staged again
            raise not_found(self.checksum, self.name)
        if transaction.is_leased(self.checksum, self.name):
            raise AttachmentLeased(
                f"The attachment {self.name!r} of content {self.checksum} is in use: wait until the"
                " turn or upload that uses it ends."
            )
        transaction.remove(row)
        return Swept((row.attachment(transaction.layout),), (), None)


@frozen
class EndTemporary:
    """Give a lease back, and remove its attachment unless anyone else wanted it to live on."""

    lease: str
    writes: bool = True

    def apply(self, transaction: Transaction) -> Swept:
        """Carry it out."""
        nothing = Swept((), (), None)
        found = transaction.execute(
            "SELECT checksum, name FROM leases WHERE lease = ?", self.lease
        ).fetchone()
        if found is None:
            return nothing
        transaction.execute("DELETE FROM leases WHERE lease = ?", self.lease)
        row = transaction.row(*found)
        if row is None or row.expires_at is None or row.expires_at > transaction.now:
            return nothing
        if transaction.is_leased(row.checksum, row.name):
            return nothing
        attachment = (row.attachment(transaction.layout),)
        try:
            transaction.remove(row)
        except OSError:
            return Swept((), attachment, None)  # it has expired: the next sweep tries again
        return Swept(attachment, (), None)


@frozen
class RequireNoLeases:
    """Refuse when anything is in use."""

    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out.

        Raises:
            AttachmentLeased: Something is.
        """
        for (owner,) in transaction.execute("SELECT DISTINCT owner FROM leases").fetchall():
            if not transaction.forget_if_dead(owner):
                raise AttachmentLeased(
                    f"Attachments in {transaction.layout.root} are in use by process {owner}: wait,"
                    " or reset with force=True."
                )
