"""Owns the operations by which attachments come to be: a hit, or a publication.

Invariant: a content is one inode under all its names as far as the file system has links; a hit is
one only if its file can be relied on; a restaging never shortens a life. Knows no Trio.
"""

import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from attrs import evolve, frozen

from codex_actors.files.content_type import detect_content_type
from codex_actors.files.errors import QuotaExceeded
from codex_actors.files.index.leasing import insert_lease
from codex_actors.files.index.quota import Quota, has_room, make_room
from codex_actors.files.index.sources import content_of, keep_content
from codex_actors.files.index.transaction import Row, Transaction
from codex_actors.files.index.trust import (
    Doubts,
    Standing,
    doubts,
    found_again,
    is_lost,
    quarantine,
    sound_name,
    standing,
)
from codex_actors.files.model import Algorithm, Attachment
from codex_actors.files.store.partial import Copied
from codex_actors.files.store.seal import Verdict, blob_seal
from codex_actors.files.store.source import SourceIdentity, identify
from codex_actors.files.ttl import expiry, later

__all__ = ["FindContent", "FindStaged", "Missed", "Publish", "StageRequest", "Staged"]


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
        quarantined: Where files lie now that were not what they were said to be.
    """

    attachment: Attachment
    cached: bool
    evicted: tuple[Attachment, ...] = ()
    quarantined: tuple[Path, ...] = ()


@frozen
class Missed:
    """A path has to be read.

    Attributes:
        identity: What lay there, None for nothing that can be told from what will be there next.
    """

    identity: SourceIdentity | None = None


@frozen
class FindStaged:
    """Stage a path whose content is known and there, by a stat."""

    path: Path
    request: StageRequest
    quota: Quota
    writes: bool = True

    def apply(self, transaction: Transaction) -> Staged | Missed:
        """Carry it out."""
        now = time.time_ns()
        try:
            status = os.stat(self.path)  # noqa: PTH116 - the hottest path
        except OSError:
            return Missed()  # reading it will tell why
        if not stat.S_ISREG(status.st_mode):
            return Missed()
        identity = identify(status)
        checksum = content_of(transaction, identity, self.request.algorithm)
        found = None
        if checksum is not None:
            found = _find(transaction, checksum, self.request, self.quota)
        return found or Missed(None if identity.is_racy(now) else identity)


@frozen
class FindContent:
    """Stage a content that was there a moment ago; None when it is not any more."""

    checksum: str
    request: StageRequest
    quota: Quota
    writes: bool = True

    def apply(self, transaction: Transaction) -> Staged | None:
        """Carry it out."""
        return _find(transaction, self.checksum, self.request, self.quota)


@frozen
class Publish:
    """Give a complete partial file its name, or find that its content is there already.

    Attributes:
        copied: The partial file.
        request: What was asked.
        quota: Limits.
        distrust: Have what is there read before it is relied on.
        verdicts: What reading has told so far.
    """

    copied: Copied
    request: StageRequest
    quota: Quota
    distrust: bool = False
    verdicts: tuple[Verdict, ...] = ()
    writes: bool = True

    def apply(self, transaction: Transaction) -> Staged | Doubts:
        """Carry it out.

        Raises:
            QuotaExceeded: It does not fit, and nothing more may be evicted.
        """
        copied, request, checksum = self.copied, self.request, self.copied.checksum
        rows = transaction.rows("WHERE a.checksum = ?", checksum)
        standings = [
            (row, standing(transaction, row, self.verdicts, distrust=self.distrust)) for row in rows
        ]
        doubtful = doubts(standings)
        if doubtful is not None:
            return doubtful
        lost = found_again(transaction, checksum)
        evicted, lost = self._make_room(transaction, rows, lost)
        gone = {attachment.key for attachment in evicted}
        standings = [(row, found) for row, found in standings if row.key not in gone]
        listed = [row for row, _ in standings]
        row = next((row for row in [*listed, *lost] if row.name == request.name), None)
        sound = [row for row, found in standings if found is Standing.SOUND]
        source = transaction.layout.blob(checksum, sound[0].name) if sound else copied.path
        # This is the content of whatever is wrong, gone or lost: it is mended under all its names.
        quarantined = [
            quarantine(transaction, checksum, row.name)
            for row, found in standings
            if found is Standing.WRONG
        ]
        broken = [row.name for row, found in standings if found is not Standing.SOUND]
        fresh = [*broken, *(row.name for row in lost)]
        if row is None:
            fresh.append(request.name)
        for name in fresh:
            _publish(transaction, source, checksum, name)
        transaction.changes.spend(copied.path)
        for again in lost:
            transaction.enter(again)
        if row is None:
            row = _enter(transaction, request, checksum, copied.size, copied.head)
        else:
            row = _refresh(transaction, row, request)
        _seal(transaction, checksum, fresh)
        if copied.source is not None:
            keep_content(transaction, copied.source, request.algorithm, checksum)
        return _staged(
            transaction,
            row,
            request,
            cached=bool(sound),
            evicted=evicted,
            quarantined=tuple(path for path in quarantined if path is not None),
        )

    def _make_room(
        self, transaction: Transaction, rows: list[Row], lost: list[Row]
    ) -> tuple[tuple[Attachment, ...], list[Row]]:
        """Make room for what is asked for, and for what comes back with it where there is any.

        Return what was evicted, and what comes back.
        """
        name = self.request.name
        others = [row for row in lost if row.name != name]
        new = all(row.name != name for row in rows)
        if not new and not others:
            return (), []
        try:
            return self._evict(transaction, len(others) + new), lost
        except QuotaExceeded:
            if not others:
                raise
        # What was lost does not stand in the way of what is asked for.
        asked = [row for row in lost if row.name == name]
        return self._evict(transaction, 1) if new else (), asked

    def _evict(self, transaction: Transaction, count: int) -> tuple[Attachment, ...]:
        copied, name = self.copied, self.request.name
        return make_room(
            transaction, self.quota, copied.checksum, name, size=copied.size, count=count
        )


def _find(
    transaction: Transaction, checksum: str, request: StageRequest, quota: Quota
) -> Staged | None:
    """Return a hit, giving the content one more name where it takes one; None to read the bytes."""
    row = transaction.row(checksum, request.name)
    if row is not None:
        if standing(transaction, row) is not Standing.SOUND:
            return None
        return _staged(transaction, _refresh(transaction, row, request), request, cached=True)
    known = sound_name(transaction, checksum)
    if known is None or is_lost(transaction, checksum, request.name):
        return None
    if not has_room(transaction, quota, checksum):
        return None  # who has to go may be the one to link from
    mark = transaction.changes.mark()
    try:
        _publish(transaction, transaction.layout.blob(checksum, known.name), checksum, request.name)
    except FileNotFoundError:
        transaction.changes.take_back(mark)
        return None  # somebody has deleted it since it was looked at
    head = transaction.disk.head_of(transaction.layout.blob(checksum, request.name))
    row = _enter(transaction, request, checksum, known.size, head)
    _seal(transaction, checksum, [request.name])
    return _staged(transaction, row, request, cached=True)


def _publish(transaction: Transaction, source: Path, checksum: str, name: str) -> None:
    transaction.changes.publish(source, checksum, name, transaction.claim.new_partial)


def _seal(transaction: Transaction, checksum: str, names: Iterable[str]) -> None:
    """Keep the seals of files just published; they speak for older links to them, too."""
    for name in names:
        seal = blob_seal(transaction.disk, transaction.layout.blob(checksum, name))
        if seal is not None:
            transaction.seal(checksum, seal)


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
    quarantined: tuple[Path, ...] = (),
) -> Staged:
    if request.lease is not None:
        insert_lease(transaction, request.lease, row.checksum, row.name)
    return Staged(row.attachment(transaction.layout), cached, evicted, quarantined)
