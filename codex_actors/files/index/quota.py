"""Owns the limits on what a staging directory may hold, and who goes when they are reached.

Invariant: the least recently staged goes first; what is leased or persistent stays. Knows no Trio.
"""

from collections import Counter

from attrs import frozen

from codex_actors.files.errors import QuotaExceeded
from codex_actors.files.index.transaction import Row, Transaction
from codex_actors.files.model import Attachment

__all__ = ["Quota", "make_room"]


@frozen
class Quota:
    """Limits; None for none.

    Attributes:
        max_bytes: All contents together, each once.
        max_count: Attachments.
    """

    max_bytes: int | None = None
    max_count: int | None = None


def make_room(
    transaction: Transaction, quota: Quota, *, keep: str, size: int = 0
) -> tuple[Attachment, ...]:
    """Evict as much as one more attachment of `size` more bytes needs; return what went.

    Args:
        transaction: Where.
        quota: Limits.
        keep: The content that is about to be staged, which is not evicted for itself.
        size: Bytes that its blob will take, 0 when it is there.

    Raises:
        QuotaExceeded: Evicting all that may go would not be enough; nothing was evicted, unless a
            file that should have gone could not be deleted.
    """
    if quota.max_bytes is None and quota.max_count is None:
        return ()
    evicted: list[Attachment] = []
    stuck: set[tuple[str, str]] = set()
    while excess := _excess(transaction, quota, size):
        chosen = _choose(transaction, excess, keep, stuck)
        if chosen is None:
            raise QuotaExceeded(
                f"{excess}, and what may be evicted from {transaction.layout.root} is not enough:"
                " remove or release attachments, or raise the limit."
            )
        for row in chosen:
            try:
                transaction.remove(row)
            except OSError:
                stuck.add((row.checksum, row.name))
            else:
                evicted.append(row.attachment(transaction.layout))
        transaction.settle()
    return tuple(evicted)


@frozen
class _Excess:
    """What is too much: attachments and bytes."""

    count: int
    size: int

    def __bool__(self) -> bool:
        return self.count > 0 or self.size > 0

    def __str__(self) -> str:
        count, size = max(self.count, 0), max(self.size, 0)
        return f"The quota is exceeded by {count} attachments and {size} bytes"


def _excess(transaction: Transaction, quota: Quota, size: int) -> _Excess:
    count = over = 0
    if quota.max_count is not None:
        held: int = transaction.execute("SELECT COUNT(*) FROM attachments").fetchone()[0]
        count = held + 1 - quota.max_count
    if quota.max_bytes is not None:
        used: int = transaction.execute("SELECT COALESCE(SUM(size), 0) FROM blobs").fetchone()[0]
        over = used + size - quota.max_bytes
    return _Excess(count, over)


def _choose(
    transaction: Transaction, excess: _Excess, keep: str, stuck: set[tuple[str, str]]
) -> list[Row] | None:
    """Choose whom to evict before anything is deleted, None when all would not be enough."""
    chosen: list[Row] = []
    names: Counter[str] = Counter()
    freed = 0
    for row in transaction.rows(
        "WHERE a.persist = 0 AND a.checksum <> ? AND NOT EXISTS (SELECT 1 FROM leases AS l"
        " WHERE l.checksum = a.checksum AND l.name = a.name)"
        " ORDER BY a.inserted_at, a.checksum, a.name",
        keep,
    ):
        if len(chosen) >= excess.count and freed >= excess.size:
            break
        if (row.checksum, row.name) in stuck:
            continue
        chosen.append(row)
        names[row.checksum] += 1
        (held,) = transaction.execute(
            "SELECT COUNT(*) FROM attachments WHERE checksum = ?", row.checksum
        ).fetchone()
        if names[row.checksum] == held:
            freed += row.size  # its last name: only now do the bytes go
    return chosen if len(chosen) >= excess.count and freed >= excess.size else None
