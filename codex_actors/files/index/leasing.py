"""Owns the operations on leases.

Invariant: a lease names an attachment that is there, and its owner; releasing twice is no error, so
that a release may be sent whenever it is unsure whether the lease was taken. Knows no Trio.
"""

from attrs import frozen

from codex_actors.files.errors import AttachmentNotFound
from codex_actors.files.index.transaction import Transaction

__all__ = ["ForgetDeadLeases", "ReleaseLease", "ReleaseOwnLeases", "TakeLease"]


@frozen
class TakeLease:
    """Keep an attachment from being removed, in the name of this process."""

    lease: str
    checksum: str
    name: str
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out.

        Raises:
            AttachmentNotFound: There is none, or its file is gone.
        """
        row = transaction.row(self.checksum, self.name)
        if row is None or not transaction.is_whole(row):
            raise not_found(self.checksum, self.name)
        insert_lease(transaction, self.lease, self.checksum, self.name)


@frozen
class ReleaseLease:
    """Give a lease back."""

    lease: str
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        transaction.execute("DELETE FROM leases WHERE lease = ?", self.lease)


@frozen
class ForgetDeadLeases:
    """Remove the leases of processes that have ended."""

    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        owners = transaction.execute("SELECT DISTINCT owner FROM leases").fetchall()
        for (owner,) in owners:
            transaction.forget_if_dead(owner)


@frozen
class ReleaseOwnLeases:
    """Remove all leases of this process: it leaves the staging directory."""

    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        transaction.execute("DELETE FROM leases WHERE owner = ?", transaction.claim.owner)


def insert_lease(transaction: Transaction, lease: str, checksum: str, name: str) -> None:
    """Enter a lease of this process."""
    transaction.execute(
        "INSERT OR IGNORE INTO leases (lease, checksum, name, owner, taken_at)"
        " VALUES (?, ?, ?, ?, ?)",
        lease,
        checksum,
        name,
        transaction.claim.owner,
        transaction.now,
    )


def not_found(checksum: str, name: str | None) -> AttachmentNotFound:
    """Return the error for an attachment that is not there."""
    called = f"{name!r} of content {checksum}" if name is not None else f"with content {checksum}"
    return AttachmentNotFound(
        f"No attachment {called} is staged here: it expired or was removed; stage it again."
    )
