"""The sums that the manifest keeps are what walking its tables gives, whatever happened to them."""

import random
import sqlite3
from collections.abc import Generator
from pathlib import Path

import pytest
from attrs import evolve
from files_support import NOW, Store, open_store

from codex_actors.files.errors import AttachmentNotFound
from codex_actors.files.index.manifest import Manifest
from codex_actors.files.index.queries import Count
from codex_actors.files.index.quota import Quota
from codex_actors.files.index.schema import open_manifest
from codex_actors.files.index.sweeping import Remove, Sweep
from codex_actors.files.store.disk import Disk

WALKED = """
    SELECT COUNT(*), COALESCE(SUM(b.size), 0), COALESCE(SUM(a.persist), 0),
        COALESCE(SUM(a.persist * b.size), 0),
        (SELECT COUNT(*) FROM blobs), (SELECT COALESCE(SUM(size), 0) FROM blobs)
    FROM attachments AS a JOIN blobs AS b ON b.checksum = a.checksum
"""


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    """An open, empty staging directory."""
    with open_store(tmp_path / "staging", Disk("none")) as opened:
        yield opened


def sums(store: Store) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the manifest keeps, and what its tables hold."""
    raw = sqlite3.connect(store.layout.manifest)
    try:
        return raw.execute("SELECT * FROM totals").fetchone(), raw.execute(WALKED).fetchone()
    finally:
        raw.close()


@pytest.mark.parametrize("seed", range(5))
def test_totals_follow_every_change(store: Store, seed: int) -> None:
    """New contents, more names, other lives, removals, evictions and sweeps, in any order."""
    # F41
    drawn = random.Random(seed)

    for step in range(60):
        name, data = drawn.choice("abc"), bytes(drawn.randrange(5))
        match drawn.choice(["stage", "stage", "persist", "evict", "remove", "sweep"]):
            case "stage":
                store.stage(data, name, ttl=drawn.randrange(3), now=NOW + step)
            case "persist":
                store.stage(data, name, persist=True, now=NOW + step)
            case "evict":
                store.stage(data, name, now=NOW + step, quota=Quota(max_count=30))
            case "remove":
                checksum = store.stage(data, name, now=NOW + step).attachment.checksum
                store.manifest.execute([Remove(checksum, name)], NOW + step)
            case _:
                store.manifest.execute([Sweep()], NOW + step)
        kept, walked = sums(store)
        assert kept == walked

    assert sums(store)[0][0] > 0


def test_what_is_taken_back_is_taken_off(store: Store) -> None:
    """A refused operation leaves the sums as they were."""
    checksum = store.stage(b"x", "x").attachment.checksum
    before = sums(store)

    refused = store.manifest.execute([Remove(checksum, "y")], NOW)[0]

    with pytest.raises(AttachmentNotFound):
        refused.unwrap()
    assert sums(store) == before


def test_a_manifest_from_before_gets_its_totals(store: Store) -> None:
    """They are counted once, when it is migrated."""
    store.stage(b"12345", "x", persist=True)
    store.stage(b"12345", "y")
    store.stage(b"1", "z")
    raw = sqlite3.connect(store.layout.manifest)
    for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        raw.execute(f"DROP TRIGGER {trigger}")
    raw.executescript(
        "DROP TABLE totals; DROP INDEX attachments_evictable; PRAGMA user_version = 2;"
        " CREATE INDEX attachments_by_age ON attachments (inserted_at, checksum, name);"
        "DROP TABLE upload_parts; DROP TABLE uploads; DROP TABLE md5s;"  # of later versions
    )
    raw.close()

    migrated = Manifest.open(store.layout, store.disk, store.claim)
    counted = migrated.execute([Count()], NOW)[0].unwrap()
    migrated.close()

    assert sums(store)[0] == (3, 11, 1, 5, 2, 6)
    assert (counted.total_count, counted.blob_bytes, counted.saved_bytes) == (3, 6, 5)


def test_the_next_to_be_evicted_is_found_by_an_index(store: Store) -> None:
    """Nothing is sorted, and no table walked, however much is staged."""
    for number in range(5):
        store.stage(bytes([number]), "x", now=NOW + number)
    statements: list[str] = []
    connection, _ = open_manifest(store.layout.manifest, "none")
    connection.set_trace_callback(statements.append)
    watched = Manifest(store.layout, store.disk, store.claim, connection)

    evolve(store, manifest=watched).stage(b"next", "x", quota=Quota(max_count=5))

    connection.set_trace_callback(None)
    (chosen,) = (text for text in statements if "ORDER BY a.inserted_at" in text)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {chosen}")]
    assert plan[0] == "SCAN a USING INDEX attachments_evictable"
    assert not any("B-TREE" in step for step in plan)
    assert not any("COUNT(*) FROM attachments AS" in text for text in statements)
    watched.close()
