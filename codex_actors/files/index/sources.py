"""Owns the memory of which file holds which content, so that a duplicate costs a stat, not a read.

Invariant: an identity that could outlive a write to its file is never kept. Knows no Trio.
"""

from codex_actors.files.index.transaction import Transaction, signed
from codex_actors.files.model import Algorithm
from codex_actors.files.store.source import SourceIdentity

__all__ = ["content_of", "keep_content"]


def content_of(
    transaction: Transaction, identity: SourceIdentity, algorithm: Algorithm
) -> str | None:
    """Return the checksum of a file that was read before and is the same still."""
    found = transaction.execute(
        "SELECT checksum FROM sources WHERE device = ? AND inode = ? AND algorithm = ?"
        " AND size = ? AND mtime_ns = ? AND ctime_ns = ?",
        signed(identity.device),
        signed(identity.inode),
        algorithm,
        identity.size,
        identity.mtime_ns,
        identity.ctime_ns,
    ).fetchone()
    return None if found is None else str(found[0])


def keep_content(
    transaction: Transaction, identity: SourceIdentity, algorithm: Algorithm, checksum: str
) -> None:
    """Keep what a file was found to hold."""
    transaction.execute(
        "INSERT OR REPLACE INTO sources"
        " (device, inode, algorithm, size, mtime_ns, ctime_ns, checksum) VALUES (?,?,?,?,?,?,?)",
        signed(identity.device),
        signed(identity.inode),
        algorithm,
        identity.size,
        identity.mtime_ns,
        identity.ctime_ns,
        checksum,
    )
