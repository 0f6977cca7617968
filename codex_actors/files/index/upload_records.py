"""Owns the operations by which an upload records how far it is, and what it made.

Invariant: only who holds a record writes it; what comes from a former holder is of no effect.
Knows no Trio.
"""

import json
from datetime import datetime

from attrs import frozen

from codex_actors.files.index.transaction import Transaction
from codex_actors.files.index.uploads import UploadKey
from codex_actors.files.model import UploadedFile
from codex_actors.files.store.seal import Seal
from codex_actors.files.targets.protocol import Finished, Outgoing, Receipt, Remote
from codex_actors.files.ttl import from_milliseconds, to_milliseconds

__all__ = [
    "FindMD5",
    "FinishUpload",
    "ForgetFile",
    "ForgetUpload",
    "IsSealed",
    "RecordMD5",
    "RecordMaking",
    "RecordPart",
    "RecordRemote",
]


@frozen
class RecordRemote:
    """Remember an upload that has begun at the target, or with None that it has not."""

    upload: int
    holder: str
    remote: Remote | None
    part_size: int | None
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        remote = self.remote
        updated = transaction.execute(
            "UPDATE uploads SET remote_id = ?, remote_data = ?, remote_expires_at = ?,"
            " part_size = ?, making = 0 WHERE upload = ? AND holder = ? AND file_id IS NULL",
            None if remote is None else remote.id,
            None if remote is None else json.dumps(dict(remote.data)),
            None if remote is None else _optional(remote.expires_at),
            self.part_size,
            self.upload,
            self.holder,
        )
        if updated.rowcount:
            transaction.execute("DELETE FROM upload_parts WHERE upload = ?", self.upload)


@frozen
class RecordPart:
    """Remember that a part was acknowledged; with the last one the file may be made next."""

    upload: int
    holder: str
    receipt: Receipt
    last: bool = False
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        transaction.execute(
            "INSERT OR REPLACE INTO upload_parts (upload, number, token)"
            " SELECT upload, ?, ? FROM uploads"
            " WHERE upload = ? AND holder = ? AND file_id IS NULL",
            self.receipt.number,
            self.receipt.token,
            self.upload,
            self.holder,
        )
        if self.last:
            RecordMaking(self.upload, self.holder).apply(transaction)


@frozen
class RecordMaking:
    """Remember that the request that makes the file may be on its way."""

    upload: int
    holder: str
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        transaction.execute(
            "UPDATE uploads SET making = 1 WHERE upload = ? AND holder = ? AND file_id IS NULL",
            self.upload,
            self.holder,
        )


@frozen
class FinishUpload:
    """Remember a file that is complete at the target."""

    key: UploadKey
    holder: str
    file: Outgoing
    finished: Finished
    writes: bool = True

    def apply(self, transaction: Transaction) -> UploadedFile:
        """Carry it out."""
        key, file, finished = self.key, self.file, self.finished
        expires_at = _optional(finished.expires_at)
        # In place of whatever is there: a manifest that was rebuilt meanwhile knows nothing.
        transaction.execute(
            "DELETE FROM uploads WHERE checksum = ? AND target = ? AND account = ?",
            key.checksum,
            key.target,
            key.account,
        )
        transaction.execute(
            "INSERT INTO uploads (checksum, target, account, owner, holder, name, content_type,"
            " size, started_at, making, file_id, uploaded_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)",
            key.checksum,
            key.target,
            key.account,
            transaction.claim.owner,
            self.holder,
            file.name,
            file.content_type,
            file.size,
            to_milliseconds(file.started_at),
            finished.file_id,
            transaction.now,
            expires_at,
        )
        return UploadedFile(
            file_id=finished.file_id,
            target=key.target,
            name=file.name,
            size=file.size,
            content_type=file.content_type,
            checksum=key.checksum,
            uploaded_at=from_milliseconds(transaction.now),
            expires_at=None if expires_at is None else from_milliseconds(expires_at),
        )


@frozen
class ForgetUpload:
    """Forget an upload that was given up; one that somebody else holds or finished stays."""

    upload: int
    holder: str
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        transaction.execute(
            "DELETE FROM uploads WHERE upload = ? AND holder = ? AND file_id IS NULL",
            self.upload,
            self.holder,
        )


@frozen
class ForgetFile:
    """Forget a finished upload whose file is gone at the target."""

    key: UploadKey
    file_id: str
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        transaction.execute(
            "DELETE FROM uploads WHERE checksum = ? AND target = ? AND account = ? AND file_id = ?",
            self.key.checksum,
            self.key.target,
            self.key.account,
            self.file_id,
        )


@frozen
class IsSealed:
    """Whether a file of a content has not been touched since its bytes were known."""

    checksum: str
    seal: Seal
    writes: bool = False

    def apply(self, transaction: Transaction) -> bool:
        """Carry it out."""
        return transaction.is_sealed(self.checksum, self.seal)


@frozen
class FindMD5:
    """The MD5 of a content, if it has been computed."""

    checksum: str
    writes: bool = False

    def apply(self, transaction: Transaction) -> str | None:
        """Carry it out."""
        found = transaction.execute(
            "SELECT md5 FROM md5s WHERE checksum = ?", self.checksum
        ).fetchone()
        return None if found is None else str(found[0])


@frozen
class RecordMD5:
    """Remember the MD5 of a content for as long as it is staged."""

    checksum: str
    md5: str
    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        transaction.execute(
            "INSERT OR REPLACE INTO md5s (checksum, md5)"
            " SELECT checksum, ? FROM blobs WHERE checksum = ?",
            self.md5,
            self.checksum,
        )


def _optional(moment: datetime | None) -> int | None:
    return None if moment is None else to_milliseconds(moment)
