"""A manifest of an older version of this package: all that it lists is there, and counted."""

import math
import sqlite3
from pathlib import Path

import pytest
from walk_support import assert_equal_to_walk, walk_of

from codex_actors.files import FilesConfig, open_files
from codex_actors.files.index.schema import SCHEMA_VERSION

# What each version of the schema has brought, so that going back is taking it away.
BROUGHT = (
    ("sources", "leases", "attachments", "blobs"),
    ("lost", "seals"),
    ("totals",),
    ("md5s", "upload_parts", "uploads"),
)
TRIGGERS = (
    "attachment_entered",
    "attachment_forgotten",
    "attachment_persisted",
    "blob_entered",
    "blob_forgotten",
)


def take_back(manifest: Path, version: int) -> None:
    """Make a manifest one of an older version."""
    connection = sqlite3.connect(manifest)
    for tables in BROUGHT[version:]:
        for table in tables:
            connection.execute(f"DROP TABLE {table}")
    if version < 3:
        for trigger in TRIGGERS:
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        connection.execute("DROP INDEX attachments_evictable")
        connection.execute(
            "CREATE INDEX attachments_by_age ON attachments (inserted_at, checksum, name)"
        )
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
async def test_an_older_manifest_is_migrated(tmp_path: Path, version: int) -> None:
    """What was staged is listed as it was, can be used, swept, and verified."""
    # F22, F41
    root = tmp_path / "staging"
    config = FilesConfig(staging_dir=root, durability="none", default_ttl=math.inf)
    async with open_files(config) as files:
        kept = await files.stage(b"content", name="kept", persist=True)
        await files.stage(b"content", name="second")
        await files.stage(b"other", name="expired", ttl=0)
        listed = await files.list_staged()
    take_back(root / "manifest.sqlite3", version)

    async with open_files(config) as files:
        assert await files.list_staged() == listed
        assert_equal_to_walk(await files.metrics(), listed, walk_of(root))
        async with files.lease(kept):
            swept = await files.force_cleanup()
        report = await files.verify()
        left = await files.list_staged()
        metrics = await files.metrics()

    assert [attachment.name for attachment in swept.attachments] == ["expired"]
    assert (report.checked, report.wrong, report.unknown) == (2, (), ())
    assert_equal_to_walk(metrics, left, walk_of(root))
