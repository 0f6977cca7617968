"""Time to live through the tree, in virtual time: what goes, when, and what keeps it."""

import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import field, frozen
from files_support import tree_of

from codex_actors.files import (
    AttachmentLeased,
    AttachmentNotFound,
    Event,
    Files,
    FilesConfig,
    Seams,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.clock import Clock
from codex_actors.files.store.disk import Disk


@frozen
class JumpingClock:
    """A wall clock that can be set."""

    hands: list[float] = field(factory=lambda: [time.time()])

    def __call__(self) -> float:
        """Tell the time."""
        return self.hands[0]

    def jump(self, seconds: float) -> None:
        """Set it forward or back."""
        self.hands[0] += seconds


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@asynccontextmanager
async def opened(
    root: Path,
    told: list[Event] | None = None,
    *,
    clock: Clock | None = None,
    disk: Disk | None = None,
    default_ttl: float = 86_400.0,
) -> AsyncGenerator[Files]:
    """Open files whose every step is in virtual time, swept every minute."""
    config = FilesConfig(staging_dir=root, default_ttl=default_ttl, durability="none")
    seams = Seams(blocking=Inline(), clock=clock or Clock(), disk=disk)
    handlers = [] if told is None else [told.append]
    async with open_files(config, on_event=handlers, seams=seams) as files:
        yield files


async def names_in(files: Files) -> list[str]:
    """The names of all attachments."""
    return [attachment.name for attachment in await files.list_staged()]


async def test_it_is_kept_before_its_time_and_gone_with_the_first_sweep_after(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """90 seconds under a sweep every minute: gone at the second one, with its directory."""
    # F33, F38
    told: list[Event] = []
    async with opened(root, told) as files:
        attachment = await files.stage(b"x", name="x", ttl=90)

        await trio.sleep(89)
        before = await names_in(files)
        await trio.sleep(32)
        after = await names_in(files)

        assert (before, after) == (["x"], [])
        assert not attachment.path.parent.exists()
        cleaned = [event for event in told if event.name == "codex.attachment.cleaned"]
        assert [event.to_dict() for event in cleaned] == [
            {
                "event": "codex.attachment.cleaned",
                "measurements": {"bytes": 1, "count": 1},
                "metadata": {"checksum": attachment.checksum, "name": "x", "ttl_ms": 90_000},
            }
        ]


@pytest.mark.parametrize("forever", [{"ttl": math.inf}, {"persist": True}])
async def test_for_ever_is_for_ever(
    root: Path, autojump_clock: trio.testing.MockClock, forever: dict[str, float]
) -> None:
    """A day of sweeps leaves it, also after it was staged for a second in between."""
    # F35
    async with opened(root) as files:
        await files.stage(b"x", name="x", persist=bool(forever.get("persist")), ttl=math.inf)
        await files.stage(b"x", name="x", ttl=1)

        await trio.sleep(86_400)

        assert await names_in(files) == ["x"]


async def test_staging_again_refreshes_and_never_shortens(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Another holder's ttl of 0 takes nothing from an hour."""
    # E7
    async with opened(root) as files:
        await files.stage(b"x", name="x", ttl=3600)
        await files.stage(b"x", name="x", ttl=0)

        await trio.sleep(3500)
        before = await names_in(files)
        await trio.sleep(200)
        after = await names_in(files)

        assert (before, after) == (["x"], [])


async def test_a_jump_of_the_wall_clock_expires_nothing(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A day forward or back: while the process runs, its own clock counts; a crash included."""
    # F39, E17
    wall = JumpingClock()
    async with opened(root, clock=Clock(wall)) as files:
        await files.stage(b"x", name="x", ttl=3600)

        wall.jump(86_400)
        files.supervisor["registry"].kill()
        await trio.sleep(3500)
        early = await names_in(files)
        wall.jump(-2 * 86_400)
        await trio.sleep(200)
        late = await names_in(files)

        assert (early, late) == (["x"], [])


async def test_a_lease_outlives_the_ttl(root: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Neither sweep nor force_cleanup nor remove nor reset takes it; afterwards it goes."""
    # F37
    async with opened(root) as files:
        attachment = await files.stage(b"x", name="x", ttl=1)
        async with files.lease(attachment):
            await trio.sleep(1000)
            report = await files.force_cleanup()
            with pytest.raises(AttachmentLeased):
                await files.remove(attachment)
            with pytest.raises(AttachmentLeased):
                await files.reset()
            assert attachment.path.read_bytes() == b"x"
            assert (await files.metrics()).leases == 1

        assert report.count == 0
        assert (await files.force_cleanup()).attachments == (attachment,)


async def test_a_dry_run_tells_what_would_go(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """And leaves it."""
    async with opened(root) as files:
        attachment = await files.stage(b"x", name="x", ttl=0)
        before = tree_of(root)

        report = await files.force_cleanup(dry_run=True)

        assert (report.count, report.bytes, report.attachments) == (1, 1, (attachment,))
        assert await files.force_cleanup(True) == report
        assert tree_of(root) == before


async def test_a_temporary_attachment_is_gone_at_the_end(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Not before, however long the block takes, and also when it fails."""
    # E22
    async with opened(root) as files:
        empty = tree_of(root)

        async def work() -> None:
            async with files.temporary(b"x", name="x") as attachment:
                await trio.sleep(3600)
                assert attachment.path.read_bytes() == b"x"
                raise LookupError

        with pytest.raises(LookupError):
            await work()

        assert tree_of(root) == empty
        assert (await files.metrics()).leases == 0


async def test_a_temporary_attachment_that_others_claimed_stays(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Staged by somebody else meanwhile, or leased."""
    async with opened(root) as files:
        async with files.temporary(b"x", name="x") as attachment:
            await files.stage(b"x", name="x", ttl=60)
        async with files.temporary(b"y", name="y") as other:
            lease = files.lease(other)
            await lease.__aenter__()

        assert attachment.path.exists()
        assert other.path.exists()
        await lease.__aexit__(None, None, None)
        assert [gone.name for gone in (await files.force_cleanup()).attachments] == ["y"]


@frozen
class Stubborn(Disk):
    """Real files that cannot be deleted while told so."""

    stuck: list[bool] = field(factory=list[bool])

    def unlink(self, path: Path) -> None:
        """Unlink, or fail."""
        if self.stuck and path.suffix != ".partial":
            raise PermissionError(1, "Operation not permitted")
        super().unlink(path)


async def test_what_could_not_be_deleted_is_told_and_tried_again(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The entry stays as long as the file does."""
    # F40, E16
    told: list[Event] = []
    disk = Stubborn(stuck=[True])
    async with opened(root, told, disk=disk) as files:
        attachment = await files.stage(b"x", name="x", ttl=0)

        failed = await files.force_cleanup()
        listed = await names_in(files)
        disk.stuck.clear()
        await trio.sleep(61)

        assert (failed.count, failed.failed) == (0, (attachment,))
        assert listed == ["x"]
        assert "codex.attachment.failed" in [event.name for event in told]
        assert await names_in(files) == []


async def test_remove_and_reset(root: Path, autojump_clock: trio.testing.MockClock) -> None:
    """One by its key; then everything, persistent ones too, leased ones only by force."""
    async with opened(root) as files:
        empty = tree_of(root)
        first = await files.stage(b"x", name="x")
        second = await files.stage(b"x", name="y", persist=True)

        await files.remove(first)
        with pytest.raises(AttachmentNotFound):
            await files.remove(first)
        async with files.lease(second):
            report = await files.reset(True)

        assert report.attachments == (second,)
        assert tree_of(root) == empty


async def test_expiry_outlives_the_process(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Closed and opened again, what was staged is listed, and goes at its time."""
    # F22, E1
    async with opened(root) as files:
        first = await files.stage(b"x", name="x", ttl=100)
        await trio.sleep(1)
        await files.stage(b"y", name="y", persist=True)
    await trio.sleep(50)

    async with opened(root) as files:
        listed = await files.list_staged()
        await trio.sleep(61)

        assert [attachment.name for attachment in listed] == ["x", "y"]
        assert listed[0] == first
        assert await names_in(files) == ["y"]
