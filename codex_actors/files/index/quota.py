"""Owns the limits on what a staging directory may hold, and who goes when they are reached.

Invariant: the least recently staged goes first; what is leased or persistent stays, and so does
what would make no room. Knows no Trio.
"""

from collections import Counter
from collections.abc import Container

from attrs import frozen

from codex_actors.files.errors import QuotaExceeded
from codex_actors.files.index.transaction import Row, Transaction
from codex_actors.files.model import Attachment

__all__ = ["Quota", "has_room", "make_room"]


@frozen
class Quota:
    """Limits; None for none.

    Attributes:
        max_bytes: All contents together, each once.
        max_count: Attachments.
    """

    max_bytes: int | None = None
    max_count: int | None = None


def has_room(transaction: Transaction, quota: Quota, checksum: str) -> bool:
    """Tell whether one more name fits for a content that is there."""
    return not _excess(transaction, quota, checksum, 0, 1)


def make_room(
    transaction: Transaction, quota: Quota, checksum: str, name: str, *, size: int, count: int
) -> tuple[Attachment, ...]:
    """Evict as much as more names of a content need, older ones of it too; return what went.

    Args:
        transaction: Where.
        quota: Limits.
        checksum: The content that is about to get new names.
        name: What it is staged as, which is not evicted for the others.
        size: Its bytes, which count if they are not there.
        count: How many new names.

    Raises:
        QuotaExceeded: Evicting all that may go would not be enough; what was evicted comes back
            with the refusal.
    """
    evicted: list[Attachment] = []
    staying = {(checksum, name)}
    while excess := _excess(transaction, quota, checksum, size, count):
        chosen = _choose(transaction, excess, checksum, staying)
        if chosen is None:
            if transaction.forget_the_dead():
                continue  # what they used may go
            raise QuotaExceeded(
                f"{excess}, and what may be evicted from {transaction.layout.root} is not enough:"
                " remove or release attachments, or raise the limit."
            )
        for row in chosen:
            try:
                transaction.remove(row, asked=False)
            except OSError:
                staying.add(row.key)
            else:
                evicted.append(row.attachment(transaction.layout))
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


def _excess(transaction: Transaction, quota: Quota, checksum: str, size: int, new: int) -> _Excess:
    held, used = transaction.execute("SELECT attachments, blob_bytes FROM totals").fetchone()
    there = transaction.execute("SELECT 1 FROM blobs WHERE checksum = ?", checksum).fetchone()
    needed = used if there else used + size
    count = 0 if quota.max_count is None else held + new - quota.max_count
    over = 0 if quota.max_bytes is None else needed - quota.max_bytes
    return _Excess(count, over)


def _choose(
    transaction: Transaction, excess: _Excess, checksum: str, staying: Container[tuple[str, str]]
) -> list[Row] | None:
    """Choose whom to evict before anything is deleted, None when all would not be enough."""
    chosen: list[Row] = []
    names: Counter[str] = Counter()
    freed: set[str] = set()
    room = 0
    for row in transaction.each(
        "WHERE a.persist = 0 AND NOT EXISTS (SELECT 1 FROM leases AS l"
        " WHERE l.checksum = a.checksum AND l.name = a.name)"
        " ORDER BY a.inserted_at, a.checksum, a.name"
    ):
        if len(chosen) >= excess.count and room >= excess.size:
            break
        if row.key in staying:
            continue
        chosen.append(row)
        names[row.checksum] += 1
        (held,) = transaction.execute(
            "SELECT COUNT(*) FROM attachments WHERE checksum = ?", row.checksum
        ).fetchone()
        if names[row.checksum] == held and row.checksum != checksum and row.size:
            freed.add(row.checksum)  # its last name: only now do the bytes go
            room += row.size
    if len(chosen) < excess.count or room < excess.size:
        return None
    return _useful(chosen, freed, excess.count)


def _useful(chosen: list[Row], freed: Container[str], count: int) -> list[Row]:
    """Spare those whose going frees no bytes, beyond the places that are needed."""
    places = count - sum(row.checksum in freed for row in chosen)
    useful: list[Row] = []
    for row in chosen:
        if row.checksum in freed:
            useful.append(row)
        elif places > 0:
            places -= 1
            useful.append(row)
    return useful
