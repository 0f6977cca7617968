"""A staging that is made to fail at every point of its way: nothing is left, everything goes on."""

import errno
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trio
from attrs import define, field, frozen
from files_support import partials_of, tree_of

from codex_actors import ActorDied
from codex_actors.files import Files, FilesConfig, Seams, StagingFull, open_files
from codex_actors.files.sources import StageSource
from codex_actors.files.store.disk import Disk
from codex_actors.testing import Faults, Injection

MIB = 1 << 20
DATA = bytes(range(256)) * 8192  # two MiB
CHILD = "transfers/stage-1"

# Where a staging has not been published yet, whatever its source is.
POINTS = [
    ("stage.started", "path"),
    ("stage.started", "stream"),
    ("stage.chunk", "stream"),
    ("stage.copied", "path"),
    ("stage.copied", "bytes"),
    ("stage.copied", "stream"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@pytest.fixture
def config(root: Path) -> FilesConfig:
    """Settings for it."""
    return FilesConfig(staging_dir=root, durability="none")


async def stream() -> AsyncGenerator[bytes]:
    """Give the data in pieces."""
    for start in range(0, len(DATA), 1 << 16):
        yield DATA[start : start + (1 << 16)]


def source_of(kind: str, tmp_path: Path) -> StageSource:
    """The same data, by a way of its own."""
    if kind == "stream":
        return stream()
    if kind == "bytes":
        return DATA
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


async def assert_unharmed(files: Files, root: Path, before: dict[str, bytes | None]) -> None:
    """The directory is as it was, no transfer is left, the next staging works."""
    assert tree_of(root) == before
    assert partials_of(root) == []
    assert files.supervisor.subtree("transfers").which_children() == ()
    registry = files.supervisor["registry"]

    attachment = await files.stage(DATA, name="next")

    assert attachment.path.read_bytes() == DATA
    assert files.supervisor["registry"] == registry
    assert [kept.name for kept in await files.list_staged()] == ["next"]


@pytest.mark.parametrize(("point", "kind"), POINTS)
@pytest.mark.parametrize("action", ["crash", "cancel"])
async def test_a_staging_that_dies_half_way_leaves_no_trace(
    config: FilesConfig, root: Path, tmp_path: Path, *, action: str, point: str, kind: str
) -> None:
    """Its caller is told when its partial file is gone already."""
    # F28
    faults = Faults()
    getattr(faults, action)(CHILD, at=point)
    with faults:
        async with open_files(config) as files:
            before = tree_of(root)

            with pytest.raises(ActorDied):
                await files.stage(source_of(kind, tmp_path), name="x")

            assert faults.happened == [Injection(action, CHILD, point)]
            await assert_unharmed(files, root, before)


@pytest.mark.parametrize(("point", "kind"), POINTS)
async def test_a_staging_that_hangs_is_left_by_its_caller(
    config: FilesConfig, root: Path, tmp_path: Path, point: str, kind: str
) -> None:
    """Cancelling the call ends the transfer, wherever it was."""
    # F28
    faults = Faults()
    faults.hang(CHILD, at=point)
    with faults:
        async with open_files(config) as files:
            before = tree_of(root)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(_stage, files, source_of(kind, tmp_path))
                with trio.fail_after(10):
                    while not faults.happened:
                        await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()

            assert faults.happened == [Injection("hang", CHILD, point)]
            await assert_unharmed(files, root, before)


@pytest.mark.parametrize("action", ["crash", "cancel"])
async def test_a_staging_that_dies_when_it_was_published_has_happened(
    config: FilesConfig, root: Path, action: str
) -> None:
    """Only its answer is lost: the file is whole and listed, and the next staging finds it."""
    faults = Faults()
    getattr(faults, action)(CHILD, at="stage.published")
    with faults:
        async with open_files(config) as files:
            with pytest.raises(ActorDied):
                await files.stage(DATA, name="x")
            afterwards = tree_of(root)
            (attachment,) = await files.list_staged()
            again = await files.stage(DATA, name="x")

            assert faults.happened == [Injection(action, CHILD, "stage.published")]
            assert attachment.path.read_bytes() == DATA
            assert again.path == attachment.path
            assert tree_of(root) == afterwards
            assert partials_of(root) == []
            assert (await files.metrics()).hits == 1


@define
class Copies:
    """How many were made."""

    made: int = 0


@frozen
class BreakingDisk(Disk):
    """Real files; the second MiB of the first one finds a defect in the code around it."""

    copies: Copies = field(factory=Copies)

    def copy_range(self, source: int, target: int, size: int) -> int:
        """Copy, or crash."""
        self.copies.made += 1
        if self.copies.made == 2:
            raise ZeroDivisionError
        return super().copy_range(source, target, size)


async def test_a_crash_in_the_middle_of_a_copy_leaves_no_trace(
    config: FilesConfig, root: Path, tmp_path: Path
) -> None:
    """Also in the thread that copies, between two chunks."""
    # F28
    seams = Seams(disk=BreakingDisk("none", Copies()))
    async with open_files(config, seams=seams) as files:
        before = tree_of(root)

        with pytest.raises(ActorDied, match="ZeroDivisionError"):
            await files.stage(source_of("path", tmp_path))

        await assert_unharmed(files, root, before)


@frozen
class FullDisk(Disk):
    """Not a single partial file fits."""

    def create(self, path: Path) -> int:
        """Create marks and locks only."""
        if path.suffix == ".partial":
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(path)


async def test_a_stream_that_is_refused_before_it_is_read_does_not_wait_for_ever(
    config: FilesConfig, root: Path
) -> None:
    """More chunks than fit between the two tasks, and nobody who takes them."""
    # F26
    async with open_files(config, seams=Seams(disk=FullDisk("none"))) as files:
        before = tree_of(root)

        with pytest.raises(StagingFull), trio.fail_after(10):
            await files.stage(stream(), name="x")

        assert tree_of(root) == before


@pytest.mark.parametrize("point", ["registry.committing", "registry.committed"])
async def test_a_registry_that_crashes_around_a_commit_takes_the_staging_along(
    config: FilesConfig, root: Path, point: str
) -> None:
    """Before the commit nothing has happened, after it all of it has: nothing in between."""
    # F47
    faults = Faults()
    with faults:
        async with open_files(config) as files:
            before = tree_of(root)
            await files.force_cleanup()  # the sweeper's first batches are over
            faults.hang(CHILD, at="stage.copied")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_stage_in_vain, files)
                with trio.fail_after(10):
                    while not faults.happened:
                        await trio.lowlevel.checkpoint()
                faults.crash("registry", at=point)
                faults.release()

            assert partials_of(root) == []
            listed = [attachment.name for attachment in await files.list_staged()]
            assert listed == (["x"] if point == "registry.committed" else [])
            assert (tree_of(root) == before) is (listed == [])
            assert (await files.stage(DATA, name="next")).path.read_bytes() == DATA
            assert [fault.where for fault in faults.happened] == ["stage.copied", point]


@pytest.mark.parametrize("point", ["registry.committing", "registry.committed"])
async def test_a_registry_that_is_killed_around_a_commit_has_died_to_its_callers(
    config: FilesConfig, point: str
) -> None:
    """It does not merely forget to answer them: that is another error."""
    # F47
    faults = Faults()
    with faults:
        async with open_files(config) as files:
            await files.force_cleanup()  # the sweeper's first batches are over
            faults.hang("registry", at=point)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_list_in_vain, files)
                nursery.start_soon(_list_in_vain, files)
                with trio.fail_after(10):
                    while not faults.happened:
                        await trio.lowlevel.checkpoint()
                files.supervisor["registry"].kill()

            assert await files.list_staged() == ()


async def test_a_sweep_that_crashes_half_way_is_made_good_by_the_next(
    config: FilesConfig, root: Path
) -> None:
    """Whoever asked is told; what is left goes with the next one."""
    faults = Faults()
    faults.crash("sweeper", at="sweeper.sweeping", nth=2)
    with faults:
        async with open_files(config) as files:
            before = tree_of(root)
            for number in range(100):  # two chunks
                await files.stage(b"x", name=str(number), ttl=0)

            with pytest.raises(ActorDied):
                await files.force_cleanup()
            half = await files.metrics()
            rest = await files.force_cleanup()

            assert faults.happened == [Injection("crash", "sweeper", "sweeper.sweeping")]
            assert (half.total_count, rest.count) == (36, 36)
            assert tree_of(root) == before


async def _stage(files: Files, source: StageSource) -> None:
    await files.stage(source, name="x")


async def _stage_in_vain(files: Files) -> None:
    with pytest.raises(ActorDied):
        await files.stage(DATA, name="x")


async def _list_in_vain(files: Files) -> None:
    with pytest.raises(ActorDied):
        await files.list_staged()
