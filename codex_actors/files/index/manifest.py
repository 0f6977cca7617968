"""Owns the connection to the manifest and the carrying out of batches.

Invariant: a batch is one transaction: what it did is on disk and committed before anyone is
answered, or taken back. An operation that is refused takes back its own part only. Blocking: from
one worker thread at a time. Knows no Trio and no single operation.
"""

import errno
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import outcome
from attrs import define, field

from codex_actors.files.errors import FilesError, StagingFull, StagingIOError
from codex_actors.files.index.schema import is_damage, open_manifest, set_aside
from codex_actors.files.index.transaction import Operation, Transaction
from codex_actors.files.store.changes import Changes
from codex_actors.files.store.claim import Claim
from codex_actors.files.store.disk import Disk, staging_error
from codex_actors.files.store.layout import Layout

__all__ = ["Manifest", "Result"]

Result = outcome.Value[Any] | outcome.Error

# What may be over at the next attempt: no reason to give up the connection.
_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})


@define(eq=False)
class Manifest:
    """An open manifest.

    Attributes:
        layout: The staging directory.
        disk: What blobs are published through.
        claim: Who this process is.
        new: It was not there, so it does not know what the directories hold.
        aside: Where a damaged manifest lies that this one replaces.
    """

    layout: Layout
    disk: Disk
    claim: Claim
    _connection: sqlite3.Connection
    new: bool = False
    aside: Path | None = None
    _identity: tuple[int, int] | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._identity = _identity(self.layout.manifest)

    @classmethod
    def open(cls, layout: Layout, disk: Disk, claim: Claim) -> "Manifest":
        """Open the manifest of a staging directory.

        Raises:
            ManifestTooNew: A newer version of this package wrote it.
            StagingFull, StagingIOError: It cannot be opened.
        """
        aside: Path | None = None
        try:
            try:
                connection, new = open_manifest(layout.manifest, disk.durability)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                aside = set_aside(layout)
                connection, new = open_manifest(layout.manifest, disk.durability)
        except sqlite3.Error as error:
            raise _manifest_error(error, layout) from error
        except OSError as error:
            raise staging_error(error, layout.manifest) from error
        return cls(layout, disk, claim, connection, new, aside)

    def close(self) -> None:
        """Close the connection. The manifest cannot be used afterwards."""
        self._connection.close()

    def execute(
        self, operations: Sequence[Operation[Any]], now: int, *, last: bool = False
    ) -> list[Result]:
        """Carry out a batch in one transaction and return what each operation gave.

        Args:
            operations: What to do, in order.
            now: Milliseconds since 1970.
            last: Give up if there is no room, even if this made some.

        Raises:
            StagingFull, StagingIOError: Nothing was done: no room, another process held the
                manifest for too long, or what was published could not be synced.
            sqlite3.Error: Nothing was done, and the connection is not to be trusted any more.
        """
        changes = Changes(self.layout, self.disk)
        transaction = Transaction(self._connection, changes, self.claim, now)
        writes = any(operation.writes for operation in operations)
        try:
            self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            self._refuse_another()
            results = [self._apply(operation, transaction) for operation in operations]
            changes.sync()
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._roll_back(changes, error) and not last:
                return self.execute(operations, now, last=True)  # noqa: ASYNC104 - no Cancelled
            if isinstance(error, sqlite3.Error) and _code(error) in _PASSING:
                raise _manifest_error(error, self.layout) from error  # noqa: ASYNC104 - no Cancelled
            raise
        changes.end()
        return results

    def _refuse_another(self) -> None:
        """Check that the file is still the one that was opened.

        Where another process has set it aside and begun a new one, or somebody has removed it, what
        is known here says nothing any more of the files that lie there.
        """
        if _identity(self.layout.manifest) != self._identity:
            raise sqlite3.DatabaseError(f"{self.layout.manifest} is not the file that was opened")

    def _roll_back(self, changes: Changes, error: BaseException) -> bool:
        """Take everything back; tell whether it may fit now, since what was to go has gone."""
        full = isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_FULL
        left_room = False
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        finally:
            if full:
                left_room = changes.make_way()
            changes.take_back()
            changes.end()
        return left_room

    def _apply(self, operation: Operation[Any], transaction: Transaction) -> Result:
        mark = transaction.changes.mark()
        transaction.execute("SAVEPOINT operation")
        result: Result
        try:
            result = outcome.Value(operation.apply(transaction))
        except (FilesError, OSError) as error:
            transaction.execute("ROLLBACK TO operation")
            transaction.changes.take_back(mark)
            refusal = (
                error if isinstance(error, FilesError) else staging_error(error, self.layout.root)
            )
            result = outcome.Error(refusal)
        transaction.execute("RELEASE operation")
        return result


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _code(error: sqlite3.Error) -> int:
    """Return the primary code, without what extends it."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def _manifest_error(error: sqlite3.Error, layout: Layout) -> FilesError:
    code = _code(error)
    if code == sqlite3.SQLITE_FULL:
        return StagingFull(
            errno.ENOSPC,
            f"There is no room for the manifest {layout.manifest}: free some, or name another"
            " staging directory.",
            str(layout.manifest),
        )
    if code == sqlite3.SQLITE_BUSY:
        return StagingIOError(
            errno.EBUSY,
            f"Another process has held the manifest {layout.manifest} for too long: try again, or"
            " end that process.",
            str(layout.manifest),
        )
    return StagingIOError(
        errno.EIO,
        f"The manifest {layout.manifest} failed ({error}): check the disk that it is on, and who"
        " may write there.",
        str(layout.manifest),
    )
