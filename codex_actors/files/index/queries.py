"""Owns the operations that only look. Invariant: they change nothing. Knows no Trio."""

from attrs import frozen

from codex_actors.files.index.leasing import not_found
from codex_actors.files.index.transaction import Transaction
from codex_actors.files.model import Attachment, Metrics
from codex_actors.files.store.claim import owners
from codex_actors.files.store.layout import PARTIAL_SUFFIX, Layout

__all__ = ["Count", "Find", "ListStaged"]


@frozen
class ListStaged:
    """All attachments, the least recently staged first."""

    writes: bool = False

    def apply(self, transaction: Transaction) -> tuple[Attachment, ...]:
        """Carry it out."""
        rows = transaction.rows("ORDER BY a.inserted_at, a.checksum, a.name")
        return tuple(row.attachment(transaction.layout) for row in rows)


@frozen
class Find:
    """One attachment; without a name, the most recently staged one of that content."""

    checksum: str
    name: str | None = None
    writes: bool = False

    def apply(self, transaction: Transaction) -> Attachment:
        """Carry it out.

        Raises:
            AttachmentNotFound: There is none, or its file is gone.
        """
        rows = transaction.rows(
            "WHERE a.checksum = ?1 AND (?2 IS NULL OR a.name = ?2)"
            " ORDER BY a.inserted_at DESC, a.name",
            self.checksum,
            self.name,
        )
        for row in rows:
            if transaction.is_whole(row):
                return row.attachment(transaction.layout)
        raise not_found(self.checksum, self.name)


@frozen
class Count:
    """What there is, as far as the manifest and the disk know it."""

    writes: bool = False

    def apply(self, transaction: Transaction) -> Metrics:
        """Carry it out."""
        total, total_bytes, persistent, persistent_bytes, blobs, blob_bytes = transaction.execute(
            "SELECT attachments, bytes, persistent, persistent_bytes, blobs, blob_bytes FROM totals"
        ).fetchone()
        (leases,) = transaction.execute("SELECT COUNT(*) FROM leases").fetchone()
        return Metrics(
            total_count=total,
            total_bytes=total_bytes,
            persistent_count=persistent,
            persistent_bytes=persistent_bytes,
            expirable_count=total - persistent,
            expirable_bytes=total_bytes - persistent_bytes,
            blob_count=blobs,
            blob_bytes=blob_bytes,
            saved_bytes=total_bytes - blob_bytes,
            partial_files=_partials(transaction.layout),
            leases=leases,
        )


def _partials(layout: Layout) -> int:
    folders = map(layout.owned, owners(layout))
    return sum(1 for folder in folders for _ in folder.glob(f"*{PARTIAL_SUFFIX}"))
