"""The target that is a directory: complete or not at all, one name per content, no debris."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from attrs import define, field, frozen
from blake3 import blake3
from trio.testing import MockClock
from uploads_support import DATA, PATIENT, opened

from codex_actors import ActorDied
from codex_actors.files import (
    DirectoryTarget,
    Files,
    FilesConfig,
    InvalidConfig,
    UploadError,
    UploadRejected,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.store.disk import Disk
from codex_actors.files.targets import directory
from codex_actors.files.targets.protocol import Outgoing, Part
from codex_actors.testing import Faults

CHECKSUM = blake3(DATA).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path for the directory."""
    return tmp_path / "published" / "here"


def target_at(path: Path, disk: Disk | None = None) -> DirectoryTarget:
    """A target that works on the event loop."""
    return DirectoryTarget(path, disk=disk or Disk("none"), blocking=Inline())


def tree(path: Path) -> dict[str, bytes | None]:
    """Everything under a directory, with its bytes."""
    return {
        str(entry.relative_to(path)): entry.read_bytes() if entry.is_file() else None
        for entry in path.rglob("*")
    }


async def test_a_file_is_published_under_its_checksum_and_name(root: Path, path: Path) -> None:
    """Readable by its owner only; nothing else is in the directory."""
    async with open_files(FilesConfig(staging_dir=root)) as files:
        uploaded = await files.upload(DATA, target=DirectoryTarget(path), name="a b,c.txt")

    assert uploaded.file_id == f"{CHECKSUM}/a b,c.txt"
    assert tree(path) == {CHECKSUM: None, uploaded.file_id: DATA}
    assert stat.S_IMODE((path / uploaded.file_id).stat().st_mode) == 0o600
    assert stat.S_IMODE((path / CHECKSUM).stat().st_mode) == 0o700
    assert (uploaded.target, uploaded.expires_at) == ("directory", None)


@pytest.mark.parametrize("size", [0, 1, 4500, (8 << 20) - 1, 8 << 20, (8 << 20) + 1])
async def test_files_of_every_size_arrive(
    root: Path, path: Path, autojump_clock: MockClock, size: int
) -> None:
    """An empty one, too: a directory takes it."""
    data = os.urandom(size)
    async with opened(root) as files:
        uploaded = await files.upload(data, target=target_at(path), name="x")

    assert (path / uploaded.file_id).read_bytes() == data


async def test_one_content_has_one_file(root: Path, path: Path, autojump_clock: MockClock) -> None:
    """Whoever brings it again, under whatever name, from whatever staging directory."""
    async with opened(root) as files, opened(root.with_name("other")) as others:
        one = await files.upload(DATA, target=target_at(path), name="one")
        two = await others.upload(DATA, target=target_at(path), name="two")

        assert two.file_id == one.file_id == f"{CHECKSUM}/one"
        assert tree(path) == {CHECKSUM: None, one.file_id: DATA}


async def test_two_who_publish_at_once_publish_one(
    root: Path, path: Path, autojump_clock: MockClock
) -> None:
    """Both are told of the file that is there."""
    told: list[str] = []
    async with opened(root) as files, opened(root.with_name("other")) as others:

        async def send(where: Files, name: str) -> None:
            uploaded = await where.upload(DATA, target=target_at(path), name=name)
            told.append(uploaded.file_id)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, files, "one")
            nursery.start_soon(send, others, "two")

    assert told[0] == told[1]
    assert tree(path) == {CHECKSUM: None, told[0]: DATA}


@pytest.mark.parametrize("wrong", [b"", DATA[:-1], DATA[:-1] + b"?"])
async def test_what_is_not_what_its_name_says_is_replaced(
    root: Path, path: Path, autojump_clock: MockClock, wrong: bytes
) -> None:
    """Somebody wrote to it."""
    (path / CHECKSUM).mkdir(parents=True)
    (path / CHECKSUM / "old").write_bytes(wrong)
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=target_at(path), name="x")

    assert tree(path) == {CHECKSUM: None, uploaded.file_id: DATA}


async def test_a_file_in_place_of_its_directory_is_replaced(
    root: Path, path: Path, autojump_clock: MockClock
) -> None:
    """Nothing of ours is such a file."""
    path.mkdir(parents=True)
    (path / CHECKSUM).write_bytes(b"?")
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=target_at(path), name="x")

    assert tree(path) == {CHECKSUM: None, uploaded.file_id: DATA}


async def test_a_file_that_was_removed_is_published_again(
    root: Path, path: Path, autojump_clock: MockClock
) -> None:
    """It is looked for before its id is given out."""
    async with opened(root) as files:
        first = await files.upload(DATA, target=target_at(path), name="x")
        (path / first.file_id).unlink()

        again = await files.upload(DATA, target=target_at(path), name="x")

        assert (path / again.file_id).read_bytes() == DATA


async def test_neighbours_are_not_touched(
    root: Path, path: Path, autojump_clock: MockClock
) -> None:
    """The directory may hold anything else."""
    path.mkdir(parents=True, mode=0o755)
    (path / "notes.txt").write_text("mine")
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=target_at(path), name="x")

    assert tree(path) == {CHECKSUM: None, uploaded.file_id: DATA, "notes.txt": b"mine"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.parametrize("point", ["upload.begun", "upload.part", "upload.completing"])
@pytest.mark.parametrize("action", ["crash", "cancel", "hang"])
async def test_an_upload_that_ends_half_way_leaves_no_debris(
    root: Path, path: Path, autojump_clock: MockClock, action: str, point: str
) -> None:
    """Not even the folders that it made for itself."""
    faults = Faults()
    getattr(faults, action)("transfers/upload-2", at=point)
    with faults:
        async with opened(root) as files:
            with trio.move_on_after(5):
                with pytest.raises(ActorDied):
                    await files.upload(DATA, target=target_at(path), name="x")

            assert len(faults.happened) == 1
            assert tree(path) == {}


@define
class Call:
    """Which call fails, and how often it was made."""

    number: int
    error: int
    always: bool = False
    made: int = 0
    order: list[str] = field(factory=list[str])

    def make(self, name: str) -> None:
        """Fail, if it is its turn."""
        self.order.append(name)
        self.made += 1
        if self.made == self.number or (self.always and self.made > self.number):
            raise OSError(self.error, os.strerror(self.error))


@frozen
class FailingDisk(Disk):
    """Real files; one call of all that change something fails."""

    call: Call = field(factory=lambda: Call(0, 0))

    def create(self, path: Path) -> int:
        """Create a file."""
        self.call.make("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes | memoryview) -> None:
        """Write."""
        self.call.make("write")
        super().write(descriptor, data)

    def make_directory(self, path: Path) -> bool:
        """Create a directory."""
        self.call.make("make_directory")
        return super().make_directory(path)

    def replace(self, source: Path, target: Path) -> None:
        """Move."""
        self.call.make("replace")
        super().replace(source, target)

    def sync_file(self, descriptor: int) -> None:
        """Sync a file."""
        self.call.make("sync_file")
        super().sync_file(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Sync a directory."""
        self.call.make("sync_directory")
        super().sync_directory(path)


@pytest.mark.parametrize("number", range(1, 12))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
async def test_a_call_that_fails_once(
    root: Path, path: Path, autojump_clock: MockClock, code: int, number: int
) -> None:
    """The file is there, or the error says why not; in either case there is no debris."""
    disk = FailingDisk("none", Call(number, code))
    async with opened(root) as files:
        error: UploadError | None = None
        try:
            await files.upload(DATA, target=target_at(path, disk), name="x", retry=PATIENT)
        except UploadError as raised:
            error = raised

        if error is None:
            assert tree(path) == {CHECKSUM: None, f"{CHECKSUM}/x": DATA}
        else:
            assert tree(path) == {}
            assert os.strerror(code) in str(error)
            assert not error.can_retry
        again = await files.upload(DATA, target=target_at(path), name="x")
        assert tree(path) == {CHECKSUM: None, again.file_id: DATA}


async def test_a_full_disk_is_told(root: Path, path: Path, autojump_clock: MockClock) -> None:
    """After as many attempts as asked for."""
    disk = FailingDisk("none", Call(5, errno.ENOSPC, always=True))
    async with opened(root) as files:
        with pytest.raises(UploadError, match="No space left on device") as raised:
            await files.upload(DATA, target=target_at(path, disk), name="x", retry=PATIENT)

    assert raised.value.attempts == 3
    assert raised.value.can_retry


async def test_a_file_is_synced_before_its_name(
    root: Path, path: Path, autojump_clock: MockClock
) -> None:
    """And the name before the answer."""
    # F24
    call = Call(0, 0)
    async with opened(root) as files:
        await files.upload(DATA, target=target_at(path, FailingDisk("none", call)), name="x")

    assert call.order[call.order.index("write") :] == [
        "write",
        "sync_file",
        "make_directory",
        "replace",
        "sync_directory",
        "replace",
        "sync_directory",
    ]


async def test_a_part_that_is_sent_again_replaces_what_was_written(path: Path) -> None:
    """Also what was hashed of it."""

    @frozen
    class Chunks:
        """A body that may fail half-way."""

        chunks: tuple[bytes | None, ...]
        size: int = 0

        async def __aiter__(self) -> AsyncIterator[bytes]:
            """Give them."""
            for chunk in self.chunks:
                if chunk is None:
                    raise trio.TooSlowError
                yield chunk

    file = Outgoing(
        name="x",
        size=6,
        content_type="text/plain",
        checksum=blake3(b"abcdef").hexdigest(),
        algorithm="blake3",
        started_at=datetime.now(UTC),
    )
    half = b"a" * directory.BLOCK_BYTES
    async with target_at(path).open_session() as session:
        remote = await session.begin(file)
        await session.send_part(file, remote, Part(0, 0, 3), Chunks((b"abc",)))
        with pytest.raises(trio.TooSlowError):
            await session.send_part(file, remote, Part(1, 3, 3), Chunks((half, None)))
        await session.send_part(file, remote, Part(1, 3, 3), Chunks((b"def",)))

        finished = await session.complete(file, remote, ())

    assert finished.file_id.endswith("/x")


async def test_a_staging_directory_is_refused(root: Path, autojump_clock: MockClock) -> None:
    """Names of contents in it have another meaning."""
    async with opened(root) as files:
        with pytest.raises(UploadRejected, match="is a staging directory"):
            await files.upload(DATA, target=target_at(root), name="x")

        assert await files.list_staged() == ()


async def test_a_path_that_is_a_file_is_refused(
    root: Path, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """At the first attempt."""
    (tmp_path / "file").write_text("x")
    async with opened(root) as files:
        with pytest.raises(UploadError, match="file"):
            await files.upload(DATA, target=target_at(tmp_path / "file"), name="x")


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_senseless_path_is_refused(path: str) -> None:
    """When the target is built."""
    with pytest.raises(InvalidConfig, match=r"DirectoryTarget\.path"):
        DirectoryTarget(path)


async def test_a_path_that_is_no_text_is_recorded_all_the_same(
    root: Path, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Names of directories are bytes; the manifest holds text."""
    path = tmp_path / os.fsdecode(b"not-\xff-utf8")
    try:
        path.mkdir()
    except OSError:
        pytest.skip("this file system takes text only")
    async with opened(root) as files:
        target = DirectoryTarget(path, disk=Disk("none"), blocking=Inline())

        first = await files.upload(b"data", target=target, name="x")
        second = await files.upload(b"data", target=target, name="x")

        assert first == second
        assert (path / first.file_id).read_bytes() == b"data"


def test_two_ways_to_one_directory_are_one_account(tmp_path: Path) -> None:
    """Symlinks are resolved, relative paths are of now."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    one, two = DirectoryTarget(tmp_path / "real"), DirectoryTarget(tmp_path / "link")

    assert one.account() == two.account() == str(tmp_path / "real")


PUBLISHER = """
import sys, trio
from pathlib import Path
from codex_actors.files import DirectoryTarget, FilesConfig, open_files

async def main():
    def tell(progress):
        print(progress.acknowledged, flush=True)
        if progress.acknowledged:
            sys.stdin.read()

    async with open_files(FilesConfig(staging_dir=Path(sys.argv[1]))) as files:
        await files.upload(bytes(20 << 20), target=DirectoryTarget(sys.argv[2]), name="zeros",
                           progress=tell)

trio.run(main)
"""


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)


def _spare(process: "subprocess.Popen[bytes]") -> None:
    del process


@pytest.mark.parametrize("end", [_kill, _spare])
async def test_what_a_killed_process_left_goes_with_the_next_upload(
    root: Path, path: Path, end: Callable[["subprocess.Popen[bytes]"], None]
) -> None:
    """What a living one is writing does not."""
    command = [sys.executable, "-c", PUBLISHER, str(root), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220 - it is ended below
        assert process.stdout is not None
        while int(await trio.to_thread.run_sync(process.stdout.readline)) == 0:
            pass
        end(process)
        if end is _kill:
            await trio.to_thread.run_sync(process.wait)
        before = sorted(path.glob(".partials/*/*.partial"))
        async with open_files(FilesConfig(staging_dir=root.with_name("other"))) as files:
            await files.upload(DATA, target=DirectoryTarget(path), name="x")
        after = sorted(path.glob(".partials/*/*.partial"))
        process.kill()

    assert len(before) == 1
    assert after == ([] if end is _kill else before)
    assert (path / CHECKSUM / "x").read_bytes() == DATA
