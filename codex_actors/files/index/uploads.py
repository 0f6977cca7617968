"""Owns the operations on uploads: who sends what where, how far it is, and what has been sent.

Invariant: of one content, target and account there is one record: a pending one, held by one living
upload of any process, or a finished one with the file id to give out again. Records do not hang on
attachments: a content that is removed and staged again is the same content. Knows no Trio.
"""

import json
import secrets
from datetime import datetime
from typing import TypeAlias

from attrs import field, frozen

from codex_actors.files.index.transaction import Transaction
from codex_actors.files.model import UploadedFile
from codex_actors.files.targets.protocol import Outgoing, Receipt, Remote
from codex_actors.files.ttl import from_milliseconds

__all__ = [
    "Busy",
    "ClaimUpload",
    "Claimed",
    "ForgetOldUploads",
    "Pending",
    "UploadKey",
    "dismiss",
    "enlist",
]

# How long a finished upload without expiry is remembered once its content is staged no more.
_MEMORY = 30 * 86_400_000  # ms
# How long a dead one is kept whose server does not say when it forgets it.
_PATIENCE = 86_400_000  # ms

# The uploads under way in this process, in whichever tree: a record that one of them holds is not
# taken over. Random names, so a forked child takes none of its parent's for its own.
_living: set[str] = set()


def enlist() -> str:
    """Return the name of a new upload, which is alive until it is dismissed."""
    holder = secrets.token_hex(8)
    _living.add(holder)
    return holder


def dismiss(holder: str) -> None:
    """Let others take over what an upload left; twice is no error."""
    _living.discard(holder)


@frozen
class UploadKey:
    """What two uploads have in common that share one file.

    Attributes:
        checksum: The content.
        target: The kind of target.
        account: See `Target.account`.
    """

    checksum: str
    target: str
    account: str


@frozen
class Pending:
    """An upload that is now the asker's.

    Attributes:
        upload: The record.
        name, content_type: As what it goes; those of the first asker.
        started_at: When the first of them began (aware UTC).
        taken_over: A dead upload began it.
        making: The request that makes the file may have been sent.
        part_size: Of the parts that were sent.
        remote: What it is called at the target, None before it has begun.
        receipts: Of the parts that were acknowledged, in file order.
    """

    upload: int
    name: str
    content_type: str
    started_at: datetime
    taken_over: bool = False
    making: bool = False
    part_size: int | None = None
    remote: Remote | None = None
    receipts: tuple[Receipt, ...] = ()


@frozen
class Busy:
    """Another upload of the same is alive, elsewhere."""


Claimed: TypeAlias = UploadedFile | Pending | Busy


@frozen(kw_only=True)
class ClaimUpload:
    """Find the file of an earlier upload, or become the one that uploads it.

    Attributes:
        key: What.
        holder: The asker, by `enlist`.
        file: As what it would go.
        making: The first request makes the file.
        part_size: Of its parts.
    """

    key: UploadKey
    holder: str
    file: Outgoing
    making: bool = False
    part_size: int | None = None
    writes: bool = True

    def apply(self, transaction: Transaction) -> Claimed:
        """Carry it out."""
        row = _row(transaction, self.key)
        if row is not None and row.file_id is not None:
            if row.expires_at is None or row.expires_at > transaction.now:
                return row.uploaded(self.key)
            _delete(transaction, row.upload)
            row = None
        if row is None:
            return self._begin(transaction)
        if self._is_alive(transaction, row):
            return Busy()
        transaction.execute(
            "UPDATE uploads SET owner = ?, holder = ? WHERE upload = ?",
            transaction.claim.owner,
            self.holder,
            row.upload,
        )
        return row.pending(_receipts(transaction, row.upload))

    def _is_alive(self, transaction: Transaction, row: "_Row") -> bool:
        if row.holder == self.holder:
            return False
        if row.owner == transaction.claim.owner:
            return row.holder in _living
        return not transaction.forget_if_dead(row.owner)

    def _begin(self, transaction: Transaction) -> Pending:
        file, now = self.file, transaction.now
        inserted = transaction.execute(
            "INSERT INTO uploads (checksum, target, account, owner, holder, name, content_type,"
            " size, started_at, making, part_size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self.key.checksum,
            self.key.target,
            self.key.account,
            transaction.claim.owner,
            self.holder,
            file.name,
            file.content_type,
            file.size,
            now,
            self.making,
            self.part_size,
        )
        assert inserted.lastrowid is not None  # noqa: S101 - it was one row
        return Pending(
            inserted.lastrowid,
            file.name,
            file.content_type,
            from_milliseconds(now),
            making=self.making,
            part_size=self.part_size,
        )


@frozen
class ForgetOldUploads:
    """Forget files that have expired, and uploads that nobody can go on with."""

    writes: bool = True

    def apply(self, transaction: Transaction) -> None:
        """Carry it out."""
        now = transaction.now
        transaction.execute(
            "DELETE FROM uploads WHERE file_id IS NOT NULL AND expires_at <= ?", now
        )
        transaction.execute(
            "DELETE FROM uploads WHERE file_id IS NOT NULL AND expires_at IS NULL"
            " AND uploaded_at <= ?"
            " AND NOT EXISTS (SELECT 1 FROM blobs AS b WHERE b.checksum = uploads.checksum)",
            now - _MEMORY,
        )
        old = transaction.execute(
            "SELECT upload, owner, holder FROM uploads WHERE file_id IS NULL"
            " AND COALESCE(remote_expires_at, started_at + ?) <= ?",
            _PATIENCE,
            now,
        ).fetchall()
        mine = transaction.claim.owner
        for upload, owner, holder in old:
            if holder not in _living if owner == mine else transaction.forget_if_dead(owner):
                _delete(transaction, upload)


_SELECT = """
    SELECT upload, owner, holder, name, content_type, size, started_at, making, part_size,
        remote_id, remote_data, remote_expires_at, file_id, uploaded_at, expires_at
    FROM uploads WHERE checksum = ? AND target = ? AND account = ?
"""


@frozen
class _Row:
    """A record as the manifest keeps it; moments in milliseconds since 1970."""

    upload: int
    owner: str
    holder: str
    name: str
    content_type: str
    size: int
    started_at: int
    making: bool = field(converter=bool)
    part_size: int | None
    remote_id: str | None
    remote_data: str | None
    remote_expires_at: int | None
    file_id: str | None
    uploaded_at: int | None
    expires_at: int | None

    def uploaded(self, key: UploadKey) -> UploadedFile:
        """Return the file of a finished upload."""
        return UploadedFile(
            file_id=str(self.file_id),
            target=key.target,
            name=self.name,
            size=self.size,
            content_type=self.content_type,
            checksum=key.checksum,
            uploaded_at=from_milliseconds(self.uploaded_at or 0),
            expires_at=_moment(self.expires_at),
        )

    def pending(self, receipts: tuple[Receipt, ...]) -> Pending:
        """Return an upload that somebody else began."""
        remote: Remote | None = None
        if self.remote_id is not None:
            data = json.loads(self.remote_data or "{}")
            remote = Remote(self.remote_id, _moment(self.remote_expires_at), data)
        return Pending(
            self.upload,
            self.name,
            self.content_type,
            from_milliseconds(self.started_at),
            taken_over=True,
            making=self.making,
            part_size=self.part_size,
            remote=remote,
            receipts=receipts,
        )


def _row(transaction: Transaction, key: UploadKey) -> _Row | None:
    found = transaction.execute(_SELECT, key.checksum, key.target, key.account).fetchone()
    return None if found is None else _Row(*found)


def _receipts(transaction: Transaction, upload: int) -> tuple[Receipt, ...]:
    rows = transaction.execute(
        "SELECT number, token FROM upload_parts WHERE upload = ? ORDER BY number", upload
    )
    return tuple(Receipt(number, token) for number, token in rows)


def _delete(transaction: Transaction, upload: int) -> None:
    transaction.execute("DELETE FROM uploads WHERE upload = ?", upload)


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_milliseconds(milliseconds)
