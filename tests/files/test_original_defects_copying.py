"""What was wrong with the original's way of copying must not come back: a test for each defect."""

import os
import socket
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio
import trio.testing
from attrs import define, field, frozen
from files_support import tree_of

from codex_actors.files import (
    Files,
    FilesConfig,
    NotARegularFile,
    Seams,
    SourceChanged,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.sources import StageSource
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.hashing import hasher

MIB = 1 << 20
SECOND = 1_000_000_000
HOUR = 3600.0

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@pytest.fixture
def config(root: Path) -> FilesConfig:
    """Settings for it."""
    return FilesConfig(staging_dir=root, durability="none")


def checksum_of(data: bytes) -> str:
    """The checksum of some bytes."""
    state = hasher("blake3")
    state.update(data)
    return state.hexdigest()


@define
class Once:
    """Something that is done at the first occasion."""

    action: Callable[[], object]
    done: bool = False

    def __call__(self) -> None:
        """Do it, or nothing."""
        if not self.done:
            self.done = True
            self.action()


@frozen
class Busybody(Disk):
    """Real files; when the first bytes of a source were read, somebody does something."""

    meddle: Once = field(factory=lambda: Once(lambda: None))

    def read_into(self, descriptor: int, buffer: bytearray) -> int:
        """Read, then meddle."""
        filled = super().read_into(descriptor, buffer)
        self.meddle()
        return filled

    def copy_range(self, source: int, target: int, size: int) -> int:
        """Copy, then meddle."""
        copied = super().copy_range(source, target, size)
        self.meddle()
        return copied


@pytest.mark.parametrize("quietly", [False, True])
@pytest.mark.parametrize("size", [10, MIB + MIB // 2])
async def test_e8_the_checksum_is_that_of_the_copy(
    config: FilesConfig, root: Path, tmp_path: Path, *, size: int, quietly: bool
) -> None:
    """A source rewritten under the copy is refused; where nothing tells, the copy counts."""
    # F8, E8
    source = tmp_path / "source"
    source.write_bytes(b"a" * size)
    os.utime(source, ns=(SECOND, SECOND))

    def rewrite() -> None:
        source.write_bytes(b"b" * size)
        if quietly:
            os.utime(source, ns=(SECOND, SECOND))

    disk = Busybody("none", Once(rewrite))
    async with open_files(config, seams=Seams(disk=disk)) as files:
        before = tree_of(root)

        if quietly:
            attachment = await files.stage(source)
            copy = attachment.path.read_bytes()
            assert (attachment.checksum, attachment.size) == (checksum_of(copy), len(copy))
            assert (await files.stage(source)).checksum == checksum_of(source.read_bytes())
        else:
            with pytest.raises(SourceChanged):
                await files.stage(source)
            assert tree_of(root) == before
        assert disk.meddle.done


@frozen
class SlowDisk:
    """Work on the event loop, where every copy takes an hour."""

    inline: Inline = field(factory=Inline)

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Do it at once."""
        return await self.inline.run(work, *args)

    async def drive(self, steps: Generator[None, None, T]) -> T:
        """Do it an hour later."""
        try:
            await trio.sleep(HOUR)
            return await self.inline.drive(steps)
        finally:
            steps.close()

    def follow(self, work: Callable[[int], None]) -> AbstractContextManager[Callable[[int], None]]:
        """Do it at once."""
        return self.inline.follow(work)


@pytest.mark.parametrize("kind", ["path", "bytes", "stream"])
async def test_e11_a_copy_takes_the_time_that_it_takes(
    config: FilesConfig, tmp_path: Path, autojump_clock: trio.testing.MockClock, kind: str
) -> None:
    """An hour, and its caller still gets the answer; one who has left finds nothing later."""
    # F45, E11
    (tmp_path / "source").write_bytes(b"data")

    async def slow() -> AsyncGenerator[bytes]:
        await trio.sleep(HOUR)
        yield b"data"

    def source() -> StageSource:
        if kind == "stream":
            return slow()
        return b"data" if kind == "bytes" else tmp_path / "source"

    async with open_files(config, seams=Seams(blocking=SlowDisk())) as files:
        start = trio.current_time()
        with trio.move_on_after(6) as hurry:
            await files.stage(source(), name="impatient")
        await trio.sleep(2 * HOUR)
        nothing = await files.list_staged()

        attachment = await files.stage(source(), name="patient")

        assert hurry.cancelled_caught
        assert nothing == ()
        assert trio.current_time() == start + 6 + 3 * HOUR
        assert await files.list_staged() == (attachment,)
        assert attachment.path.read_bytes() == b"data"


@pytest.mark.parametrize("kind", ["fifo", "link to a fifo", "socket", "device", "directory"])
async def test_e12_nothing_blocks_on_what_is_no_file(
    config: FilesConfig, root: Path, tmp_path: Path, kind: str
) -> None:
    """Nobody writes to the FIFO, and the answer is there at once; no thread is left waiting."""
    # F11, F13, E12
    source = tmp_path / "source"
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "fifo":
                os.mkfifo(source)
            case "link to a fifo":
                os.mkfifo(tmp_path / "fifo")
                source.symlink_to(tmp_path / "fifo")
            case "socket":
                listener.bind(str(source))
            case "device":
                source = Path("/dev/zero")
            case _:
                source.mkdir()
        with trio.fail_after(10):
            async with open_files(config) as files:
                before = tree_of(root)

                with pytest.raises(NotARegularFile, match=str(source)):
                    await files.stage(source)

                assert tree_of(root) == before
    assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0


@pytest.mark.parametrize("kind", ["path", "stream", "file"])
async def test_e13_a_file_is_never_in_memory(
    config: FilesConfig, tmp_path: Path, kind: str
) -> None:
    """A few buffers, for 64 MiB as for one."""
    # F7, E13
    size = 64 * MIB
    source = tmp_path / "source"
    source.touch()
    os.truncate(source, size)

    async def stream() -> AsyncGenerator[bytes]:
        for _ in range(size // MIB):
            yield bytes(MIB)

    async with open_files(config) as files:
        await files.stage(b"warm", name="up")
        with source.open("rb") as file:
            chosen: dict[str, StageSource] = {"path": source, "stream": stream(), "file": file}
            tracemalloc.start()
            try:
                attachment = await files.stage(chosen[kind], name="large")
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()

        assert attachment.size == attachment.path.stat().st_size == size
        assert peak < 12 * MIB


async def test_e14_a_slow_copy_stalls_nobody(
    config: FilesConfig, autojump_clock: trio.testing.MockClock
) -> None:
    """Stagings, listings, sweeps and removals go on beside seven that stand still."""
    # F45, E14
    stop = trio.Event()

    async def stuck() -> AsyncGenerator[bytes]:
        yield b"half"
        await stop.wait()

    async def stage(files: Files, name: str) -> None:
        await files.stage(stuck(), name=name)

    async with open_files(config, seams=Seams(blocking=Inline())) as files:
        async with trio.open_nursery() as nursery:
            for number in range(config.max_transfers - 1):
                nursery.start_soon(stage, files, str(number))
            await trio.testing.wait_all_tasks_blocked()
            before = trio.current_time()

            attachment = await files.stage(b"quick", name="quick", ttl=0)
            listed = await files.list_staged()
            report = await files.force_cleanup()
            metrics = await files.metrics()

            assert trio.current_time() == before
            assert listed == report.attachments == (attachment,)
            assert metrics.transfers_running == config.max_transfers - 1
            stop.set()
        assert len(await files.list_staged()) == config.max_transfers - 1


@frozen
class Witness(Disk):
    """Real files; at every write it looks at what is there under final names."""

    root: Path = Path()
    links: bool = True
    seen: list[tuple[str, ...]] = field(factory=list[tuple[str, ...]])

    def _look(self) -> None:
        names = (path for path in self.root.glob("?*/*") if len(path.parent.name) == 64)
        for path in names:
            assert checksum_of(path.read_bytes()) == path.parent.name
        self.seen.append(tuple(sorted(path.name for path in self.root.glob("?*/*"))))

    def write(self, descriptor: int, data: bytes | memoryview) -> None:
        """Write half, look, write the rest."""
        half = len(data) // 2
        super().write(descriptor, data[:half])
        self._look()
        super().write(descriptor, data[half:])

    def link(self, source: Path, target: Path) -> bool:
        """Link, or say that there are no links."""
        self._look()
        return self.links and super().link(source, target)

    def copy(self, source: Path, target: Path) -> None:
        """Copy beside the final name, never under it."""
        assert len(target.parent.name) != 64
        super().copy(source, target)
        self._look()

    def replace(self, source: Path, target: Path) -> None:
        """Look right before and right after."""
        self._look()
        super().replace(source, target)
        self._look()


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("kind", ["path", "bytes", "stream"])
async def test_e15_a_final_name_has_all_the_bytes(
    config: FilesConfig, root: Path, tmp_path: Path, *, kind: str, links: bool
) -> None:
    """At no moment is there a part of a file under its final name; also without hard links."""
    # F29, E15
    data = bytes(range(256)) * 12 * 1024  # three MiB
    source = tmp_path / "source"
    source.write_bytes(data)

    async def stream() -> AsyncGenerator[bytes]:
        for start in range(0, len(data), MIB):
            yield data[start : start + MIB]

    chosen: dict[str, StageSource] = {"path": source, "bytes": data, "stream": stream()}
    disk = Witness("none", root, links)
    async with open_files(config, seams=Seams(disk=disk)) as files:
        disk.seen.clear()

        first = await files.stage(chosen[kind], name="first")
        await files.stage(data, name="second")

        assert len(disk.seen) > 4
        assert first.path.read_bytes() == data
