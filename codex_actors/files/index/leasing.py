"""Owns the operations on leases.

Invariant: a lease names an attachment that is there, and its owner; releasing twice is no error, so
that a release may be sent whenever it is unsure whether the lease was taken. Knows no Trio.
"""

from pathlib import Path
from typing import Any

from attrs import frozen

from codex_actors.files.errors import AttachmentNotFound, ChecksumMismatch
from codex_actors.files.index.transaction import Row, Transaction
from codex_actors.files.index.trust import Doubts, Standing, lose, standing
from codex_actors.files.model import Attachment
from codex_actors.files.store.seal import Verdict

__all__ = ["ForgetDeadLeases", "ReleaseLease", "ReleaseOwnLeases", "TakeLease"]


@frozen
class TakeLease:
    """Keep an attachment from being removed, in the name of this process.

    Attributes:
        lease: Its name.
        checksum, name: The attachment.
        distrust: Have its file read before it is relied on.
        verdicts: What reading has told so far.
    """

    lease: str
    checksum: str
    name: str
    distrust: bool = False
    verdicts: tuple[Verdict, ...] = ()
    writes: bool = True

    def apply(self, transaction: Transaction) -> Attachment | Doubts:
        """Carry it out.

        Raises:
            AttachmentNotFound: There is none, or its file is gone.
            ChecksumMismatch: Its file is wrong, and in quarantine now.
        """
        row = transaction.row(self.checksum, self.name)
        if row is None:
            raise not_found(self.checksum, self.name)
        match standing(transaction, row, self.verdicts, distrust=self.distrust):
            case Standing.SUSPECT:
                return Doubts((row.suspect,))
            case Standing.WRONG:
                moved = lose(transaction, row)
                transaction.settle()
                raise _mismatch(row, moved)
            case Standing.GONE:
                raise not_found(self.checksum, self.name)
            case Standing.SOUND:
                insert_lease(transaction, self.lease, self.checksum, self.name)
                return row.attachment(transaction.layout)


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
        transaction.forget_the_dead()


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


def _mismatch(row: Row, moved: Path | None) -> ChecksumMismatch:
    return ChecksumMismatch(
        f"The file of the attachment {row.name!r} of content {row.checksum} holds other bytes than"
        f" were staged, and was moved to {moved}: stage it again.",
        quarantined=moved,
    )


def check_key(checksum: Any, name: Any = None) -> None:
    """Check that an attachment can be called so at all: a transaction takes nothing but text.

    Raises:
        TypeError: It is no text.
        AttachmentNotFound: It is no Unicode, which neither SQLite nor any attachment has.
    """
    for text in (checksum, "" if name is None else name):
        if not isinstance(text, str):
            raise TypeError(
                f"{text!r} is {type(text).__name__}, not text: give the checksum of an attachment,"
                " and its name."
            )
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise not_found(checksum, name)


def key_of(attachment: Any) -> tuple[str, str]:
    """Return the key of an attachment that comes from a caller.

    Raises:
        TypeError: It is none.
        AttachmentNotFound: There can be none of that name.
    """
    if not isinstance(attachment, Attachment):
        raise TypeError(
            f"{attachment!r} is no Attachment: pass what stage, get or list_staged returned."
        )
    check_key(*attachment.key)
    return attachment.key


def not_found(checksum: str, name: str | None) -> AttachmentNotFound:
    """Return the error for an attachment that is not there."""
    called = f"{name!r} of content {checksum}" if name is not None else f"with content {checksum}"
    return AttachmentNotFound(
        f"No attachment {called} is staged here: it expired or was removed; stage it again."
    )
