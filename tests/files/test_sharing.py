"""Stagings of one source at the same time: one transfer, and everybody gets what was asked for."""

import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from attrs import define, field, frozen
from files_support import partials_of, tree_of

from codex_actors import ActorDied
from codex_actors.files import Attachment, Files, FilesConfig, SourceChanged, open_files
from codex_actors.files.environment import Seams
from codex_actors.files.store.disk import Disk
from codex_actors.testing import Faults, Injection

CHILD = "transfers/stage-1"


@define
class Opened:
    """How often a source was opened."""

    times: int = 0


@frozen
class CountingDisk(Disk):
    """Counts the sources that are opened."""

    opened: Opened = field(factory=Opened)

    def open_source(self, path: Path) -> int:
        """Count and open."""
        self.opened.times += 1
        return super().open_source(path)


@pytest.fixture
def opened() -> Opened:
    """Nothing yet."""
    return Opened()


@pytest.fixture
def seams(opened: Opened) -> Seams:
    """A disk that counts."""
    return Seams(disk=CountingDisk("none", opened))


@pytest.fixture
def config(tmp_path: Path) -> FilesConfig:
    """Settings of a staging directory that is not there yet."""
    return FilesConfig(staging_dir=tmp_path / "staging", durability="none", max_transfers=2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file that has been as it is long enough for its status to tell it from any other."""
    path = tmp_path / "source"
    path.write_bytes(b"x" * 3_000_000)
    settle(path)
    return path


def settle(path: Path) -> None:
    """Wait until a write would show in the times of a file."""
    while path.stat().st_ctime_ns + 30_000_000 > time.time_ns():
        os.sched_yield()


@define
class Caller:
    """One who stages, and what became of it."""

    result: Attachment | BaseException | None = None

    async def stage(self, files: Files, source: Path, name: str) -> None:
        """Stage and keep the outcome."""
        try:
            self.result = await files.stage(source, name=name)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.result = error


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until something holds."""
    with trio.fail_after(10):
        while not condition():
            await trio.lowlevel.checkpoint()


async def start_all(
    nursery: trio.Nursery, files: Files, source: Path, count: int, faults: Faults
) -> list[Caller]:
    """Have callers wait for one transfer that is held where it has been started."""
    faults.hang(CHILD, at="stage.started")
    callers = [Caller() for _ in range(count)]
    for number, caller in enumerate(callers):
        nursery.start_soon(caller.stage, files, source, str(number))
    await until(lambda: bool(faults.happened))
    # Whoever has looked in vain for the content waits for the transfer: two rounds of the registry.
    for _ in range(2):
        await files.list_staged()
    return callers


async def test_many_who_stage_one_file_read_it_once(
    config: FilesConfig, seams: Seams, opened: Opened, source: Path
) -> None:
    """Everybody gets an attachment under the name asked for, over one blob."""
    faults = Faults()
    with faults:
        async with open_files(config, seams=seams) as files, trio.open_nursery() as nursery:
            callers = await start_all(nursery, files, source, 50, faults)
            running = (await files.metrics()).transfers_running
            faults.release()
            await until(lambda: all(caller.result is not None for caller in callers))

            results = [caller.result for caller in callers]
            assert opened.times == 1
            assert running == 1
            names = {found.name for found in results if isinstance(found, Attachment)}
            assert names == {str(number) for number in range(50)}
            metrics = await files.metrics()
            assert (metrics.blob_count, metrics.total_count) == (1, 50)
            assert (metrics.misses, metrics.hits) == (1, 49)


async def test_who_began_it_may_leave(
    config: FilesConfig, seams: Seams, opened: Opened, source: Path
) -> None:
    """The others wait for the same transfer; nothing is staged for the one who left."""
    # F28
    faults = Faults()
    other = Caller()
    with faults:
        async with open_files(config, seams=seams) as files, trio.open_nursery() as nursery:
            with trio.CancelScope() as first:
                async with trio.open_nursery() as inner:
                    await start_all(inner, files, source, 1, faults)
                    nursery.start_soon(other.stage, files, source, "other")
                    for _ in range(2):
                        await files.list_staged()
                    first.cancel()
            faults.release()
            await until(lambda: other.result is not None)

            assert opened.times == 1
            assert isinstance(other.result, Attachment)
            assert other.result.path.read_bytes() == source.read_bytes()
            assert [found.name for found in await files.list_staged()] == ["other"]
            assert (await files.metrics()).transfers_running == 0


async def test_the_last_one_who_leaves_ends_it(
    config: FilesConfig, seams: Seams, source: Path, tmp_path: Path
) -> None:
    """When all are gone, so is the partial file, and the slot is free."""
    # F28
    faults = Faults()
    with faults:
        async with open_files(config, seams=seams) as files:
            before = tree_of(tmp_path / "staging")
            async with trio.open_nursery() as nursery:
                await start_all(nursery, files, source, 3, faults)
                nursery.cancel_scope.cancel()

            assert tree_of(tmp_path / "staging") == before
            assert partials_of(tmp_path / "staging") == []
            assert files.supervisor.subtree("transfers").which_children() == ()
            assert (await files.metrics()).transfers_running == 0


async def test_a_crash_costs_only_who_began_it(
    config: FilesConfig, seams: Seams, opened: Opened, source: Path
) -> None:
    """The others read the file for themselves."""
    faults = Faults()
    with faults:
        async with open_files(config, seams=seams) as files, trio.open_nursery() as nursery:
            faults.crash(CHILD, at="stage.copied")
            callers = await start_all(nursery, files, source, 3, faults)
            faults.release()
            await until(lambda: all(caller.result is not None for caller in callers))

            died = [caller for caller in callers if isinstance(caller.result, ActorDied)]
            assert len(died) == 1
            assert Injection("crash", CHILD, "stage.copied") in faults.happened
            listed = await files.list_staged()
            assert len(listed) == 2
            assert all(found.path.read_bytes() == source.read_bytes() for found in listed)


async def test_a_file_that_was_replaced_before_it_was_read_is_looked_at_again_by_the_others(
    config: FilesConfig, seams: Seams, opened: Opened, source: Path
) -> None:
    """What was read is not what they had seen; it is what they find when they look again."""
    faults = Faults()
    with faults:
        async with open_files(config, seams=seams) as files, trio.open_nursery() as nursery:
            callers = await start_all(nursery, files, source, 3, faults)
            source.write_bytes(b"new")
            settle(source)
            faults.release()
            await until(lambda: all(caller.result is not None for caller in callers))

            assert [type(caller.result) for caller in callers] == [Attachment] * 3
            listed = await files.list_staged()
            assert [found.path.read_bytes() for found in listed] == [b"new"] * 3
            assert opened.times == 1


@frozen
class WritingDisk(CountingDisk):
    """Somebody appends to the source while it is read for the first time."""

    source: Path = Path()

    def copy_range(self, source: int, target: int, size: int) -> int:
        """Copy, and append."""
        if self.opened.times == 1:
            with self.source.open("ab") as file:
                file.write(b"more")
        return super().copy_range(source, target, size)


async def test_a_file_that_changes_under_the_first_is_read_again_by_the_others(
    config: FilesConfig, opened: Opened, source: Path
) -> None:
    """Who joined may find it complete."""
    # F9
    faults = Faults()
    seams = Seams(disk=WritingDisk("none", opened, source))
    with faults:
        async with open_files(config, seams=seams) as files, trio.open_nursery() as nursery:
            callers = await start_all(nursery, files, source, 3, faults)
            faults.release()
            await until(lambda: all(caller.result is not None for caller in callers))

            kinds = [type(caller.result) for caller in callers]
            assert sorted(kinds, key=str) == sorted(
                [SourceChanged, Attachment, Attachment], key=str
            )
            listed = await files.list_staged()
            assert {found.path.read_bytes()[-4:] for found in listed} == {b"more"}


async def test_a_file_that_was_written_just_now_is_read_for_everybody(
    config: FilesConfig, seams: Seams, opened: Opened, source: Path
) -> None:
    """Its status could be the same after another write; all of them share the blob."""
    async with open_files(config, seams=seams) as files:
        source.write_bytes(b"fresh")
        later = time.time_ns() + 3_600_000_000_000  # however slow this machine is
        os.utime(source, ns=(later, later))

        await together(*(stage(files, source, str(number)) for number in range(4)))

        assert opened.times == 4
        metrics = await files.metrics()
        assert (metrics.blob_count, metrics.total_count) == (1, 4)


async def test_a_verifying_staging_is_not_shared(
    config: FilesConfig, seams: Seams, opened: Opened, source: Path
) -> None:
    """`verify=True` asks for a reading of one's own."""
    faults = Faults()
    with faults:
        async with open_files(config, seams=seams) as files, trio.open_nursery() as nursery:
            callers = await start_all(nursery, files, source, 2, faults)

            again = await files.stage(source, name="again", verify=True)
            faults.release()
            await until(lambda: all(caller.result is not None for caller in callers))

            assert again.path.read_bytes() == source.read_bytes()
            assert opened.times == 2


def stage(files: Files, source: Path, name: str) -> Callable[[], Awaitable[object]]:
    """A staging that can be started."""

    async def run() -> None:
        await files.stage(source, name=name)

    return run


async def together(*works: Callable[[], Awaitable[object]]) -> None:
    """Do all at the same time."""
    async with trio.open_nursery() as nursery:
        for work in works:
            nursery.start_soon(work)


@frozen
class HeldDisk(Disk):
    """A blob that is to be read is waited for, once it is to be held."""

    held: threading.Event = field(factory=threading.Event)
    reading: threading.Event = field(factory=threading.Event)
    go_on: threading.Event = field(factory=threading.Event)

    def open_blob(self, path: Path) -> int | None:
        """Wait, and open."""
        if self.held.is_set():
            self.reading.set()
            self.go_on.wait(10)
        return super().open_blob(path)


async def test_who_leaves_while_others_wait_takes_no_lease(
    config: FilesConfig, source: Path
) -> None:
    """What it wanted for a block only is not staged for it any more, or is gone with the block."""
    # F28
    disk = HeldDisk("none")
    other, scope = Caller(), trio.CancelScope()

    async def leave() -> None:
        with scope:
            async with files.temporary(source, name="temporary"):
                pytest.fail("staged")

    async with open_files(config, seams=Seams(disk=disk)) as files, trio.open_nursery() as nursery:
        touched = await files.stage(source.read_bytes(), name="touched")
        os.utime(touched.path)
        disk.held.set()
        nursery.start_soon(leave)
        for _ in range(2):
            await files.list_staged()
        nursery.start_soon(other.stage, files, source, "other")
        await until(disk.reading.is_set)
        for _ in range(2):
            await files.list_staged()

        scope.cancel()
        await until(lambda: len(nursery.child_tasks) == 1)
        disk.go_on.set()
        await until(lambda: other.result is not None)

        assert isinstance(other.result, Attachment)
        assert (await files.metrics()).leases == 0
        assert {found.name for found in await files.list_staged()} == {"touched", "other"}
