"""The samples of the staging benchmark, each run as a process of its own by `measure`.

Each prints one JSON object: milliseconds, and MiB of memory that it took at its peak.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import trio
from attrs import define
from blake3 import blake3

from codex_actors.files import Files, FilesConfig, open_files
from codex_actors.files.model import Durability

from .measure import seconds
from .memory import peak, start_peak

_INTERVAL = 0.005  # of the heartbeat
_CHUNK = 1 << 20
_NEVER = 1 << 50  # ms since 1970


async def ours(sources: str, root: str, durability: Durability) -> dict[str, float]:
    """Stage all sources at once, then again."""
    paths = _paths(sources)
    config = FilesConfig(staging_dir=Path(root), durability=durability, sweep_interval=3600)
    async with open_files(config) as files:
        await trio.sleep(0.05)  # what the sweeper does at start is over
        before, busy = start_peak(), time.process_time()
        async with _heartbeat() as first_beat:
            first = await _timed(lambda: _stage_all(files, paths))
        busy = (time.process_time() - busy) * 1000
        memory = (peak() - before) / (1 << 20)
        async with _heartbeat() as second_beat:
            again = await _timed(lambda: _stage_all(files, paths))
        metrics = await files.metrics()
    assert (metrics.misses, metrics.hits) == (len(paths), len(paths)), metrics
    return {
        "first": first,
        "again": again,
        "cpu": busy,
        "memory": memory,
        "late": first_beat.late,
        "late_again": second_beat.late,
    }


async def idle(sources: str, root: str) -> dict[str, float]:
    """See how late a loop is that has nothing to do, while another process copies."""
    async with _heartbeat() as beat:
        await trio.run_process(["cp", "-r", sources, root])
    return {"late": beat.late}


async def bare(sources: str, root: str, durability: Durability) -> dict[str, float]:
    """Do the same to the disk in a plain loop, with a dictionary for the manifest."""
    target = Path(root)
    known: dict[tuple[int, ...], Path] = {}

    def first() -> None:
        (target / "partials").mkdir(parents=True)
        for number, source in enumerate(_paths(sources)):
            spare = target / "partials" / str(number)
            with source.open("rb") as reader, spare.open("xb") as writer:
                spare.chmod(0o600)
                state = blake3()
                while chunk := reader.read(_CHUNK):
                    state.update(chunk)
                    writer.write(chunk)
                if durability == "full":
                    writer.flush()
                    os.fsync(writer.fileno())
            content = target / state.hexdigest()
            content.mkdir(0o700)
            (content / source.name).hardlink_to(spare)
            spare.unlink()
            if durability == "full":
                _sync_directory(content)
                _sync_directory(target)
            known[_identity(source)] = content / source.name

    def again() -> None:
        assert all(known[_identity(source)] for source in _paths(sources))

    busy = time.process_time()
    took = seconds(first)
    busy = (time.process_time() - busy) * 1000
    return {"first": took * 1000, "again": seconds(again) * 1000, "cpu": busy}


async def hash_then_copy(sources: str, root: str) -> dict[str, float]:
    """Do as the original did: sha256 of a file read in one piece, then a copy, one at a time."""
    target = Path(root)

    def stage() -> None:
        for source in _paths(sources):
            checksum = hashlib.sha256(source.read_bytes()).hexdigest()
            path = target / checksum / source.name
            if not path.exists():
                path.parent.mkdir(parents=True)
                shutil.copyfile(source, path)
                path.stat()

    return {"first": seconds(stage) * 1000, "again": seconds(stage) * 1000}


async def restage(large: str, small: str, root: str, times: int) -> dict[str, float]:
    """Stage a large file and a small one again and again, in turns."""
    samples: dict[str, list[float]] = {large: [], small: []}
    config = FilesConfig(staging_dir=Path(root), durability="none", sweep_interval=3600)
    async with open_files(config) as files:
        for path in samples:
            await files.stage(path)
        for _ in range(times):
            for path, took in samples.items():
                took.append(await _timed(partial(files.stage, path)))
    shutil.rmtree(root)
    return {"large": statistics.median(samples[large]), "small": statistics.median(samples[small])}


async def sweep(root: str, many: int, few: int, expired: int, repeats: int) -> dict[str, Any]:
    """Sweep a full manifest and a nearly empty one in turns; the same number goes from both."""
    entries = {"many": many, "few": few}
    turns: list[dict[str, float]] = []
    async with AsyncExitStack() as stack:
        stores: dict[str, Files] = {}
        for name, count in entries.items():
            config = FilesConfig(
                staging_dir=Path(root) / name,
                durability="none",
                sweep_interval=3600,
                max_count=2 * many,
                max_bytes=1 << 50,
            )
            async with open_files(config):
                pass  # the manifest is there, and empty
            _enter(Path(root) / name, count - expired, _NEVER)
            stores[name] = await stack.enter_async_context(open_files(config))
        for _ in range(repeats):
            turn: dict[str, float] = {}
            for name, files in stores.items():
                _expire(Path(root) / name, expired)
                await files.metrics()  # its connection has seen what is new
                turn[f"sweep_{name}"] = await _timed(files.force_cleanup)
                turn[f"stage_{name}"] = await _timed(
                    partial(files.stage, secrets.token_bytes(4096), name="one")
                )
                turn[f"metrics_{name}"] = await _timed(files.metrics)
                left = (await files.metrics()).total_count
                assert left == entries[name] - expired + len(turns) + 1, left
            turns.append(turn)
    return {"turns": turns}


def _enter(root: Path, count: int, expires_at: int) -> list[str]:
    """Enter attachments by SQL; return their checksums."""
    prefix = secrets.token_hex(12)
    with contextlib.closing(sqlite3.connect(root / "manifest.sqlite3")) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TEMP TABLE fresh (checksum TEXT)")
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
            " INSERT INTO fresh SELECT printf('%s%040x', ?, i) FROM n",
            (count, prefix),
        )
        connection.execute(
            "INSERT INTO blobs (checksum, algorithm, size) SELECT checksum, 'blake3', 1 FROM fresh"
        )
        connection.execute(
            "INSERT INTO attachments (checksum, name, content_type, persist, inserted_at,"
            " expires_at) SELECT checksum, 'file', 'text/plain', 0, 1, ? FROM fresh",
            (expires_at,),
        )
        return [checksum for (checksum,) in connection.execute("SELECT checksum FROM fresh")]


def _expire(root: Path, count: int) -> None:
    """Enter attachments that have expired, with their files."""
    for checksum in _enter(root, count, 1):
        (root / checksum).mkdir()
        (root / checksum / "file").write_bytes(b"x")


@define
class _Beat:
    """How late the heartbeat was at worst, in ms."""

    late: float = 0.0


@asynccontextmanager
async def _heartbeat() -> AsyncGenerator[_Beat]:
    beat = _Beat()

    async def run() -> None:
        while True:
            due = trio.current_time() + _INTERVAL
            await trio.sleep_until(due)
            beat.late = max(beat.late, (trio.current_time() - due) * 1000)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield beat  # noqa: ASYNC119 - its users leave it by themselves
        nursery.cancel_scope.cancel()


async def _stage_all(files: Files, paths: Sequence[Path]) -> None:
    async with trio.open_nursery() as nursery:
        for path in paths:
            nursery.start_soon(files.stage, path)


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return (time.perf_counter() - start) * 1000


def _paths(sources: str) -> list[Path]:
    return sorted(Path(sources).iterdir())


def _identity(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


_SAMPLES: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
    "bare": bare,
    "hash_then_copy": hash_then_copy,
    "idle": idle,
    "ours": ours,
    "restage": restage,
    "sweep": sweep,
}


def main(name: str, arguments: str) -> None:
    """Run one sample and print what it measured."""
    given = cast("dict[str, Any]", json.loads(arguments))
    json.dump(trio.run(partial(_SAMPLES[name], **given)), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
