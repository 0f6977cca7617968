"""Small files that would wait for their turn share one transfer, and none notices the others."""

import errno
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define, evolve, field, frozen
from files_support import partials_of

from codex_actors import ChildStarted, Event
from codex_actors.files import (
    Attachment,
    Files,
    FilesConfig,
    Seams,
    SourceNotFound,
    StagingFull,
    TransfersBusy,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.sources import StageSource
from codex_actors.files.store.disk import Disk
from codex_actors.testing import Faults, Injection

CHILD = "transfers/stages-2"  # the one that holds the slot is the first


@define
class Caller:
    """One who stages, and what became of it."""

    source: StageSource
    name: str
    result: Attachment | BaseException | None = None
    scope: trio.CancelScope = field(factory=trio.CancelScope)

    async def stage(self, files: Files) -> None:
        """Stage and keep the outcome."""
        with self.scope:
            try:
                self.result = await files.stage(self.source, name=self.name)
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.result = error

    @property
    def attachment(self) -> Attachment:
        """What was staged."""
        assert isinstance(self.result, Attachment), self.result
        return self.result


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Five small files, old enough for their status to tell them from any other."""
    paths = [tmp_path / str(number) for number in range(5)]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    while paths[-1].stat().st_ctime_ns + 30_000_000 > time.time_ns():
        os.sched_yield()
    return paths


@pytest.fixture
def config(tmp_path: Path) -> FilesConfig:
    """Settings with one slot."""
    return FilesConfig(staging_dir=tmp_path / "staging", durability="none", max_transfers=1)


@define
class Crowd:
    """Callers who wait while the only slot is taken.

    Attributes:
        files: Where they stage.
        nursery: Where they live.
        go: Frees the slot.
        started: The children under `transfers`, in order.
    """

    files: Files
    nursery: trio.Nursery
    go: Callable[[], None]
    started: list[str]

    async def wait(self, callers: list[Caller]) -> list[Caller]:
        """Let callers ask, until all of them wait for their turn."""
        for caller in callers:
            self.nursery.start_soon(caller.stage, self.files)
        await trio.testing.wait_all_tasks_blocked()
        assert [caller.result for caller in callers] == [None] * len(callers)
        return callers


@asynccontextmanager
async def crowd(config: FilesConfig, disk: Disk | None = None) -> AsyncGenerator[Crowd]:
    """Open files and take the only slot; leave when everybody has been answered."""
    freed = trio.Event()

    async def held() -> AsyncGenerator[bytes]:
        yield b"held"
        await freed.wait()

    started: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, ChildStarted) and event.path.startswith("transfers/"):
            started.append(event.path)

    async with open_files(config, seams=Seams(blocking=Inline(), disk=disk)) as files:
        files.supervisor.events.attach(note)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(files.stage, held(), name="held"))
            await trio.testing.wait_all_tasks_blocked()
            yield Crowd(files, nursery, freed.set, started)
            freed.set()
        await trio.testing.wait_all_tasks_blocked()
        assert config.staging_dir is not None
        assert partials_of(config.staging_dir) == []
        assert files.supervisor.subtree("transfers").which_children() == ()


def callers_of(sources: list[Path]) -> list[Caller]:
    """One caller for each."""
    return [Caller(source, source.name) for source in sources]


def assert_staged(callers: list[Caller]) -> None:
    """Each has its own bytes under its own name."""
    for caller in callers:
        assert isinstance(caller.source, Path)
        assert caller.attachment.name == caller.source.name
        assert caller.attachment.path.read_bytes() == caller.source.read_bytes()


async def test_who_waits_with_a_small_file_shares_the_next_transfer(
    config: FilesConfig, sources: list[Path]
) -> None:
    """One child for all of them, and each is a miss of its own."""
    async with crowd(config) as here:
        callers = await here.wait(callers_of(sources))
        here.go()

    assert here.started == ["transfers/stage-1", CHILD]
    assert_staged(callers)


async def test_bytes_share_it_too(config: FilesConfig, sources: list[Path]) -> None:
    """Files and bytes, in one transfer."""
    async with crowd(config) as here:
        files = await here.wait(callers_of(sources))
        data = await here.wait([Caller(f"data {number}".encode(), "data") for number in range(3)])
        here.go()

    assert here.started == ["transfers/stage-1", CHILD]
    assert_staged(files)
    assert [caller.attachment.path.read_bytes() for caller in data] == [
        caller.source for caller in data
    ]


async def test_who_comes_too_late_shares_the_one_after(
    config: FilesConfig, sources: list[Path]
) -> None:
    """A transfer that has begun takes nobody on."""
    with Faults() as faults:
        faults.hang(CHILD, at="small.started")
        async with crowd(config) as here:
            early = await here.wait(callers_of(sources[:2]))
            here.go()
            await trio.testing.wait_all_tasks_blocked()
            late = await here.wait(callers_of(sources[2:]))
            faults.release()

    assert here.started[1:] == [CHILD, "transfers/stages-3"]
    assert_staged(early + late)


async def test_what_is_large_or_leased_has_a_transfer_of_its_own(
    config: FilesConfig, sources: list[Path]
) -> None:
    """The one would keep others waiting, the other must be undone at once when its caller goes."""
    sources[0].write_bytes(bytes(1 << 20))
    while sources[0].stat().st_ctime_ns + 30_000_000 > time.time_ns():
        os.sched_yield()

    async def lease(files: Files) -> None:
        async with files.temporary(sources[1]):
            pass

    async with crowd(config) as here:
        here.nursery.start_soon(lease, here.files)
        callers = await here.wait(callers_of(sources[:1]))
        here.go()

    assert sorted(here.started) == [f"transfers/stage-{number}" for number in (1, 2, 3)]
    assert_staged(callers)


async def test_one_that_cannot_be_read_is_refused_alone(
    config: FilesConfig, sources: list[Path]
) -> None:
    """The others are staged."""
    async with crowd(config) as here:
        callers = await here.wait(callers_of(sources))
        sources[2].unlink()
        here.go()

    assert isinstance(callers[2].result, SourceNotFound)
    assert_staged(callers[:2] + callers[3:])


@frozen
class FullDisk(Disk):
    """Has no room for one content."""

    content: bytes = b""

    def write(self, descriptor: int, data: bytes | memoryview) -> None:
        """Write, or have no room."""
        if data == self.content:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(descriptor, data)


async def test_one_that_cannot_be_written_is_refused_alone(
    config: FilesConfig, sources: list[Path]
) -> None:
    """The others are staged."""
    # F26
    async with crowd(config, FullDisk("none", sources[3].read_bytes())) as here:
        callers = await here.wait(callers_of(sources))
        here.go()

    assert isinstance(callers[3].result, StagingFull)
    assert_staged(callers[:3] + callers[4:])


@pytest.mark.parametrize("leaver", [0, 2])
async def test_one_who_leaves_before_the_start_is_not_staged(
    config: FilesConfig, sources: list[Path], leaver: int
) -> None:
    """Whether it would have begun the transfer for the others or not."""
    # F28
    async with crowd(config) as here:
        callers = await here.wait(callers_of(sources))
        callers[leaver].scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        here.go()
        await trio.testing.wait_all_tasks_blocked()
        listed = {attachment.name for attachment in await here.files.list_staged()}

    callers.pop(leaver)
    assert_staged(callers)
    assert listed == {"held", *(caller.name for caller in callers)}
    assert here.started == ["transfers/stage-1", CHILD]


@pytest.mark.parametrize("point", ["small.started", "small.copied"])
@pytest.mark.parametrize("leaver", [0, 2])
async def test_one_who_leaves_in_the_middle_harms_nobody(
    config: FilesConfig, sources: list[Path], leaver: int, point: str
) -> None:
    """Nothing of it is half done when it is let go."""
    # F28
    with Faults() as faults:
        faults.hang(CHILD, at=point)
        async with crowd(config) as here:
            callers = await here.wait(callers_of(sources))
            here.go()
            await trio.testing.wait_all_tasks_blocked()
            callers[leaver].scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            faults.release()

    assert faults.happened == [Injection("hang", CHILD, point)]
    assert callers.pop(leaver).result is None
    assert_staged(callers)


async def test_when_all_leave_the_transfer_ends(config: FilesConfig, sources: list[Path]) -> None:
    """Nobody waits for it: it is not carried on."""
    with Faults() as faults:
        faults.hang(CHILD, at="small.copied", shield=False)
        async with crowd(config) as here:
            callers = await here.wait(callers_of(sources))
            here.go()
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            here.nursery.cancel_scope.cancel()

    assert [caller.result for caller in callers] == [None] * len(callers)
    assert trio.current_time() - began < 4  # or they would have waited for each other


@pytest.mark.parametrize("point", ["small.started", "small.copied"])
@pytest.mark.parametrize("action", ["crash", "cancel"])
async def test_a_transfer_that_dies_is_survived_alone(
    config: FilesConfig, sources: list[Path], action: str, point: str
) -> None:
    """Perhaps it died of one file: each is then staged by itself."""
    # F28
    with Faults() as faults:
        getattr(faults, action)(CHILD, at=point)
        async with crowd(config) as here:
            callers = await here.wait(callers_of(sources))
            here.go()

    assert faults.happened == [Injection(action, CHILD, point)]
    assert_staged(callers)
    assert len(here.started) == 2 + len(sources)


async def test_each_of_them_counts_in_the_queue(config: FilesConfig, sources: list[Path]) -> None:
    """They are seen waiting one by one, and beyond `max_queued` of them nobody waits."""
    # F46
    config = evolve(config, max_queued=3)
    async with crowd(config) as here:
        callers = await here.wait(callers_of(sources[:3]))
        refused = callers_of(sources[3:])
        for caller in refused:
            here.nursery.start_soon(caller.stage, here.files)
        await trio.testing.wait_all_tasks_blocked()
        full = (await here.files.metrics()).transfers_queued
        callers.pop(0).scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        fewer = (await here.files.metrics()).transfers_queued
        here.go()

    assert (full, fewer) == (3, 2)
    assert [type(caller.result) for caller in refused] == [TransfersBusy] * len(refused)
    assert_staged(callers)
