"""Looking at a staging directory from outside: what is found, and that nothing is touched."""

import contextlib
import os
import sqlite3
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from codex_actors.files import FilesConfig, StagingDirRefused, open_files
from codex_actors.files.index.schema import SCHEMA_VERSION
from codex_actors.files.inspecting import ManifestState, Users, manifest_state, users_of
from codex_actors.files.store.directory import check_staging_dir
from codex_actors.files.store.layout import Layout

# Stages one file, and half stages another; then it waits to be killed.
INTERRUPTED = """
import sys
import trio
from codex_actors.files import FilesConfig, open_files

async def endless():
    for _ in range(4):
        yield b"x" * 1_000_000
    await trio.sleep_forever()

async def main():
    async with open_files(FilesConfig(staging_dir=sys.argv[1])) as files:
        await files.stage(b"whole", name="whole")
        await files.stage(endless(), name="half")

trio.run(main)
"""


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    """Everything in a directory, with what a change of it would change."""
    found: dict[str, tuple[int, int, int]] = {}
    for path in [root, *root.rglob("*")]:
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def is_half_written(layout: Layout) -> bool:
    """Whether there is a partial file that is not the first, small one."""
    with contextlib.suppress(FileNotFoundError):
        return any(path.stat().st_size > 5 for path in layout.partials.glob("*/*.partial"))
    return False


async def staged(root: Path) -> Layout:
    """A staging directory that nobody uses any more."""
    async with open_files(FilesConfig(staging_dir=root)) as files:
        await files.stage(b"alpha", name="a.txt")
        await files.stage(b"alpha", name="b.txt")
    return Layout(root)


async def test_one_that_nobody_uses(tmp_path: Path) -> None:
    """Its manifest is read and counted; no log appears beside it."""
    layout = await staged(tmp_path / "staging")
    before = snapshot(layout.root)

    state = manifest_state(layout)

    assert state == ManifestState(version=SCHEMA_VERSION, attachments=2, blob_bytes=5)
    assert users_of(layout) == Users()
    assert snapshot(layout.root) == before


async def test_one_that_is_in_use(tmp_path: Path) -> None:
    """What is committed is seen, also while it lies in the log only."""
    layout = Layout(tmp_path / "staging")
    async with open_files(FilesConfig(staging_dir=layout.root)) as files:
        await files.stage(b"alpha", name="a.txt")
        before = snapshot(layout.root)

        state = manifest_state(layout)

        assert state == ManifestState(version=SCHEMA_VERSION, attachments=1, blob_bytes=5)
        assert users_of(layout) == Users(alive=(os.getpid(),))
        assert snapshot(layout.root) == before


async def test_one_whose_process_was_killed(tmp_path: Path) -> None:
    """The debris is counted, the log is read, and both are left to the next start."""
    layout = Layout(tmp_path / "staging")
    process = await trio.lowlevel.open_process([sys.executable, "-c", INTERRUPTED, layout.root])
    with trio.fail_after(60):
        while not is_half_written(layout):
            await trio.lowlevel.checkpoint()
        process.kill()
        await process.wait()
    before = snapshot(layout.root)
    assert layout.manifest.with_name("manifest.sqlite3-wal").exists()

    users = users_of(layout)
    state = manifest_state(layout)

    assert (users.alive, users.dead, users.debris_files) == ((), 1, 1)
    assert 0 < users.debris_bytes <= 4_000_000
    assert state == ManifestState(version=SCHEMA_VERSION, attachments=1, blob_bytes=5)
    assert snapshot(layout.root) == before


@pytest.mark.parametrize("damage", ["head", "inside", "text"])
async def test_a_damaged_manifest(tmp_path: Path, damage: str) -> None:
    """What SQLite says of it is told."""
    layout = await staged(tmp_path / "staging")
    content = bytearray(layout.manifest.read_bytes())
    match damage:
        case "head":
            content[:16] = b"x" * 16
        case "inside":
            content[4096:] = b"\xff" * (len(content) - 4096)
        case _:
            content = bytearray(b"hello, this is no database, and has never been one")
    layout.manifest.write_bytes(content)
    before = snapshot(layout.root)

    state = manifest_state(layout)

    assert state is not None
    assert state.fault
    assert snapshot(layout.root) == before


async def test_the_manifest_of_another_version(tmp_path: Path) -> None:
    """Its version is told; what it holds is not guessed at."""
    layout = await staged(tmp_path / "staging")
    with sqlite3.connect(layout.manifest) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()

    state = manifest_state(layout)

    assert state == ManifestState(version=SCHEMA_VERSION + 1)


def test_where_there_is_nothing(tmp_path: Path) -> None:
    """No manifest, no users, and none are made."""
    layout = Layout(tmp_path / "staging")

    assert manifest_state(layout) is None
    assert users_of(layout) == Users()
    assert check_staging_dir(layout.root) is False
    assert list(tmp_path.iterdir()) == []


async def test_a_directory_is_judged_as_a_start_would(tmp_path: Path) -> None:
    """Ours and an empty one are taken, others are refused; the mode is left as it is."""
    layout = await staged(tmp_path / "staging")
    layout.root.chmod(0o755)
    (tmp_path / "empty").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "code.py").touch()
    (tmp_path / "link").symlink_to(layout.root)

    assert check_staging_dir(layout.root)
    assert layout.root.stat().st_mode & 0o777 == 0o755
    assert check_staging_dir(tmp_path / "empty")
    for refused in ("project", "link", "project/code.py", "project/code.py/below"):
        with pytest.raises(StagingDirRefused, match="name"):
            check_staging_dir(tmp_path / refused)


async def test_looking_while_many_write(tmp_path: Path) -> None:
    """What is seen is never torn: a manifest that is whole is found whole."""
    layout = Layout(tmp_path / "staging")
    seen: list[int] = []
    async with open_files(FilesConfig(staging_dir=layout.root, durability="none")) as files:
        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(partial(files.stage, b"%d" % number, name=f"{number}"))
            for _ in range(10):
                state = await trio.to_thread.run_sync(manifest_state, layout)
                assert state is None or state.fault is None
                seen.append(state.attachments if state else 0)
        state = manifest_state(layout)

    assert seen == sorted(seen)
    assert state is not None
    assert state.attachments == 40
