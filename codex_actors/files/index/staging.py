"""Owns the operations by which attachments come to be: a hit, or a publication.

Invariant: a content is one inode under all its names as far as the file system has links; a hit is
one only if its file is there with the right size; a restaging never shortens a life. Knows no Trio.
"""

import os
import stat
from pathlib import Path

from attrs import evolve, frozen

from codex_actors.files.content_type import detect_content_type
from codex_actors.files.index.leasing import insert_lease
from codex_actors.files.index.quota import Quota, make_room
from codex_actors.files.index.transaction import Row, Transaction
from codex_actors.files.model import Algorithm, Attachment
from codex_actors.files.store.partial import Copied
from codex_actors.files.store.source import SourceIdentity, identify
from codex_actors.files.ttl import expiry, later

__all__ = ["FindStaged", "Publish", "StageRequest", "Staged"]


@frozen(kw_only=True)
class StageRequest:
    """What a caller wants of a staging, whatever the source.

    Attributes:
        name: Validated.
        ttl: Seconds, validated.
        persist: Never expires.
        content_type: As declared, None to detect it.
        algorithm: What addresses the content.
        lease: Take a lease of this name in the same transaction.
    """

    name: str
    ttl: float
    persist: bool = False
    content_type: str | None = None
    algorithm: Algorithm = "blake3"
    lease: str | None = None


@frozen
class Staged:
    """What a staging gave.

    Attributes:
        attachment: It.
        cached: The content was there already.
        evicted: What had to go for it.
    """

    attachment: Attachment
    cached: bool
    evicted: tuple[Attachment, ...] = ()


@frozen
class FindStaged:
    """Stage a path whose content is known and there, by a stat; None when it has to be read."""

    path: Path
    request: StageRequest
    quota: Quota
    writes: bool = True

    def apply(self, transaction: Transaction) -> Staged | None:
        """Carry it out.

        Raises:
            QuotaExceeded: Another name for the content is one attachment too many.
        """
        request = self.request
        try:
            status = os.stat(self.path)  # noqa: PTH116 - the hottest path
        except OSError:
            return None  # reading it will tell why
        if not stat.S_ISREG(status.st_mode):
            return None
        checksum = _known(transaction, identify(status), request.algorithm)
        if checksum is None:
            return None
        row = transaction.row(checksum, request.name)
        if row is not None and transaction.is_whole(row):
            return _staged(transaction, _refresh(transaction, row, request), request, cached=True)
        source = transaction.whole_name(checksum)
        if source is None:
            return None
        evicted = () if row else make_room(transaction, self.quota, keep=checksum)
        _publish(transaction, source, checksum, request.name)
        if row is None:
            head = transaction.disk.head_of(source)
            row = _enter(transaction, request, checksum, status.st_size, head)
        else:
            row = _refresh(transaction, row, request)
        return _staged(transaction, row, request, cached=True, evicted=evicted)


@frozen
class Publish:
    """Give a complete partial file its name, or find that its content is there already.

    Attributes:
        copied: The partial file.
        request: What was asked.
        quota: Limits.
        distrust: Put the bytes just read in place of those that are there, under all names.
    """

    copied: Copied
    request: StageRequest
    quota: Quota
    distrust: bool = False
    writes: bool = True

    def apply(self, transaction: Transaction) -> Staged:
        """Carry it out.

        Raises:
            QuotaExceeded: It does not fit, and nothing more may be evicted.
        """
        copied, request = self.copied, self.request
        checksum = copied.checksum
        rows = transaction.rows("WHERE a.checksum = ?", checksum)
        row = next((row for row in rows if row.name == request.name), None)
        evicted: tuple[Attachment, ...] = ()
        if row is None:
            size = 0 if rows else copied.size
            evicted = make_room(transaction, self.quota, keep=checksum, size=size)
        whole = [row for row in rows if transaction.is_whole(row)]
        trusted = [] if self.distrust else whole
        source = transaction.layout.blob(checksum, trusted[0].name) if trusted else copied.path
        for other in rows:
            # A file that is gone, was cut, or is distrusted: this is its content, so it is mended.
            if other not in trusted:
                _publish(transaction, source, checksum, other.name)
        if row is None:
            _publish(transaction, source, checksum, request.name)
            row = _enter(transaction, request, checksum, copied.size, copied.head)
        else:
            row = _refresh(transaction, row, request)
        if copied.source is not None:
            _remember(transaction, copied.source, request.algorithm, checksum)
        transaction.changes.spend(copied.path)
        return _staged(transaction, row, request, cached=bool(whole), evicted=evicted)


def _publish(transaction: Transaction, source: Path, checksum: str, name: str) -> None:
    transaction.changes.publish(source, checksum, name, transaction.claim.new_partial())


def _known(transaction: Transaction, identity: SourceIdentity, algorithm: Algorithm) -> str | None:
    found = transaction.execute(
        "SELECT checksum FROM sources WHERE device = ? AND inode = ? AND algorithm = ?"
        " AND size = ? AND mtime_ns = ? AND ctime_ns = ?",
        _signed(identity.device),
        _signed(identity.inode),
        algorithm,
        identity.size,
        identity.mtime_ns,
        identity.ctime_ns,
    ).fetchone()
    return None if found is None else str(found[0])


def _remember(
    transaction: Transaction, identity: SourceIdentity, algorithm: Algorithm, checksum: str
) -> None:
    transaction.execute(
        "INSERT OR REPLACE INTO sources"
        " (device, inode, algorithm, size, mtime_ns, ctime_ns, checksum) VALUES (?,?,?,?,?,?,?)",
        _signed(identity.device),
        _signed(identity.inode),
        algorithm,
        identity.size,
        identity.mtime_ns,
        identity.ctime_ns,
        checksum,
    )


def _signed(number: int) -> int:
    """Return an unsigned 64-bit number as SQLite can keep it."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _enter(
    transaction: Transaction, request: StageRequest, checksum: str, size: int, head: bytes
) -> Row:
    """Enter an attachment whose file was just published."""
    row = Row(
        checksum,
        request.name,
        request.algorithm,
        size,
        request.content_type or detect_content_type(request.name, head),
        request.persist,
        transaction.now,
        expiry(transaction.now, request.ttl, persist=request.persist),
    )
    transaction.enter(row)
    return row


def _refresh(transaction: Transaction, row: Row, request: StageRequest) -> Row:
    """Extend the life of an attachment; what was declared this time replaces what was detected."""
    asked = expiry(transaction.now, request.ttl, persist=request.persist)
    fresh = evolve(
        row,
        content_type=request.content_type or row.content_type,
        persist=row.persist or request.persist,
        inserted_at=transaction.now,
        expires_at=later(row.expires_at, asked),
    )
    transaction.execute(
        "UPDATE attachments SET content_type = ?, persist = ?, inserted_at = ?, expires_at = ?"
        " WHERE checksum = ? AND name = ?",
        fresh.content_type,
        fresh.persist,
        fresh.inserted_at,
        fresh.expires_at,
        fresh.checksum,
        fresh.name,
    )
    return fresh


def _staged(
    transaction: Transaction,
    row: Row,
    request: StageRequest,
    *,
    cached: bool,
    evicted: tuple[Attachment, ...] = (),
) -> Staged:
    if request.lease is not None:
        insert_lease(transaction, request.lease, row.checksum, row.name)
    return Staged(row.attachment(transaction.layout), cached, evicted)
