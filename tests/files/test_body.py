"""The bytes of a part on their way out: whole, in order, in chunks, wherever they are read from."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from codex_actors.files import ChecksumMismatch
from codex_actors.files.blocking import Inline
from codex_actors.files.body import BlobBody, Watch
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.reading import Blob
from codex_actors.files.store.seal import Seal
from codex_actors.files.targets.protocol import CHUNK_BYTES

DATA = bytes(range(256)) * (9 * CHUNK_BYTES // 512)  # four chunks and a half


@define(eq=False)
class HalfCached(Blob):
    """A blob of which as much is in memory as was decided, read by read."""

    cached: Iterator[float] = field(factory=lambda: itertools.repeat(1.0))

    def read_cached(self, buffer: memoryview, offset: int) -> int:
        """Fill so much of the buffer."""
        return super().read_cached(buffer[: int(len(buffer) * next(self.cached))], offset)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of that data."""
    path = tmp_path_factory.mktemp("body") / "data"
    path.write_bytes(DATA)
    return path


def open_blob(path: Path, cached: Iterator[float], size: int = len(DATA)) -> HalfCached:
    """Open it."""
    disk = Disk("none")
    return HalfCached(disk, path, "data", "0" * 64, "blake3", size, disk.open_source(path), cached)


async def untouched(_seal: Seal) -> bool:
    """Nobody has written to it."""
    return True


@given(
    offset=st.integers(0, len(DATA)),
    size=st.integers(0, len(DATA)),
    cached=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=5),
)
def test_a_part_is_its_stretch_of_the_file(
    path: Path, offset: int, size: int, cached: list[float]
) -> None:
    """Whatever of it is in memory; in chunks that are never empty nor too large."""
    size = min(size, len(DATA) - offset)
    touched: list[None] = []

    async def read() -> list[bytes]:
        blob = open_blob(path, itertools.cycle(cached))
        try:
            watch = Watch(blob, Inline(), untouched)
            body = BlobBody(watch, offset, size, lambda: touched.append(None))
            return [chunk async for chunk in body]
        finally:
            blob.close()

    chunks = trio.run(read)

    assert b"".join(chunks) == DATA[offset : offset + size]
    assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)
    assert len(touched) == len(chunks) + 1


@pytest.mark.parametrize("cached", [0.0, 1.0])
async def test_a_file_that_ends_too_early_is_told(path: Path, cached: float) -> None:
    """It has been cut since it was staged."""
    blob = open_blob(path, itertools.repeat(cached), len(DATA) + 1)
    body = BlobBody(Watch(blob, Inline(), untouched), 0, len(DATA) + 1, lambda: None)

    with pytest.raises(ChecksumMismatch, match="'data'"):
        _ = [chunk async for chunk in body]
    blob.close()
