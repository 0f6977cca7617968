"""Scenarios of staging from end to end that the tests of its parts show only in part."""

import errno
import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define, frozen
from files_support import partials_of, tree_of

from codex_actors.files import (
    Event,
    Files,
    FilesConfig,
    FilesError,
    NotARegularFile,
    Seams,
    SourceChanged,
    SourceNotReadable,
    StagingIOError,
    VerifyReport,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.store.disk import Disk

MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@pytest.fixture
def config(root: Path) -> FilesConfig:
    """Settings for it."""
    return FilesConfig(staging_dir=root, durability="none")


async def test_two_paths_with_the_same_bytes_are_one_blob(
    config: FilesConfig, root: Path, tmp_path: Path
) -> None:
    """The second one is told as found, and the disk holds one file under two names."""
    # F2
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_bytes(b"same")
    told: list[Event] = []

    async with open_files(config, on_event=[told.append]) as files:
        one = await files.stage(tmp_path / "one.txt")
        two = await files.stage(tmp_path / "two.txt")

        blobs = {path.stat().st_ino for path in root.glob(f"{one.checksum}/*")}
        assert [event.metadata["cached?"] for event in told] == [False, True]
        assert one.path.samefile(two.path)
        assert len(blobs) == 1
        metrics = await files.metrics()
        assert (metrics.total_count, metrics.blob_count, metrics.hits) == (2, 1, 1)


@define
class Once:
    """Something that is done at the first occasion."""

    action: Callable[[], object] = lambda: None
    done: bool = False

    def __call__(self) -> None:
        """Do it, or nothing."""
        if not self.done:
            self.done = True
            self.action()


@frozen
class Meddled(Disk):
    """Real files; somebody does something at one of the calls, or that call fails."""

    call: str = ""
    meddle: Callable[[], object] = lambda: None

    def _at(self, call: str) -> None:
        if call == self.call:
            self.meddle()

    def open_source(self, path: Path) -> int:
        """Open."""
        self._at("open")
        return super().open_source(path)

    def read_into(self, descriptor: int, buffer: bytearray) -> int:
        """Read, and only then let them meddle."""
        filled = super().read_into(descriptor, buffer)
        self._at("read")
        return filled

    def copy_range(self, source: int, target: int, size: int) -> int:
        """Copy, and only then let them meddle."""
        copied = super().copy_range(source, target, size)
        self._at("read")
        return copied

    def link(self, source: Path, target: Path) -> bool:
        """Link."""
        self._at("link")
        return super().link(source, target)


@pytest.mark.parametrize("size", [100, MIB + 100])
@pytest.mark.parametrize("change", [50, -50])
async def test_a_source_that_changes_is_not_published(
    config: FilesConfig, root: Path, tmp_path: Path, *, size: int, change: int
) -> None:
    """Neither one that grows nor one that is cut; both sizes are named, and nothing is left."""
    # F9, F10
    source = tmp_path / "source"
    source.write_bytes(b"x" * size)
    disk = Meddled("none", "read", Once(lambda: os.truncate(source, size + change)))

    async with open_files(config, seams=Seams(disk=disk)) as files:
        before = tree_of(root)

        with pytest.raises(SourceChanged, match=f"{size} -> {size + change}"):
            await files.stage(source)

        assert tree_of(root) == before
        assert partials_of(root) == []
        assert (await files.metrics()).total_count == 0
        assert (await files.stage(source)).size == size + change


@define
class Fail:
    """A call that fails as long as it does."""

    code: int
    over: bool = False

    def __call__(self) -> None:
        """Fail, unless that is over."""
        if not self.over:
            raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize(
    ("call", "code", "expected"),
    [
        ("open", errno.EACCES, SourceNotReadable),
        ("read", errno.EIO, StagingIOError),
        ("link", errno.EIO, StagingIOError),
    ],
)
@pytest.mark.parametrize("size", [100, MIB + 100])
async def test_a_failing_disk_publishes_nothing(
    config: FilesConfig,
    root: Path,
    tmp_path: Path,
    *,
    size: int,
    call: str,
    code: int,
    expected: type[FilesError],
) -> None:
    """The error names the path, nothing is left, and the next staging succeeds."""
    # F14, F26, F41
    source = tmp_path / "source"
    source.write_bytes(b"x" * size)

    fail = Fail(code)
    async with open_files(config, seams=Seams(disk=Meddled("none", call, fail))) as files:
        before = tree_of(root)

        with pytest.raises(expected, match=str(tmp_path)):
            await files.stage(source)

        assert tree_of(root) == before
        assert (await files.metrics()).blob_bytes == 0
        fail.over = True
        assert (await files.stage(source)).path.stat().st_size == size


async def test_symlinks_are_followed_wherever_they_lead(
    config: FilesConfig, root: Path, tmp_path: Path
) -> None:
    """To a file: its bytes under the link's name, those of now; to anything else: refused."""
    # F16
    link = tmp_path / "link.txt"
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(name.encode())
    staged: list[bytes] = []

    async with open_files(config) as files:
        for name in ("one", "two", "one"):
            link.unlink(missing_ok=True)
            link.symlink_to(tmp_path / name)
            attachment = await files.stage(link)
            staged.append(attachment.path.read_bytes())
            assert attachment.name == "link.txt"
            assert not attachment.path.is_symlink()
        link.unlink()
        link.symlink_to(tmp_path)
        before = tree_of(root)
        with pytest.raises(NotARegularFile, match=r"link\.txt is a directory"):
            await files.stage(link)

        assert staged == [b"one", b"two", b"one"]
        assert tree_of(root) == before


async def test_what_was_staged_is_usable_after_a_restart(config: FilesConfig, root: Path) -> None:
    """Listed as it was, verified, leased, found by its content."""
    # F22
    async with open_files(config) as files:
        kept = await files.stage(b"kept", name="kept", persist=True)
        lives = await files.stage(b"lives", name="lives", ttl=3600)

    async with open_files(config) as files:
        listed = await files.list_staged()
        report = await files.verify()
        async with files.lease(kept) as leased:
            assert leased.path.read_bytes() == b"kept"
        again = await files.stage(b"lives", name="lives", ttl=0)
        metrics = await files.metrics()

    assert listed == (kept, lives)
    assert report == VerifyReport(checked=2)
    assert again.expires_at == lives.expires_at
    assert (metrics.hits, metrics.misses) == (1, 0)


def another_file_system(path: Path) -> Path | None:
    """A directory for temporary files that is on another file system."""
    for candidate in (Path("/dev/shm"), Path("/run/shm"), Path("/tmp")):  # noqa: S108 - only looked at
        if candidate.is_dir() and candidate.stat().st_dev != path.stat().st_dev:
            return candidate
    return None


@pytest.mark.parametrize("kind", ["path", "stream"])
async def test_partial_files_lie_beside_the_final_ones(
    config: FilesConfig, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Wherever temporary files go, a name is given by a link, which needs one file system."""
    # F29
    elsewhere = another_file_system(tmp_path)
    if elsewhere is None:
        pytest.skip("there is no second file system here")
    with tempfile.TemporaryDirectory(dir=elsewhere) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        source = Path(folder) / "source"
        source.write_bytes(b"x" * 2 * MIB)
        seen: list[tuple[int, int]] = []

        def look() -> None:
            (partial,) = partials_of(root)
            seen.append((partial.stat().st_dev, partial.stat().st_ino))
            assert [path.name for path in Path(folder).iterdir()] == ["source"]

        async def stream() -> AsyncGenerator[bytes]:
            while not partials_of(root):
                yield b"x"
            look()

        chosen = source if kind == "path" else stream()
        disk = Meddled("none", "link", Once(look))
        async with open_files(config, seams=Seams(disk=disk)) as files:
            attachment = await files.stage(chosen, name="x")

        status = attachment.path.stat()
        assert {*seen} == {(status.st_dev, status.st_ino)}
        assert status.st_dev == root.stat().st_dev != source.stat().st_dev


async def test_a_blob_that_goes_between_look_and_link_is_a_miss(
    config: FilesConfig, tmp_path: Path
) -> None:
    """Somebody deletes the file of a hit at the worst moment: it is staged again from its path."""
    # F44
    source = Path(os.__file__)  # written long ago: known by its stat
    once = Once()
    async with open_files(config, seams=Seams(disk=Meddled("none", "link", once))) as files:
        first = await files.stage(source, name="first")
        once.done, once.action = False, first.path.unlink

        second = await files.stage(source, name="second")

        assert once.done
        assert second.path.read_bytes() == first.path.read_bytes() == source.read_bytes()


async def test_waiting_callers_are_served_in_order(
    root: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """One at a time may transfer: the others wait in line, and none is lost."""
    # F46
    config = FilesConfig(staging_dir=root, durability="none", max_transfers=1, max_queued=10)
    order: list[str] = []

    async def slow(name: str) -> AsyncGenerator[bytes]:
        order.append(name)
        await trio.sleep(1)
        yield name.encode()

    async def stage(files: Files, name: str) -> None:
        await files.stage(slow(name), name=name)

    async with open_files(config, seams=Seams(blocking=Inline())) as files:
        async with trio.open_nursery() as nursery:
            for number in range(11):
                nursery.start_soon(stage, files, str(number))
                await trio.testing.wait_all_tasks_blocked()
            metrics = await files.metrics()

        assert (metrics.transfers_running, metrics.transfers_queued) == (1, 10)
        assert order == [str(number) for number in range(11)]
        assert len(await files.list_staged()) == 11
