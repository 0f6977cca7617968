"""A caller who is cancelled at every step of the whole tree in turn leaves nothing behind."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define
from files_support import partials_of, tree_of

from codex_actors.files import Files, FilesConfig, Seams, open_files
from codex_actors.files.blocking import Inline

DATA = bytes(1 << 16)


async def stream() -> AsyncGenerator[bytes]:
    """Give the data in two pieces."""
    yield DATA
    await trio.lowlevel.checkpoint()
    yield DATA


async def stage_path(files: Files, source: Path) -> None:
    """Stage a file."""
    await files.stage(source, name="x")


async def stage_bytes(files: Files, source: Path) -> None:
    """Stage bytes, persistently."""
    await files.stage(DATA, name="x", persist=True)


async def stage_stream(files: Files, source: Path) -> None:
    """Stage a stream."""
    await files.stage(stream(), name="x")


async def use_temporary(files: Files, source: Path) -> None:
    """Stage for a block."""
    async with files.temporary(source, name="x") as attachment:
        assert attachment.path.exists()
        await trio.lowlevel.checkpoint()


async def use_lease(files: Files, source: Path) -> None:
    """Keep what is staged."""
    attachment = await files.stage(DATA, name="x")
    async with files.lease(attachment):
        await trio.lowlevel.checkpoint()


async def stage_together(files: Files, source: Path) -> None:
    """Stage one file three times at once."""
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(stage_path, files, source)


async def sweep_all(files: Files, source: Path) -> None:
    """Remove what has expired, then all."""
    await files.stage(DATA, name="x", ttl=0)
    await files.force_cleanup()
    await files.reset()


async def verify_all(files: Files, source: Path) -> None:
    """Read everything."""
    await files.stage(DATA, name="x")
    await files.verify()


@define(eq=False)
class CancelAt(trio.abc.Instrument):
    """Cancels a scope before the n-th step of any task."""

    step: int
    scope: trio.CancelScope
    seen: int = 0
    active: bool = False

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count, and cancel when it is time."""
        if self.active:
            self.seen += 1
            if self.seen == self.step:
                self.scope.cancel()


@pytest.mark.parametrize(
    "use",
    [
        stage_path,
        stage_bytes,
        stage_stream,
        use_temporary,
        use_lease,
        stage_together,
        sweep_all,
        verify_all,
    ],
)
def test_cancelled_at_every_step(
    tmp_path: Path, use: Callable[[Files, Path], Awaitable[None]]
) -> None:
    """Whole or not at all; no transfer, slot, lease or partial file is left; the tree goes on."""
    # F28
    source = tmp_path / "source"
    source.write_bytes(DATA)
    step = 0
    cancelled = True
    while cancelled:
        step += 1
        cancelled = trio.run(
            cancel_at, use, source, tmp_path / str(step), step, clock=trio.testing.MockClock()
        )

    assert step > 10


async def cancel_at(
    use: Callable[[Files, Path], Awaitable[None]], source: Path, root: Path, step: int
) -> bool:
    """Use files, cancelled before one step; tell whether it came to that."""
    config = FilesConfig(staging_dir=root, durability="none")
    async with open_files(config, seams=Seams(blocking=Inline())) as files:
        await files.force_cleanup()
        scope = trio.CancelScope()
        instrument = CancelAt(step, scope)
        trio.lowlevel.add_instrument(instrument)
        with scope:
            instrument.active = True
            await use(files, source)
        instrument.active = False
        trio.lowlevel.remove_instrument(instrument)
        await trio.testing.wait_all_tasks_blocked()

        metrics = await files.metrics()
        assert files.supervisor.subtree("transfers").which_children() == ()
        assert (metrics.transfers_running, metrics.transfers_queued) == (0, 0)
        assert (metrics.partial_files, metrics.leases) == (0, 0)
        assert partials_of(root) == []
        on_disk = [data for data in tree_of(root).values() if data and data.strip(b"\0") == b""]
        assert len(on_disk) == metrics.total_count
        attachment = await files.stage(b"next", name="next")
        assert attachment.path.read_bytes() == b"next"
    return instrument.seen >= step
