"""Staging through the tree: every kind of source, every kind of refusal."""

import io
import math
import os
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trio
import trio.testing
from blake3 import blake3
from files_support import partials_of, tree_of

from codex_actors.files import (
    Attachment,
    AttachmentNotFound,
    Event,
    Files,
    FilesConfig,
    FilesError,
    InvalidContentType,
    InvalidName,
    InvalidTTL,
    NotARegularFile,
    QuotaExceeded,
    Seams,
    SourceNotFound,
    SourceNotReadable,
    TransfersBusy,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.sources import StageSource

MIB = 1 << 20


@pytest.fixture
def config(tmp_path: Path) -> FilesConfig:
    """Settings for a staging directory of the test's own."""
    return FilesConfig(staging_dir=tmp_path / "staging", durability="none")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file that was last written long enough ago to be known by its stat."""
    path = tmp_path / "report.txt"
    path.write_bytes(b"report")
    return path


async def pieces(*chunks: bytes) -> AsyncGenerator[bytes]:
    """Give chunks, as a caller's async iterable would."""
    for chunk in chunks:
        await trio.lowlevel.checkpoint()
        yield chunk


async def test_a_path_is_staged(config: FilesConfig, source: Path) -> None:
    """The descriptor tells what the disk holds."""
    # F1
    async with open_files(config) as files:
        attachment = await files.stage(source)

        assert attachment.name == "report.txt"
        assert attachment.path.read_bytes() == b"report"
        assert attachment.checksum == blake3(b"report").hexdigest()
        assert await files.list_staged() == (attachment,)
        assert await files.get(attachment.checksum) == attachment
        assert await files.get(attachment.checksum, "report.txt") == attachment


async def test_sha256_is_what_elixir_and_openai_speak(tmp_path: Path) -> None:
    """The algorithm is a setting."""
    # F1
    config = FilesConfig(staging_dir=tmp_path / "staging", algorithm="sha256")

    async with open_files(config) as files:
        attachment = await files.stage(b"hello world", name="hello.txt")

    expected = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    assert (attachment.checksum, attachment.algorithm) == (expected, "sha256")


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "file", "async", "generator"])
async def test_bytes_come_from_anywhere(config: FilesConfig, kind: str) -> None:
    """In memory, from a file object, from an async iterable: the same attachment."""
    # F1, F6
    data = os.urandom(3 * MIB + 7)
    parts = (data[:5], b"", data[5 : 2 * MIB], data[2 * MIB :])
    sources: dict[str, StageSource] = {
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "file": io.BytesIO(data),
        "async": pieces(*parts),
        "generator": pieces(*(data[i : i + 999] for i in range(0, len(data), 999))),
    }

    async with open_files(config) as files:
        attachment = await files.stage(sources[kind], name="data.bin")

        assert attachment.size == len(data)
        assert attachment.path.read_bytes() == data
        assert attachment.checksum == blake3(data).hexdigest()


async def test_a_receive_stream_is_staged(config: FilesConfig) -> None:
    """What a peer sends until it closes."""
    ours, theirs = trio.testing.memory_stream_one_way_pair()

    async with open_files(config) as files, trio.open_nursery() as nursery:

        async def send() -> None:
            async with ours:
                for _ in range(10):
                    await ours.send_all(b"x" * 1000)

        nursery.start_soon(send)
        attachment = await files.stage(theirs, name="stream")

    assert attachment.size == 10_000


async def test_an_empty_file_is_an_attachment(config: FilesConfig, tmp_path: Path) -> None:
    """Nothing hashes to something."""
    # F6
    (tmp_path / "empty").touch()

    async with open_files(config) as files:
        attachment = await files.stage(tmp_path / "empty")

        assert attachment.checksum == blake3(b"").hexdigest()
        assert attachment.path.read_bytes() == b""


async def test_an_unchanged_path_is_not_read_again(config: FilesConfig) -> None:
    """Its stat answers, in the registry, without a transfer."""
    source = Path(os.__file__)  # written long ago

    async with open_files(config) as files:
        started: list[str] = []
        files.supervisor.events.attach(lambda event: started.append(str(event)))
        first = await files.stage(source)
        started.clear()

        second = await files.stage(source, name="other.py")
        verified = await files.stage(source, verify=True)

        assert second.checksum == first.checksum == verified.checksum
        assert second.path.samefile(first.path)
        assert [event for event in started if "stage-2" in event]
        assert not [event for event in started if "stage-3" in event]


async def test_verify_puts_right_what_was_tampered_with(config: FilesConfig) -> None:
    """Same size, other bytes: only reading the source again tells."""
    # F30, E6
    source = Path(os.__file__)
    async with open_files(config) as files:
        attachment = await files.stage(source)
        good = attachment.path.read_bytes()
        attachment.path.write_bytes(b"#" * len(good))

        await files.stage(source, verify=True)

        assert attachment.path.read_bytes() == good


async def test_fifty_stagings_of_one_content_publish_one_blob(config: FilesConfig) -> None:
    """Each gets its answer, and the disk holds one inode."""
    # F2
    attachments: list[Attachment] = []
    async with open_files(config) as files, trio.open_nursery() as nursery:

        async def stage(number: int) -> None:
            attachments.append(await files.stage(b"same" * MIB, name=f"{number % 10}.bin"))

        for number in range(50):
            nursery.start_soon(stage, number)

    assert len(attachments) == 50
    assert len({attachment.checksum for attachment in attachments}) == 1
    assert len({attachment.path.stat().st_ino for attachment in attachments}) == 1
    assert len({attachment.path for attachment in attachments}) == 10


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../victim.txt", InvalidName),
        ("/etc/passwd", InvalidName),
        ("..", InvalidName),
        ("nul\0", InvalidName),
        ("", InvalidName),
        (None, InvalidName),
    ],
)
async def test_names_that_lead_elsewhere_are_refused(
    config: FilesConfig, name: str | None, expected: type[FilesError]
) -> None:
    """Nothing is created, inside or outside."""
    # F17, E2
    async with open_files(config) as files:
        before = tree_of(files_root(config))

        with pytest.raises(expected):
            await files.stage(b"x", name=name)

        assert tree_of(files_root(config)) == before


def files_root(config: FilesConfig) -> Path:
    """The staging directory of the settings."""
    assert config.staging_dir is not None
    return config.staging_dir


@pytest.mark.parametrize("ttl", [-1.0, math.nan])
async def test_a_ttl_that_is_none_is_refused(config: FilesConfig, ttl: float) -> None:
    """Negative, and not a number."""
    async with open_files(config) as files:
        with pytest.raises(InvalidTTL):
            await files.stage(b"x", name="x", ttl=ttl)

        assert await files.list_staged() == ()


async def test_a_content_type_that_is_none_is_refused(config: FilesConfig) -> None:
    """It would break a header later."""
    async with open_files(config) as files:
        with pytest.raises(InvalidContentType):
            await files.stage(b"x", name="x", content_type="png")


async def test_what_is_no_source_is_refused(config: FilesConfig) -> None:
    """Neither a number nor text in place of bytes."""
    async with open_files(config) as files:
        with pytest.raises(TypeError, match="cannot be staged"):
            await files.stage(42, name="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - the point
        with pytest.raises(TypeError, match="binary mode"):
            await files.stage(io.StringIO("text"), name="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - the point

        assert (await files.metrics()).partial_files == 0
        assert await files.list_staged() == ()


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "socket"])
async def test_paths_that_are_no_files_are_refused_at_once(
    config: FilesConfig, tmp_path: Path, kind: str
) -> None:
    """Typed, told of, and nothing is left behind; the tree goes on."""
    # F11, F13, F15, E12
    path = tmp_path / "source"
    told: list[Event] = []
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "directory":
            path.mkdir()
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            listener.bind(str(path))
        async with open_files(config, on_event=[told.append]) as files:
            before = tree_of(files_root(config))

            with pytest.raises((SourceNotFound, NotARegularFile), match=str(path)):
                await files.stage(path)

            assert tree_of(files_root(config)) == before
            assert (await files.stage(b"x", name="x")).size == 1
    assert "codex.attachment.failed" in [event.name for event in told]


@pytest.mark.parametrize("path", ["nul\0", "/nul\0/x", "\ud800"])
async def test_a_path_that_no_file_can_have_is_not_found(config: FilesConfig, path: str) -> None:
    """Told to its caller, and to nobody else: the registry does not stumble over it."""
    async with open_files(config) as files:
        with pytest.raises(SourceNotFound, match="check the path"):
            await files.stage(path, name="x")
        with pytest.raises(AttachmentNotFound):
            await files.get("\ud800", path)


async def test_a_relative_path_in_a_directory_that_is_gone_is_not_found(
    config: FilesConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says that it is the working directory that is missing."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    async with open_files(config) as files:
        with pytest.raises(
            SourceNotFound, match=r"^report.txt .* working directory, which is gone"
        ):
            await files.stage("report.txt")


async def test_the_callers_own_exception_passes_unchanged(config: FilesConfig) -> None:
    """No group, no wrapper; the half that came is gone."""

    class OwnError(Exception):
        pass

    async def breaking() -> AsyncGenerator[bytes]:
        yield b"x" * 2 * MIB
        raise OwnError

    async with open_files(config) as files:
        before = tree_of(files_root(config))

        with pytest.raises(OwnError):
            await files.stage(breaking(), name="x")

        assert tree_of(files_root(config)) == before
        assert (await files.metrics()).partial_files == 0
        assert (await files.metrics()).transfers_running == 0


async def test_a_callers_generator_is_closed_when_there_is_no_room(tmp_path: Path) -> None:
    """A stream is stopped where it exceeds the quota, and told so."""
    closed = trio.Event()

    async def endless() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x" * MIB
        finally:
            closed.set()

    config = FilesConfig(staging_dir=tmp_path / "staging", max_bytes=3 * MIB)
    async with open_files(config) as files:
        with pytest.raises(QuotaExceeded):
            await files.stage(endless(), name="endless")

        assert closed.is_set()
        assert (await files.metrics()).blob_bytes == 0


async def test_a_source_may_stage_something_itself(config: FilesConfig) -> None:
    """In the caller's own task, while the caller's transfer is under way."""

    async def nested(files: Files) -> AsyncGenerator[bytes]:
        inner = await files.stage(b"inner", name="inner")
        yield inner.path.read_bytes()

    async with open_files(config) as files:
        outer = await files.stage(nested(files), name="outer")

        assert outer.path.read_bytes() == b"inner"


async def test_more_callers_than_may_wait_are_told_so(tmp_path: Path) -> None:
    """One runs, one waits, the next is refused; those that wait can be seen."""
    # F46
    config = FilesConfig(staging_dir=tmp_path / "staging", max_transfers=1, max_queued=1)
    go = trio.Event()

    async def slow() -> AsyncGenerator[bytes]:
        await go.wait()
        yield b"slow"

    async with open_files(config) as files, trio.open_nursery() as nursery:

        async def stage(source: StageSource, name: str) -> None:
            await files.stage(source, name=name)

        nursery.start_soon(stage, slow(), "runs")
        await wait_until(files, transfers_running=1)
        nursery.start_soon(stage, b"x", "waits")
        await wait_until(files, transfers_queued=1)

        with pytest.raises(TransfersBusy, match="max_queued"):
            await files.stage(b"y", name="refused")

        go.set()


async def wait_until(files: Files, **expected: int) -> None:
    """Wait until the metrics are what they will be."""
    with trio.fail_after(10):
        while True:
            metrics = (await files.metrics()).to_dict()
            if all(metrics[key] == value for key, value in expected.items()):
                return
            await trio.lowlevel.checkpoint()


async def test_a_slow_copy_holds_up_nobody_and_times_out_nobody(
    config: FilesConfig, autojump_clock: trio.testing.MockClock
) -> None:
    """An hour between two chunks: its caller waits, others go on."""

    # F45, E11, E14
    async def slow() -> AsyncGenerator[bytes]:
        yield b"first"
        await trio.sleep(3600)
        yield b"second"

    async with open_files(config, seams=Seams(blocking=Inline())) as files:
        results: dict[str, float] = {}
        async with trio.open_nursery() as nursery:

            async def stage(source: StageSource, name: str) -> None:
                await files.stage(source, name=name)
                results[name] = trio.current_time()

            start = trio.current_time()
            nursery.start_soon(stage, slow(), "slow")
            nursery.start_soon(stage, b"quick", "quick")

        assert results["quick"] == start
        assert results["slow"] == start + 3600


async def test_metrics_tell_hits_and_misses(config: FilesConfig) -> None:
    """And what deduplication saves."""
    # F41
    async with open_files(config) as files:
        await files.stage(b"12345", name="a")
        await files.stage(b"12345", name="b")
        await files.stage(b"12345", name="a")

        metrics = await files.metrics()

        assert (metrics.hits, metrics.misses) == (2, 1)
        assert (metrics.total_count, metrics.blob_count, metrics.saved_bytes) == (2, 1, 5)
        assert partials_of(files_root(config)) == []


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("verify", [False, True])
async def test_the_manifest_itself_is_no_source(
    config: FilesConfig, suffix: str, *, verify: bool
) -> None:
    """To open and close it would take away the locks that keep other processes from writing."""
    async with open_files(config) as files:
        staged = await files.stage(b"bytes", name="name")
        root = staged.path.parent.parent

        with pytest.raises(SourceNotReadable, match="manifest of the staging directory"):
            await files.stage(
                root / ".partials" / ".." / f"manifest.sqlite3{suffix}", verify=verify
            )

        assert await files.list_staged() == (staged,)
