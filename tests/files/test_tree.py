"""The tree: what crashes, what is cancelled, what goes on."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from files_support import partials_of, tree_of

from codex_actors import (
    ActorDied,
    ChildSpec,
    RestartIntensityExceeded,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.files import (
    Files,
    FilesConfig,
    ManifestTooNew,
    SourceNotFound,
    StagingDirRefused,
    files_from,
    files_spec,
    open_files,
)

MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@pytest.fixture
def config(root: Path) -> FilesConfig:
    """Settings for it."""
    return FilesConfig(staging_dir=root, durability="none")


class Halfway:
    """A source that gives some bytes and then waits until it may go on."""

    def __init__(self) -> None:
        self.reached = trio.Event()
        self.go_on = trio.Event()

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Give three MiB, wait, give one more byte."""
        for _ in range(3):
            yield b"x" * MIB
        self.reached.set()
        await self.go_on.wait()
        yield b"y"


async def wait_for_partial(root: Path) -> Path:
    """Wait until a partial file holds bytes."""
    with trio.fail_after(10):
        while True:
            for path in partials_of(root):
                if path.stat().st_size >= MIB:
                    return path
            await trio.lowlevel.checkpoint()


async def test_a_cancelled_staging_leaves_no_trace(config: FilesConfig, root: Path) -> None:
    """The directory is as it was when the cancelled call returns; the tree goes on."""
    # F28
    source = Halfway()
    async with open_files(config) as files:
        before = tree_of(root)
        async with trio.open_nursery() as nursery:

            async def stage() -> None:
                await files.stage(source.chunks(), name="x")

            nursery.start_soon(stage)
            await source.reached.wait()
            await wait_for_partial(root)
            nursery.cancel_scope.cancel()

        assert tree_of(root) == before
        assert files.supervisor.subtree("transfers").which_children() == ()
        assert (await files.metrics()).transfers_running == 0
        assert (await files.stage(b"x", name="x")).size == 1


async def test_a_copy_in_a_thread_is_cancelled_between_chunks(
    config: FilesConfig, root: Path, tmp_path: Path
) -> None:
    """A sparse giant that would take minutes: the call ends soon after the cancel."""
    # F28
    giant = tmp_path / "giant"
    with giant.open("wb") as file:
        file.truncate(1 << 40)

    async with open_files(config) as files:
        before = tree_of(root)
        with trio.fail_after(30), trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def cancel() -> None:
                    await wait_for_partial(root)
                    scope.cancel()

                nursery.start_soon(cancel)
                await files.stage(giant)

        assert scope.cancelled_caught
        assert tree_of(root) == before


async def test_a_killed_transfer_fails_its_caller_only(config: FilesConfig, root: Path) -> None:
    """Its partial file is gone; another one under way gets its file."""
    doomed, spared = Halfway(), Halfway()
    async with open_files(config) as files, trio.open_nursery() as nursery:
        before = tree_of(root)

        async def stage_spared() -> None:
            await files.stage(spared.chunks(), name="spared")

        async def stage_doomed() -> None:
            with pytest.raises(ActorDied):
                await files.stage(doomed.chunks(), name="doomed")

        async with trio.open_nursery() as inner:
            inner.start_soon(stage_doomed)
            await doomed.reached.wait()
            (child,) = files.supervisor.subtree("transfers").which_children()
            nursery.start_soon(stage_spared)
            await spared.reached.wait()
            both = partials_of(root)
            assert child.ref is not None
            child.ref.kill()
            doomed.go_on.set()

        (kept,) = partials_of(root)
        assert len(both) == 2
        assert kept == both[1]
        spared.go_on.set()
        with trio.fail_after(10):
            while not await files.list_staged():
                await trio.lowlevel.checkpoint()
        (attachment,) = await files.list_staged()
        assert attachment.size == 3 * MIB + 1
        assert tree_of(root).keys() - before.keys() == {
            attachment.checksum,
            f"{attachment.checksum}/spared",
        }


async def test_a_crash_of_the_registry_takes_transfers_along_and_keeps_leases(
    config: FilesConfig, root: Path
) -> None:
    """Callers get an error, partial files go, the next registry knows everything again."""
    # F47
    source = Halfway()
    async with open_files(config) as files:
        async with files.temporary(b"leased", name="leased") as attachment:
            before = tree_of(root)
            async with trio.open_nursery() as nursery:

                async def stage() -> None:
                    with pytest.raises(ActorDied):
                        await files.stage(source.chunks(), name="x")

                nursery.start_soon(stage)
                await source.reached.wait()
                files.supervisor["registry"].kill()
                source.go_on.set()

            metrics = await files.metrics()
            report = await files.force_cleanup()

            assert report.count == 0
            assert (metrics.leases, metrics.total_count, metrics.partial_files) == (1, 1, 0)
            assert tree_of(root) == before
            assert (await files.stage(b"leased", name="other")).path.samefile(attachment.path)

        assert [kept.name for kept in await files.list_staged()] == ["other"]


async def test_a_registry_that_cannot_live_ends_the_tree(config: FilesConfig, root: Path) -> None:
    """Too many crashes: the block ends with the reason, and no claim is left."""

    async def kill_it(files: Files) -> None:
        while True:
            await files.metrics()  # answered by a registry that lives
            files.supervisor["registry"].kill()

    with pytest.raises(RestartIntensityExceeded):
        async with open_files(config) as files:
            await kill_it(files)

    assert list((root / ".partials").iterdir()) == []


async def test_leaving_gives_the_claim_and_the_leases_back(config: FilesConfig, root: Path) -> None:
    """Nothing of this process is left in the directory."""
    async with open_files(config) as files:
        await files.stage(b"x", name="x")

    assert list((root / ".partials").iterdir()) == []
    assert not (root / "manifest.sqlite3-wal").exists()


async def test_a_directory_that_cannot_be_used_is_told_bare(tmp_path: Path) -> None:
    """The start-up failure is the file layer's own error, not a group and not the supervisor's."""
    # F20
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")

    with pytest.raises(StagingDirRefused):
        async with open_files(FilesConfig(staging_dir=tmp_path / "link")):
            pytest.fail("opened")


async def test_a_newer_manifest_is_told_bare(config: FilesConfig, root: Path) -> None:
    """And nothing of the newer version's is touched."""
    async with open_files(config) as files:
        await files.stage(b"x", name="x")
    raw = sqlite3.connect(root / "manifest.sqlite3")
    raw.execute("PRAGMA user_version = 999")
    raw.close()
    before = tree_of(root)

    with pytest.raises(ManifestTooNew):
        async with open_files(config):
            pytest.fail("opened")

    assert tree_of(root) == before


async def test_an_error_of_the_block_passes_bare(config: FilesConfig, tmp_path: Path) -> None:
    """Also one of ours."""
    with pytest.raises(SourceNotFound):
        async with open_files(config) as files:
            await files.stage(tmp_path / "missing")


async def test_the_tree_fits_under_another_supervisor(config: FilesConfig) -> None:
    """`files_spec` is a child like any other; `files_from` is the facade over it."""
    spec = SupervisorSpec([ChildSpec("files", files_spec(config))])

    async with open_supervisor(spec) as supervisor:
        files = files_from(supervisor.subtree("files"))
        told: list[str] = []
        files.events.attach(lambda event: told.append(event.name))
        attachment = await files.stage(b"x", name="x")

        assert isinstance(files, Files)
        assert attachment.path.read_bytes() == b"x"
        assert supervisor.whereis("files/registry") is not None
        assert "codex.attachment.staged" in told


async def test_two_trees_share_a_directory(config: FilesConfig) -> None:
    """Neither removes what the other stages, leases or writes."""
    # E1
    async with open_files(config) as one, open_files(config) as two:
        async with one.temporary(b"x", name="x") as mine:
            assert (await two.force_cleanup()).count == 0
            assert await two.list_staged() == (mine,)

        assert await two.list_staged() == ()


OTHER_PROCESS = """
import sys, trio
from codex_actors.files import FilesConfig, open_files

async def endless():
    while True:
        yield b"x" * 1000000
        print("more", flush=True)

async def main():
    async with open_files(FilesConfig(staging_dir=sys.argv[1])) as files:
        async with files.temporary(b"leased", name="leased"):
            await files.stage(endless(), name="endless")

trio.run(main)
"""


async def test_what_a_killed_process_left_is_collected(config: FilesConfig, root: Path) -> None:
    """Its partial file and its lease count while it lives, and go when it has been killed."""
    # F21
    async with open_files(config) as files:
        other = subprocess.Popen(  # noqa: ASYNC220 - killed below; nothing waits for it but threads
            [sys.executable, "-c", OTHER_PROCESS, root], stdout=subprocess.PIPE
        )
        try:
            assert other.stdout is not None
            for _ in range(3):
                await trio.to_thread.run_sync(other.stdout.readline)
            living = await files.force_cleanup()
            while_alive = await files.metrics()
        finally:
            other.kill()
            await trio.to_thread.run_sync(other.wait)
            other.stdout.close()  # type: ignore[union-attr]  # it was piped
        dead = await files.force_cleanup()
        afterwards = await files.metrics()

    assert living.count == 0
    assert (while_alive.leases, while_alive.partial_files) == (1, 1)
    assert [attachment.name for attachment in dead.attachments] == ["leased"]
    assert (afterwards.leases, afterwards.partial_files, afterwards.total_count) == (0, 0, 0)
    assert partials_of(root) == []
    assert os.listdir(root / ".partials") == []  # noqa: PTH208 - all of it
