"""Large files: copied by the system, while a second thread hashes what has been written."""

import errno
import os
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from attrs import frozen
from blake3 import blake3

from codex_actors.files import SourceChanged, StagingFull, StagingIOError
from codex_actors.files.blocking import MOST_BEHIND, Inline, Threads, run_steps
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.partial import (
    CHUNK_BYTES,
    Copied,
    Follow,
    Partial,
    copy_bytes,
    copy_path,
)

DATA = os.urandom(3 * CHUNK_BYTES + 5)


@frozen
class FickleDisk(Disk):
    """Real files, where system calls fail as told.

    Attributes:
        failing: The calls that fail, each with this code.
        alien: What the system's own copying writes instead of the source's bytes.
        copies: How many chunks it copies before it fails, or finds its end too early.
    """

    failing: tuple[str, ...] = ()
    code: int = errno.EIO
    alien: bytes = b""
    copies: int = 0

    def copy_range(self, source: int, target: int, size: int) -> int:
        """Copy, fail, or write something else."""
        done = os.lseek(target, 0, os.SEEK_CUR)
        if "copy" in self.failing and done >= self.copies * CHUNK_BYTES:
            raise OSError(self.code, os.strerror(self.code))
        if "end" in self.failing and done >= self.copies * CHUNK_BYTES:
            return 0
        if self.alien:
            return os.write(target, self.alien[done : done + len(os.read(source, size))])
        return super().copy_range(source, target, size)

    def read_at(self, descriptor: int, buffer: memoryview, position: int) -> int:
        """Read back, fail, or find nothing."""
        if "back" in self.failing:
            raise OSError(self.code, os.strerror(self.code))
        return 0 if "cut" in self.failing else super().read_at(descriptor, buffer, position)

    def read_into(self, descriptor: int, buffer: bytearray) -> int:
        """Read, or fail."""
        if "read" in self.failing:
            raise OSError(self.code, os.strerror(self.code))
        return super().read_into(descriptor, buffer)

    def write(self, descriptor: int, data: bytes | memoryview) -> None:
        """Write, or fail."""
        if "write" in self.failing:
            raise OSError(self.code, os.strerror(self.code))
        super().write(descriptor, data)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of more than three chunks."""
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


@pytest.fixture(params=[Inline().follow, Threads().follow], ids=["inline", "threads"])
def follow(request: pytest.FixtureRequest) -> Generator[Follow]:
    """Both ways to let the hash follow; neither leaves a thread behind."""
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    yield request.param
    assert set(threading.enumerate()) <= before


def partial_in(tmp_path: Path, disk: Disk | None = None) -> Partial:
    """A partial file that is not created yet."""
    return Partial(tmp_path / "0.partial", disk or Disk("none"), "blake3")


def finish(steps: Generator[None, None, Copied]) -> Copied:
    """Run a copy to its end."""
    return run_steps(steps, lambda: None)


def test_bytes_and_files_have_the_same_checksum(
    tmp_path: Path, source: Path, follow: Follow
) -> None:
    """That of a plain hash of what lies there, whoever hashes."""
    # F1
    of_file = finish(copy_path(partial_in(tmp_path), source, follow))
    published = of_file.path.read_bytes()
    of_file.path.unlink()
    of_bytes = finish(copy_bytes(partial_in(tmp_path), DATA, follow))

    assert published == DATA
    assert of_file.checksum == of_bytes.checksum == blake3(DATA).hexdigest()
    assert of_file.size == of_bytes.size == len(DATA)
    assert of_file.head == of_bytes.head == DATA[:4096]
    assert of_bytes.path.read_bytes() == DATA


def test_the_checksum_is_that_of_the_copy(tmp_path: Path, source: Path, follow: Follow) -> None:
    """Whatever the source held at that moment, what was published is what is hashed."""
    # F8, E8
    other = os.urandom(len(DATA))
    partial = partial_in(tmp_path, FickleDisk("none", alien=other))

    copied = finish(copy_path(partial, source, follow))

    assert copied.path.read_bytes() == other
    assert copied.checksum == blake3(other).hexdigest()


@pytest.mark.parametrize(
    "disk",
    [
        FickleDisk("none", failing=(call,), code=code, copies=copies)
        for copies in (0, 2)
        for call, code in (
            ("copy", errno.EXDEV),
            ("copy", errno.ENOSYS),
            ("copy", errno.EINVAL),
            ("copy", errno.EOPNOTSUPP),
            ("end", 0),
        )
    ],
    ids=lambda disk: f"{errno.errorcode.get(disk.code, 'end')}-{disk.copies}",
)
def test_where_the_system_does_not_copy_it_is_read_and_written(
    tmp_path: Path, source: Path, follow: Follow, disk: Disk
) -> None:
    """From the first byte, or from where the system stopped."""
    copied = finish(copy_path(partial_in(tmp_path, disk), source, follow))

    assert copied.path.read_bytes() == DATA
    assert copied.checksum == blake3(DATA).hexdigest()


@pytest.mark.parametrize(
    ("disk", "named"),
    [
        (FickleDisk("none", failing=("copy", "read")), "source"),
        (FickleDisk("none", failing=("copy", "write"), code=errno.ENOSPC), "0.partial"),
        (FickleDisk("none", failing=("copy", "write")), "0.partial"),
        (FickleDisk("none", failing=("back",)), "0.partial"),
        (FickleDisk("none", failing=("cut",)), "0.partial"),
    ],
)
def test_errors_of_either_side_are_told_apart(
    tmp_path: Path, source: Path, follow: Follow, disk: FickleDisk, named: str
) -> None:
    """The source, the partial file, or its reading back in the other thread: each is named."""
    # F26
    partial = partial_in(tmp_path, disk)
    expected = StagingFull if disk.code == errno.ENOSPC else StagingIOError

    with pytest.raises(expected) as caught:
        finish(copy_path(partial, source, follow))
    partial.discard()

    assert (caught.value.errno, caught.value.filename) == (disk.code, str(tmp_path / named))
    assert not (tmp_path / "0.partial").exists()


def test_a_large_source_that_grows_without_end_is_given_up(
    tmp_path: Path, source: Path, follow: Follow
) -> None:
    """One byte too many tells; what else comes is not waited for."""
    # F9
    steps = copy_path(partial_in(tmp_path), source, follow)

    def grow() -> None:
        with source.open("ab") as file:
            file.write(bytes(CHUNK_BYTES))

    with pytest.raises(SourceChanged):
        run_steps(steps, grow)

    assert (tmp_path / "0.partial").stat().st_size <= len(DATA) + CHUNK_BYTES


def test_a_copy_that_is_left_between_two_chunks_ends_both_threads(
    tmp_path: Path, source: Path, follow: Follow
) -> None:
    """The file can be removed at once: nobody reads it any more."""
    partial = partial_in(tmp_path)
    steps = copy_path(partial, source, follow)
    next(steps)
    next(steps)

    steps.close()
    partial.discard()

    assert not (tmp_path / "0.partial").exists()


def test_who_follows_is_waited_for() -> None:
    """It is never further behind than the cache is large, and there at the end."""
    reached: list[int] = [0]
    slow = threading.Event()

    def work(position: int) -> None:
        slow.wait(0.002)
        reached.append(position)

    with Threads().follow(work) as advance:
        for quarters in range(40):
            advance(quarters * MOST_BEHIND // 4)
            assert quarters * MOST_BEHIND // 4 - reached[-1] <= MOST_BEHIND

    assert reached[-1] == 39 * MOST_BEHIND // 4
