"""Owns the SQLite file of the manifest: its schema, its migrations, its settings.

Invariant: a connection that was opened here has the newest schema; a file from a newer version of
this package is not touched. Times are milliseconds since 1970. Knows no operation.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from codex_actors.files.errors import ManifestTooNew
from codex_actors.files.model import Durability
from codex_actors.files.store.layout import FILE_MODE, Layout

__all__ = ["BUSY_SECONDS", "SCHEMA_VERSION", "is_damage", "open_manifest", "set_aside"]

BUSY_SECONDS = 10.0  # how long another process's transaction is waited for

# Each entry takes the schema one version further; entries are never edited, only appended.
_MIGRATIONS = (
    """
    CREATE TABLE blobs (
        checksum TEXT PRIMARY KEY,
        algorithm TEXT NOT NULL,
        size INTEGER NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE attachments (
        checksum TEXT NOT NULL REFERENCES blobs (checksum),
        name TEXT NOT NULL,
        content_type TEXT NOT NULL,
        persist INTEGER NOT NULL,
        inserted_at INTEGER NOT NULL,
        expires_at INTEGER,
        PRIMARY KEY (checksum, name)
    ) WITHOUT ROWID;
    CREATE INDEX attachments_by_expiry ON attachments (expires_at, checksum, name)
        WHERE expires_at IS NOT NULL;
    CREATE INDEX attachments_by_age ON attachments (inserted_at, checksum, name);

    CREATE TABLE leases (
        lease TEXT PRIMARY KEY,
        checksum TEXT NOT NULL,
        name TEXT NOT NULL,
        owner TEXT NOT NULL,
        taken_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX leases_by_attachment ON leases (checksum, name);
    CREATE INDEX leases_by_owner ON leases (owner);

    CREATE TABLE sources (
        device INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        algorithm TEXT NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        checksum TEXT NOT NULL REFERENCES blobs (checksum) ON DELETE CASCADE,
        PRIMARY KEY (device, inode, algorithm)
    ) WITHOUT ROWID;
    CREATE INDEX sources_by_blob ON sources (checksum);
    """,
    """
    CREATE TABLE seals (
        checksum TEXT NOT NULL REFERENCES blobs (checksum) ON DELETE CASCADE,
        inode INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        PRIMARY KEY (checksum, inode)
    ) WITHOUT ROWID;

    CREATE TABLE lost (
        checksum TEXT NOT NULL,
        name TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        size INTEGER NOT NULL,
        content_type TEXT NOT NULL,
        persist INTEGER NOT NULL,
        inserted_at INTEGER NOT NULL,
        expires_at INTEGER,
        PRIMARY KEY (checksum, name)
    ) WITHOUT ROWID;
    CREATE INDEX lost_by_expiry ON lost (expires_at) WHERE expires_at IS NOT NULL;
    """,
    # One row of sums, which quotas and metrics would else have to walk the tables for.
    """
    CREATE TABLE totals (
        attachments INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        persistent INTEGER NOT NULL,
        persistent_bytes INTEGER NOT NULL,
        blobs INTEGER NOT NULL,
        blob_bytes INTEGER NOT NULL
    );
    INSERT INTO totals
        SELECT COUNT(*), COALESCE(SUM(b.size), 0),
            COALESCE(SUM(a.persist), 0), COALESCE(SUM(a.persist * b.size), 0),
            (SELECT COUNT(*) FROM blobs), (SELECT COALESCE(SUM(size), 0) FROM blobs)
        FROM attachments AS a JOIN blobs AS b ON b.checksum = a.checksum;

    CREATE TRIGGER attachment_entered AFTER INSERT ON attachments BEGIN
        UPDATE totals SET
            attachments = attachments + 1,
            bytes = bytes + (SELECT size FROM blobs WHERE checksum = NEW.checksum),
            persistent = persistent + NEW.persist,
            persistent_bytes = persistent_bytes + NEW.persist
                * (SELECT size FROM blobs WHERE checksum = NEW.checksum);
    END;
    CREATE TRIGGER attachment_forgotten AFTER DELETE ON attachments BEGIN
        UPDATE totals SET
            attachments = attachments - 1,
            bytes = bytes - (SELECT size FROM blobs WHERE checksum = OLD.checksum),
            persistent = persistent - OLD.persist,
            persistent_bytes = persistent_bytes - OLD.persist
                * (SELECT size FROM blobs WHERE checksum = OLD.checksum);
    END;
    CREATE TRIGGER attachment_persisted AFTER UPDATE OF persist ON attachments
    WHEN NEW.persist <> OLD.persist BEGIN
        UPDATE totals SET
            persistent = persistent + NEW.persist - OLD.persist,
            persistent_bytes = persistent_bytes + (NEW.persist - OLD.persist)
                * (SELECT size FROM blobs WHERE checksum = NEW.checksum);
    END;
    CREATE TRIGGER blob_entered AFTER INSERT ON blobs BEGIN
        UPDATE totals SET blobs = blobs + 1, blob_bytes = blob_bytes + NEW.size;
    END;
    CREATE TRIGGER blob_forgotten AFTER DELETE ON blobs BEGIN
        UPDATE totals SET blobs = blobs - 1, blob_bytes = blob_bytes - OLD.size;
    END;

    DROP INDEX attachments_by_age;
    CREATE INDEX attachments_evictable ON attachments (inserted_at, checksum, name)
        WHERE persist = 0;
    """,
    """
    CREATE TABLE uploads (
        upload INTEGER PRIMARY KEY,
        checksum TEXT NOT NULL,
        target TEXT NOT NULL,
        account TEXT NOT NULL,
        owner TEXT NOT NULL,
        holder TEXT NOT NULL,
        name TEXT NOT NULL,
        content_type TEXT NOT NULL,
        size INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        making INTEGER NOT NULL,
        part_size INTEGER,
        remote_id TEXT,
        remote_data TEXT,
        remote_expires_at INTEGER,
        file_id TEXT,
        uploaded_at INTEGER,
        expires_at INTEGER,
        UNIQUE (checksum, target, account)
    );
    CREATE INDEX uploads_by_expiry ON uploads (expires_at) WHERE expires_at IS NOT NULL;
    CREATE INDEX uploads_for_ever ON uploads (uploaded_at)
        WHERE file_id IS NOT NULL AND expires_at IS NULL;
    CREATE INDEX uploads_pending ON uploads (started_at) WHERE file_id IS NULL;

    CREATE TABLE upload_parts (
        upload INTEGER NOT NULL REFERENCES uploads (upload) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        token TEXT NOT NULL,
        PRIMARY KEY (upload, number)
    ) WITHOUT ROWID;

    CREATE TABLE md5s (
        checksum TEXT PRIMARY KEY REFERENCES blobs (checksum) ON DELETE CASCADE,
        md5 TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
)
SCHEMA_VERSION = len(_MIGRATIONS)


def open_manifest(path: Path, durability: Durability) -> tuple[sqlite3.Connection, bool]:
    """Open the manifest, creating or migrating it; tell whether it is new. Blocking.

    The connection may be used from any thread, by one at a time.

    Raises:
        ManifestTooNew: A newer version of this package wrote it.
        sqlite3.Error: It cannot be opened, or is damaged.
    """
    # The last to close a manifest removes its log: one that is there was not closed, or is in use.
    unclean = path.with_name(path.name + "-wal").exists()
    with contextlib.suppress(FileExistsError):
        # SQLite gives its -wal and -shm the mode of the file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _refuse_newer(connection, path)
        if unclean:
            _check(connection)
        _use_wal(connection)
        synchronous = "FULL" if durability == "full" else "OFF"
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        new = _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection, new


def set_aside(layout: Layout) -> Path:
    """Move a damaged manifest, with all that SQLite keeps beside it, out of the way. Blocking."""
    suffix = f".damaged-{time.time_ns()}"
    for companion in ("", "-wal", "-shm"):
        path = layout.manifest.with_name(layout.manifest.name + companion)
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_name(layout.manifest.name + suffix + companion))
    return layout.manifest.with_name(layout.manifest.name + suffix)


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise ManifestTooNew(
            f"The manifest {path} has version {version}, and this package knows versions up to"
            f" {SCHEMA_VERSION}: upgrade codex-actors, or name another staging directory."
        )


def _check(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed: {verdict}")


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error means that the file is no (whole) manifest."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return type(error) is sqlite3.DatabaseError
    return code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _use_wal(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Two processes that switch a new file at once: SQLite does not wait for this one lock.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> bool:
    """Take the schema to the newest version; tell whether there was none."""
    if _version(connection) == SCHEMA_VERSION:
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        _refuse_newer(connection, path)
        old = _version(connection)
        for version in range(old, SCHEMA_VERSION):
            for statement in _statements(_MIGRATIONS[version]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return old == 0


def _statements(script: str) -> Iterator[str]:
    """Give the statements of a script one by one; `executescript` would commit first."""
    statement = ""
    for piece in script.split(";")[:-1]:
        statement += piece + ";"
        if sqlite3.complete_statement(statement):  # inside a trigger a semicolon ends nothing
            yield statement
            statement = ""
