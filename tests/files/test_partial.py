"""Sources and partial files: what is read, what is hashed, what is refused."""

import errno
import hashlib
import os
import socket
from collections.abc import Generator
from pathlib import Path

import pytest
from attrs import frozen
from blake3 import blake3

from codex_actors.files import (
    FilesError,
    NotARegularFile,
    QuotaExceeded,
    SourceChanged,
    SourceNotFound,
    SourceNotReadable,
    StagingFull,
    StagingIOError,
)
from codex_actors.files.blocking import run_steps
from codex_actors.files.model import Algorithm
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.partial import (
    CHUNK_BYTES,
    Copied,
    Partial,
    copy_bytes,
    copy_path,
)
from codex_actors.files.store.source import SourceIdentity, open_source

SECOND = 1_000_000_000


def finish(steps: Generator[None, None, Copied]) -> Copied:
    """Run a copy to its end."""
    return run_steps(steps, lambda: None)


def partial_in(tmp_path: Path, disk: Disk | None = None, limit: int | None = None) -> Partial:
    """A partial file that is not created yet."""
    return Partial(tmp_path / "0.partial", disk or Disk(), "blake3", limit)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
@pytest.mark.parametrize("algorithm", ["blake3", "sha256"])
def test_checksum_and_size_are_those_of_the_copy(
    tmp_path: Path, size: int, algorithm: Algorithm
) -> None:
    """Whole chunks, odd ones and none at all hash to what a plain hash of the copy gives."""
    # F1, F6
    data = os.urandom(size)
    source = tmp_path / "source"
    source.write_bytes(data)
    partial = Partial(tmp_path / "0.partial", Disk(), algorithm)

    copied = finish(copy_path(partial, source))

    published = copied.path.read_bytes()
    plain = blake3(published) if algorithm == "blake3" else hashlib.sha256(published)
    assert published == data
    assert (copied.checksum, copied.size) == (plain.hexdigest(), size)
    assert copied.head == data[:4096]


def test_a_partial_file_is_private(tmp_path: Path) -> None:
    """0600, whatever the umask."""
    # F19, E9
    old = os.umask(0)
    try:
        copied = finish(copy_bytes(partial_in(tmp_path), b"x"))
    finally:
        os.umask(old)

    assert copied.path.stat().st_mode & 0o777 == 0o600


def test_a_source_that_grows_is_refused(tmp_path: Path) -> None:
    """Appending between two chunks is noticed, with both sizes."""
    # F8, F9, E8
    source = tmp_path / "source"
    source.write_bytes(b"a" * (CHUNK_BYTES + 1))
    steps = copy_path(partial_in(tmp_path), source)
    next(steps)

    with source.open("ab") as file:
        file.write(b"more")

    with pytest.raises(SourceChanged, match=f"{CHUNK_BYTES + 1} -> {CHUNK_BYTES + 5}"):
        finish(steps)


def test_a_source_that_is_truncated_is_refused(tmp_path: Path) -> None:
    """What was cut off is missed."""
    # F10
    source = tmp_path / "source"
    source.write_bytes(b"a" * (2 * CHUNK_BYTES))
    steps = copy_path(partial_in(tmp_path), source)
    next(steps)

    os.truncate(source, 10)

    with pytest.raises(SourceChanged, match="stage it again"):
        finish(steps)


def test_a_source_that_is_rewritten_in_place_is_refused(tmp_path: Path) -> None:
    """The same size and other bytes: the modification time tells."""
    # F8
    source = tmp_path / "source"
    source.write_bytes(b"a" * (CHUNK_BYTES + 1))
    os.utime(source, ns=(0, SECOND))
    steps = copy_path(partial_in(tmp_path), source)
    next(steps)

    source.write_bytes(b"b" * (CHUNK_BYTES + 1))

    with pytest.raises(SourceChanged):
        finish(steps)


def test_a_source_that_only_gets_a_new_link_is_staged_but_not_remembered(tmp_path: Path) -> None:
    """Its bytes are the same; its change time is not, so the next staging reads it again."""
    source = tmp_path / "source"
    source.write_bytes(b"a")
    os.utime(source, ns=(0, SECOND + 1))
    steps = copy_path(partial_in(tmp_path), source)
    next(steps)

    os.link(source, tmp_path / "other")

    assert finish(steps).source is None


@pytest.mark.parametrize("kind", ["directory", "fifo", "socket", "device"])
def test_only_regular_files_are_sources_and_nothing_blocks(tmp_path: Path, kind: str) -> None:
    """A FIFO without a writer is refused like the rest, at once, and nothing is created."""
    # F11, F13, E12
    source = tmp_path / "source"
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "directory":
                source.mkdir()
            case "fifo":
                os.mkfifo(source)
            case "socket":
                listener.bind(str(source))
            case _:
                source = Path("/dev/null")

        with pytest.raises(NotARegularFile, match=str(source)):
            finish(copy_path(partial_in(tmp_path), source))

    assert not (tmp_path / "0.partial").exists()


@pytest.mark.parametrize("path", ["missing", "file/below"])
def test_a_missing_source_is_not_found(tmp_path: Path, path: str) -> None:
    """Nothing there, or something that has nothing below it."""
    # F15
    (tmp_path / "file").touch()

    with pytest.raises(SourceNotFound, match="check the path") as caught:
        finish(copy_path(partial_in(tmp_path), tmp_path / path))

    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.filename == str(tmp_path / path)
    assert not (tmp_path / "0.partial").exists()


def test_symlinks_are_followed(tmp_path: Path) -> None:
    """The file they point to is staged."""
    # F16
    (tmp_path / "target").write_bytes(b"there")
    (tmp_path / "link").symlink_to(tmp_path / "target")

    copied = finish(copy_path(partial_in(tmp_path), tmp_path / "link"))

    assert copied.path.read_bytes() == b"there"


def test_a_dangling_symlink_is_not_found(tmp_path: Path) -> None:
    """There is no file at its end."""
    # F16
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    with pytest.raises(SourceNotFound):
        finish(copy_path(partial_in(tmp_path), tmp_path / "link"))


def test_an_unreadable_source_is_named(tmp_path: Path) -> None:
    """Mode 0 keeps out everyone but root."""
    # F14
    if os.geteuid() == 0:
        pytest.skip("root reads everything; the mapping is tested with an injected error")
    source = tmp_path / "source"
    source.write_bytes(b"secret")
    source.chmod(0)

    with pytest.raises(SourceNotReadable, match=str(source)):
        finish(copy_path(partial_in(tmp_path), source))


@frozen
class FailingDisk(Disk):
    """Real files, where one system call fails."""

    call: str = ""
    code: int = errno.EIO

    def _fail(self, call: str) -> None:
        if call == self.call:
            raise OSError(self.code, os.strerror(self.code))

    def open_source(self, path: Path) -> int:
        """Open, or fail."""
        self._fail("open")
        return super().open_source(path)

    def create(self, path: Path) -> int:
        """Create, or fail."""
        self._fail("create")
        return super().create(path)

    def read_into(self, descriptor: int, buffer: bytearray) -> int:
        """Read, or fail."""
        self._fail("read")
        return super().read_into(descriptor, buffer)

    def write(self, descriptor: int, data: bytes | memoryview) -> None:
        """Write, or fail."""
        self._fail("write")
        super().write(descriptor, data)

    def sync_file(self, descriptor: int) -> None:
        """Sync, or fail."""
        self._fail("sync")
        super().sync_file(descriptor)


@pytest.mark.parametrize(
    ("call", "code", "expected", "builtin"),
    [
        ("open", errno.EACCES, SourceNotReadable, PermissionError),
        ("open", errno.EPERM, SourceNotReadable, PermissionError),
        ("open", errno.ENXIO, NotARegularFile, ValueError),
        ("open", errno.EIO, StagingIOError, OSError),
        ("read", errno.EIO, StagingIOError, OSError),
        ("create", errno.ENOSPC, StagingFull, OSError),
        ("write", errno.ENOSPC, StagingFull, OSError),
        ("write", errno.EDQUOT, StagingFull, OSError),
        ("write", errno.EIO, StagingIOError, OSError),
        ("sync", errno.EIO, StagingIOError, OSError),
    ],
)
def test_failed_system_calls_are_typed(
    tmp_path: Path, call: str, code: int, expected: type[FilesError], builtin: type[Exception]
) -> None:
    """Each keeps its errno where it is an OSError, and is discarded without a trace."""
    # F14, F26
    source = tmp_path / "source"
    source.write_bytes(b"bytes")
    partial = partial_in(tmp_path, FailingDisk(call=call, code=code))

    with pytest.raises(expected) as caught:
        finish(copy_path(partial, source))
    partial.discard()

    assert isinstance(caught.value, builtin)
    if isinstance(caught.value, OSError):
        assert caught.value.errno == code
        assert str(caught.value.filename).startswith(str(tmp_path))
    assert str(tmp_path) in str(caught.value)
    assert not str(caught.value).startswith("[Errno")
    assert str(caught.value).endswith(".")
    assert not (tmp_path / "0.partial").exists()


def test_a_partial_file_never_follows_what_was_planted_in_its_place(tmp_path: Path) -> None:
    """O_EXCL and O_NOFOLLOW: neither a file nor a symlink there is written to."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "0.partial").symlink_to(victim)

    with pytest.raises(StagingIOError):
        finish(copy_bytes(partial_in(tmp_path), b"overwritten"))

    assert victim.read_bytes() == b"precious"


def test_what_cannot_fit_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    """A known size is judged first: nothing is created."""
    source = tmp_path / "source"
    source.write_bytes(b"12345")

    with pytest.raises(QuotaExceeded):
        finish(copy_path(partial_in(tmp_path, limit=4), source))

    assert not (tmp_path / "0.partial").exists()


def test_what_grows_beyond_the_limit_is_refused_while_it_grows(tmp_path: Path) -> None:
    """A stream has no size to judge first."""
    partial = partial_in(tmp_path, limit=4)
    partial.create()
    partial.write(b"1234")

    with pytest.raises(QuotaExceeded):
        partial.write(b"5")

    partial.discard()


@pytest.mark.parametrize(
    ("mtime_ns", "ctime_ns", "now_ns", "racy"),
    [
        (SECOND + 1, SECOND + 1, SECOND + 1, True),
        (SECOND + 1, SECOND + 1, SECOND + 20_000_000, True),
        (SECOND + 1, SECOND + 1, SECOND + 20_000_001, False),
        (SECOND + 1, 2 * SECOND, 2 * SECOND, True),
        (SECOND, SECOND, 3 * SECOND - 1, True),
        (SECOND, SECOND, 3 * SECOND, False),
        (9 * SECOND, 9 * SECOND, SECOND, True),
    ],
)
def test_a_young_identity_is_not_trusted(
    mtime_ns: int, ctime_ns: int, now_ns: int, racy: bool
) -> None:
    """Younger than the grain of its stamps (coarse ones are whole seconds), or of the future."""
    identity = SourceIdentity(1, 2, 3, mtime_ns, ctime_ns)

    assert identity.is_racy(now_ns) is racy


def test_an_old_source_is_trusted() -> None:
    """Whoever stages it again will find it by a stat."""
    source = Path(os.__file__)

    with open_source(Disk(), source) as (_, identity, steady):
        pass

    assert steady
    assert identity.size == source.stat().st_size
