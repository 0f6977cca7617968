"""Leases that end while the manifest is busy: given back all the same, by whoever can."""

import errno
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio
import trio.testing
from attrs import define
from files_support import tree_of

from codex_actors.files import Files, FilesConfig, Seams, StagingIOError, open_files
from codex_actors.files.blocking import Inline
from codex_actors.files.index.manifest import Manifest
from codex_actors.testing import Faults

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@define(eq=False)
class BusyManifest:
    """What blocks runs on the event loop; another process may hold the manifest meanwhile.

    Attributes:
        held: Nobody gets at the manifest.
        patience: Seconds after which a transaction gives up.
    """

    patience: float
    held: bool = False

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run it; a transaction waits for the manifest first."""
        if getattr(work, "__func__", None) is Manifest.execute:
            deadline = trio.current_time() + self.patience
            with trio.CancelScope(shield=True):  # as a thread, it is not abandoned
                while self.held:
                    if trio.current_time() > deadline:
                        raise StagingIOError(errno.EBUSY, "The manifest is busy", "manifest")
                    await trio.sleep(0.1)
        return await Inline().run(work, *args)

    async def drive(self, steps: Generator[None, None, T]) -> T:
        """Run it."""
        return await Inline().drive(steps)

    def follow(self, work: Callable[[int], None]) -> AbstractContextManager[Callable[[int], None]]:
        """Let it follow at once."""
        return Inline().follow(work)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@asynccontextmanager
async def opened(root: Path, blocking: BusyManifest) -> AsyncGenerator[Files]:
    """Open files in virtual time."""
    config = FilesConfig(staging_dir=root, durability="none")
    async with open_files(config, seams=Seams(blocking=blocking)) as files:
        yield files


# A transaction waits for longer than the end of a block does, or gives up before.
@pytest.mark.parametrize("patience", [10.0, 2.0])
async def test_a_lease_whose_end_nobody_could_wait_for_is_given_back(
    root: Path, autojump_clock: trio.testing.MockClock, patience: float
) -> None:
    """The block ends in time; the registry does what it owes as soon as it can."""
    blocking = BusyManifest(patience)
    async with opened(root, blocking) as files, trio.open_nursery() as nursery:
        attachment = await files.stage(b"x", name="x", ttl=0)
        async with files.lease(attachment):
            blocking.held = True
            with trio.move_on_after(1):
                await files.metrics()  # occupies the registry, so that the release must queue
            left = trio.current_time()
        took = trio.current_time() - left

        async def free() -> None:
            await trio.sleep(2 * patience)
            blocking.held = False

        nursery.start_soon(free)
        await trio.sleep(3 * patience)

        assert took <= 5
        assert (await files.force_cleanup()).attachments == (attachment,)
        assert (await files.metrics()).leases == 0


@pytest.mark.parametrize("patience", [10.0, 2.0])
async def test_a_temporary_attachment_whose_end_nobody_could_wait_for_is_gone(
    root: Path, autojump_clock: trio.testing.MockClock, patience: float
) -> None:
    """Not a byte of it is left."""
    blocking = BusyManifest(patience)
    async with opened(root, blocking) as files:
        empty = tree_of(root)
        async with files.temporary(b"x", name="x"):
            blocking.held = True
            with trio.move_on_after(1):
                await files.metrics()
        blocking.held = False

        await trio.sleep(61)

        assert tree_of(root) == empty
        assert (await files.metrics()).leases == 0


async def test_what_is_owed_outlives_a_crash_of_the_registry(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The next incarnation does it, with its first batch."""
    blocking = BusyManifest(2.0)
    faults = Faults()
    with faults:
        async with opened(root, blocking) as files:
            empty = tree_of(root)
            async with files.temporary(b"x", name="x"):
                blocking.held = True
                with trio.move_on_after(1):
                    await files.metrics()
            await trio.sleep(10)
            faults.crash("registry", at="registry.committing")
            blocking.held = False

            await trio.sleep(61)
            metrics = await files.metrics()

            assert [fault.where for fault in faults.happened] == ["registry.committing"]
            assert (metrics.leases, metrics.total_count) == (0, 0)
            assert tree_of(root) == empty


async def test_what_is_owed_is_done_when_the_tree_stops(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Another tree of this process keeps its leases alive: this one's are given back."""
    blocking = BusyManifest(2.0)
    async with opened(root, BusyManifest(2.0)) as other:
        empty = tree_of(root)
        async with opened(root, blocking) as files:
            async with files.temporary(b"x", name="x"):
                blocking.held = True
                with trio.move_on_after(1):
                    await files.metrics()
            await trio.sleep(10)

        assert (await other.metrics()).leases == 0
        assert tree_of(root) == empty
