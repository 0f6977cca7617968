"""Owns looking at a staging directory from outside, without a tree: who uses it, is it whole.

Invariant: nothing in the directory is created, changed or waited for. What is found may be over a
moment later. Must not know what is done about it.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Generator
from pathlib import Path

from attrs import frozen

from codex_actors.files.index.schema import SCHEMA_VERSION
from codex_actors.files.store.claim import is_dead, owners
from codex_actors.files.store.layout import Layout

__all__ = ["ManifestState", "Users", "manifest_state", "users_of"]

_LOCK = "lock"


@frozen(kw_only=True)
class Users:
    """The processes that use a staging directory, or used it until they died.

    Attributes:
        alive: Their ids.
        dead: How many died without clearing up.
        debris_files: What the dead left behind of half-done work.
        debris_bytes: The sum of its sizes.
    """

    alive: tuple[int, ...] = ()
    dead: int = 0
    debris_files: int = 0
    debris_bytes: int = 0


def users_of(layout: Layout) -> Users:
    """Find out who uses a staging directory. Blocking.

    Raises:
        OSError: It cannot be looked at.
    """
    alive: list[int] = []
    dead = 0
    sizes: list[int] = []
    for owner in owners(layout):
        if is_dead(layout, owner):
            dead += 1
            sizes += _sizes_in(layout.owned(owner))
        else:
            pid = owner.partition("-")[0]
            alive.append(int(pid) if pid.isdecimal() else 0)
    return Users(
        alive=tuple(sorted(set(alive))),
        dead=dead,
        debris_files=len(sizes),
        debris_bytes=sum(sizes),
    )


@frozen(kw_only=True)
class ManifestState:
    """What a manifest looks like.

    Attributes:
        version: Of its schema.
        newest: The newest version that this package knows.
        fault: What is wrong with it as a file of SQLite, None when it is whole.
        attachments: How many it lists.
        blob_bytes: What their contents take on disk.
    """

    version: int
    newest: int = SCHEMA_VERSION
    fault: str | None = None
    attachments: int = 0
    blob_bytes: int = 0


def manifest_state(layout: Layout) -> ManifestState | None:
    """Read and check the manifest, None when there is none. Blocking: reads all of it.

    Raises:
        OSError, sqlite3.Error: It cannot be read.
    """
    if not layout.manifest.exists():
        return None
    state = _read_state(layout)
    if state.fault is not None:
        # It may have been opened, or closed, while it was read.
        state = _read_state(layout)
    return state


def _read_state(layout: Layout) -> ManifestState:
    with _reading(layout) as connection:
        try:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            verdict: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                return ManifestState(version=version, fault=verdict)
            if version != SCHEMA_VERSION:
                return ManifestState(version=version)
            attachments, size = connection.execute(
                "SELECT attachments, blob_bytes FROM totals"
            ).fetchone()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            return ManifestState(version=0, fault=str(error))
    return ManifestState(version=version, attachments=attachments, blob_bytes=size)


@contextlib.contextmanager
def _reading(layout: Layout) -> Generator[sqlite3.Connection]:
    """Connect to the manifest so that nothing comes into being beside it."""
    log = layout.manifest.with_name(layout.manifest.name + "-wal")
    if not log.exists():
        # Nobody uses it, and so nobody changes it; SQLite would make a log for any other reading.
        with _connect(layout.manifest, "immutable=1") as connection:
            yield connection
    elif users_of(layout).alive:
        with _connect(layout.manifest, "mode=ro") as connection:
            yield connection
    else:
        # Left by a process that was killed: to read its log is to recover it, so do that elsewhere.
        with tempfile.TemporaryDirectory(prefix="codex_actors-") as elsewhere:
            for path in (layout.manifest, log):
                shutil.copyfile(path, Path(elsewhere) / path.name)
            with _connect(Path(elsewhere) / layout.manifest.name, "mode=rw") as connection:
                yield connection


@contextlib.contextmanager
def _connect(path: Path, how: str) -> Generator[sqlite3.Connection]:
    connection = sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _sizes_in(folder: Path) -> list[int]:
    sizes: list[int] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.name != _LOCK:
                    sizes.append(entry.stat(follow_symlinks=False).st_size)
    return sizes
