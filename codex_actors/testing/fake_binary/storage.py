"""Owns the threads of a home: their turns and attachments, kept across processes.

Invariant: what is written is there for every process at once, or not at all (SQLite); a thread is
loaded by one process at a time. A thread is stored with its first user message, not before, and an
ephemeral one never. Must not know the wire.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any

from .identifiers import new_id

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["MAX_ATTACHMENTS", "Attached", "Storage", "Thread", "TooManyAttachments"]

MAX_ATTACHMENTS = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS threads (
    id TEXT PRIMARY KEY, document TEXT NOT NULL, archived INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS turns (
    thread_id TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (thread_id, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attachments (
    id TEXT PRIMARY KEY, thread_id TEXT NOT NULL, type TEXT NOT NULL, key TEXT NOT NULL,
    payload TEXT NOT NULL, created_at INTEGER NOT NULL, UNIQUE (thread_id, type, key));
"""


class TooManyAttachments(Exception):
    """The thread has as many as it can have."""


@dataclass(kw_only=True)
class Thread:
    """A thread and how it runs. `requests` counts what the model was asked, for the usage."""

    id: str = field(default_factory=new_id)
    cwd: str
    model: str
    provider: str
    sandbox: str
    approval: str = "on-request"
    ephemeral: bool = False
    forked_from: str | None = None
    preview: str = ""
    created_at: int = field(default_factory=lambda: int(time.time()))
    updated_at: int = field(default_factory=lambda: int(time.time()))
    requests: int = 0
    last_turn: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attached:
    """An attachment of a thread."""

    id: str
    type: str
    key: str
    payload: Any
    created_at: int


class Storage:
    """The threads of one home directory."""

    def __init__(self, home: Path) -> None:
        self._directory = home / "fake_codex"
        (self._directory / "locks").mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(
            self._directory / "state.sqlite", timeout=30.0, isolation_level=None
        )
        self._database.executescript(_SCHEMA)
        self._locks: dict[str, IO[str]] = {}

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def lock(self, thread_id: str) -> bool:
        """Load a thread for this process; tell whether no other has it loaded."""
        if thread_id not in self._locks:
            file = (self._directory / "locks" / thread_id).open("w", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._locks[thread_id] = file
        return True

    def unlock(self, thread_id: str) -> None:
        """Let another process load the thread."""
        if file := self._locks.pop(thread_id, None):
            file.close()

    def save(self, thread: Thread) -> None:
        """Store a thread, unless it is ephemeral."""
        if not thread.ephemeral:
            document = json.dumps(asdict(thread))
            self._database.execute(
                "INSERT INTO threads (id, document) VALUES (?, ?)"
                " ON CONFLICT (id) DO UPDATE SET document = excluded.document",
                (thread.id, document),
            )

    def find(self, thread_id: str) -> Thread | None:
        """Return a stored thread."""
        row = self._database.execute(
            "SELECT document FROM threads WHERE id = ?", (thread_id,)
        ).fetchone()
        return None if row is None else Thread(**json.loads(row[0]))

    def newest(self, cwd: str | None) -> Thread | None:
        """Return the thread that was used last, in a directory or anywhere."""
        rows = self._database.execute("SELECT document FROM threads WHERE NOT archived")
        threads = [Thread(**json.loads(document)) for (document,) in rows]
        there = [thread for thread in threads if cwd in (None, thread.cwd)]
        # The ids of turns sort by time, finer than seconds.
        return max(there, key=lambda thread: thread.last_turn or "", default=None)

    def archive(self, thread_id: str) -> bool:
        """Archive a thread; tell whether there is one."""
        return bool(
            self._database.execute(
                "UPDATE threads SET archived = 1 WHERE id = ?", (thread_id,)
            ).rowcount
        )

    def is_archived(self, thread_id: str) -> bool:
        """Tell whether a stored thread is archived."""
        row = self._database.execute(
            "SELECT archived FROM threads WHERE id = ?", (thread_id,)
        ).fetchone()
        return row is not None and bool(row[0])

    def save_turn(self, thread: Thread, turn: dict[str, Any]) -> None:
        """Store a turn, or what became of it."""
        if not thread.ephemeral:
            self._database.execute(
                "INSERT OR REPLACE INTO turns VALUES (?, ?, ?)",
                (thread.id, turn["id"], json.dumps(turn)),
            )

    def turns(self, thread_id: str) -> list[dict[str, Any]]:
        """Return the turns of a thread, the first first."""
        rows = self._database.execute(
            "SELECT document FROM turns WHERE thread_id = ? ORDER BY id", (thread_id,)
        )
        return [json.loads(document) for (document,) in rows]

    def copy(self, source: str, thread: Thread) -> None:
        """Store a fork: the turns and the attachments of its source are its own."""
        with self._transaction() as database:
            self.save(thread)
            database.execute(
                "INSERT INTO turns SELECT ?, id, document FROM turns WHERE thread_id = ?",
                (thread.id, source),
            )
            for attached in self.attached(source):
                self._insert(thread.id, attached.type, attached.key, attached.payload)

    def attach(self, thread_id: str, type_: str, key: str, payload: Any) -> tuple[Attached, bool]:
        """Attach to a stored thread; return what is attached now, and whether it is new.

        Raises:
            LookupError: There is no such thread.
            TooManyAttachments: It has `MAX_ATTACHMENTS`.
        """
        with self._transaction():
            if self.find(thread_id) is None:
                raise LookupError(thread_id)
            attached = self.attached(thread_id)
            for existing in attached:
                if (existing.type, existing.key) == (type_, key):
                    return existing, False
            if len(attached) >= MAX_ATTACHMENTS:
                raise TooManyAttachments
            return self._insert(thread_id, type_, key, payload), True

    def _insert(self, thread_id: str, type_: str, key: str, payload: Any) -> Attached:
        attached = Attached(
            id=new_id(), type=type_, key=key, payload=payload, created_at=int(time.time())
        )
        self._database.execute(
            "INSERT INTO attachments VALUES (?, ?, ?, ?, ?, ?)",
            (attached.id, thread_id, type_, key, json.dumps(payload), attached.created_at),
        )
        return attached

    def attached(self, thread_id: str) -> list[Attached]:
        """Return the attachments of a thread, the oldest first."""
        rows = self._database.execute(
            "SELECT id, type, key, payload, created_at FROM attachments WHERE thread_id = ?"
            " ORDER BY created_at, id",
            (thread_id,),
        )
        return [
            Attached(id=id_, type=type_, key=key, payload=json.loads(payload), created_at=at)
            for id_, type_, key, payload, at in rows
        ]

    def detach(self, thread_id: str, type_: str, key: str) -> str | None:
        """Remove an attachment of a stored thread; return its id, None when there was none.

        Raises:
            LookupError: There is no such thread.
        """
        with self._transaction() as database:
            if self.find(thread_id) is None:
                raise LookupError(thread_id)
            row = database.execute(
                "DELETE FROM attachments WHERE thread_id = ? AND type = ? AND key = ? RETURNING id",
                (thread_id, type_, key),
            ).fetchone()
            return None if row is None else str(row[0])

    def owners(self, type_: str, key: str) -> list[tuple[str, bool]]:
        """Return the threads that have the attachment, and whether each is archived."""
        rows = self._database.execute(
            "SELECT threads.id, archived FROM attachments"
            " JOIN threads ON threads.id = attachments.thread_id"
            " WHERE type = ? AND key = ? ORDER BY threads.id",
            (type_, key),
        )
        return [(str(id_), bool(archived)) for id_, archived in rows]

    def close(self) -> None:
        """Release everything."""
        for file in self._locks.values():
            file.close()
        self._database.close()
