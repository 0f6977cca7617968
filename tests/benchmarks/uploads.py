"""Benchmark of `files.upload` over loopback: a large file beside the openai client, latency, many.

Subjects take turns against one server in a process of its own, which counts what arrives; each
sample is a process of its own, too. Ours has staged the file before: its digest is no part of this.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from attrs import evolve, frozen

from .measure import BenchmarkError, Options, in_own_process, run_parts
from .report import Figure, Report

__all__ = ["run"]

_MIB = 1 << 20
_SAMPLES = f"{__package__}.uploads_samples"
_SERVER = f"{__package__}.uploads_server"
_PARALLEL = 4  # the default of OpenAITarget
_LATENCY = 0.05

Turns = dict[str, list[dict[str, float]]]


@frozen
class _Sizes:
    """How much of everything.

    Attributes:
        large: Bytes of the large file.
        parts: Sizes of its parts, and what our rate is to be of theirs; the last size is the
            default of both clients.
        distant: Number of parts of the file that goes to a server with latency.
        many: Number of files that are uploaded at the same time, and bytes of each.
    """

    large: int = 1024 * _MIB
    parts: tuple[tuple[int, float], ...] = ((8 * _MIB, 0.85), (64 * _MIB, 1.4))
    distant: int = 96
    many: tuple[int, int] = (100, 8 * _MIB)

    @property
    def room(self) -> int:
        """Bytes on disk at most: the source and one copy of it."""
        return max(3 * self.large, 2 * self.many[0] * self.many[1])


_QUICK = _Sizes(2 * _MIB, ((_MIB, 0.85),), 8, (4, 2 * _MIB))


def run(options: Options) -> Report:
    """Measure what the options ask for."""
    sizes = _QUICK if options.quick else evolve(_Sizes(), large=options.large_mib * _MIB)
    figures = run_parts(_PARTS, options, sizes, sizes.room)
    settings = {"repeats": options.repeats, "quick": options.quick, "large_bytes": sizes.large}
    return Report(benchmark="uploads", settings=settings, figures=figures)


def _large(where: Path, sizes: _Sizes, repeats: int) -> Iterator[Figure]:
    source = _filled(where / "source", sizes.large)
    what = f"{sizes.large >> 20} MiB"
    for part_size, target in sizes.parts:
        with _serving(0.0) as url:
            sample = partial(in_own_process, _SAMPLES, source=source, url=url, part_size=part_size)
            turns = _take_turns(
                where,
                repeats,
                {
                    "openai": partial(sample, "openai", parallel=1),
                    "ours": partial(sample, "ours", parallel=_PARALLEL),
                    "ours, one part at a time": partial(sample, "ours", parallel=1),
                },
            )
        name = f"{what}, parts of {part_size >> 20} MiB"
        theirs = _rates(turns["openai"], sizes.large)
        yield Figure(
            name=name,
            unit="MB/s",
            samples=_rates(turns["ours"], sizes.large),
            floor="openai",
            floor_samples=theirs,
            target=target,
            at_least=True,
        )
        yield Figure(
            name=f"{name}, one at a time",
            unit="MB/s",
            samples=_rates(turns["ours, one part at a time"], sizes.large),
            floor="openai",
            floor_samples=theirs,
        )
        yield Figure(
            name=f"{name}: peak memory",
            unit="MiB",
            samples=_column(turns["ours"], "memory"),
            target=64.0,
        )
        yield Figure(
            name=f"{name}: peak memory of openai",
            unit="MiB",
            samples=_column(turns["openai"], "memory"),
        )


def _latency(where: Path, sizes: _Sizes, repeats: int) -> Iterator[Figure]:
    source = _filled(where / "source", sizes.distant * _MIB)
    with _serving(_LATENCY) as url:
        sample = partial(in_own_process, _SAMPLES, "ours", source=source, url=url, part_size=_MIB)
        turns = _take_turns(
            where,
            repeats,
            {
                "one": partial(sample, parallel=1),
                "parallel": partial(sample, parallel=_PARALLEL),
            },
        )
    size = sizes.distant * _MIB
    yield Figure(
        name=f"{_PARALLEL} parallel parts, {_LATENCY * 1000:g} ms of latency",
        unit="MB/s",
        samples=_rates(turns["parallel"], size),
        floor="one at a time",
        floor_samples=_rates(turns["one"], size),
        target=3.0,
        at_least=True,
    )


def _many(where: Path, sizes: _Sizes, repeats: int) -> Iterator[Figure]:
    count, size = sizes.many
    with _serving(0.0) as url:
        turns = _take_turns(
            where,
            repeats,
            {"many": partial(in_own_process, _SAMPLES, "many", url=url, count=count, size=size)},
        )["many"]
    name = f"{count} x {size >> 20} MiB at the same time"
    yield Figure(name=name, unit="MB/s", samples=_rates(turns, count * size))
    yield Figure(name=f"{name}: peak memory", unit="MiB", samples=_column(turns, "memory"))


_PARTS: dict[str, Callable[[Path, _Sizes, int], Iterator[Figure]]] = {
    "large": _large,
    "latency": _latency,
    "many": _many,
}


def _take_turns(
    where: Path, repeats: int, subjects: dict[str, Callable[..., dict[str, float]]]
) -> Turns:
    turns: Turns = {name: [] for name in subjects}
    for _ in range(repeats):
        for name, take in subjects.items():
            root = where / "staging"
            turns[name].append(take(root=root))
            shutil.rmtree(root, ignore_errors=True)
    return turns


@contextmanager
def _serving(latency: float) -> Generator[str]:
    """Run the server; give its base URL."""
    with subprocess.Popen(
        [sys.executable, "-m", _SERVER, str(latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            raise BenchmarkError("The server did not start.")
        yield url
        server.communicate()  # closes its input, which ends it


def _filled(path: Path, size: int) -> Path:
    """Write random bytes, and sync them: their writing back would disturb."""
    with path.open("wb") as file:
        for start in range(0, size, _MIB):
            file.write(os.urandom(min(_MIB, size - start)))
        file.flush()
        os.fsync(file.fileno())
    return path


def _rates(turns: list[dict[str, float]], size: int) -> tuple[float, ...]:
    return tuple(size / 1e6 / turn["seconds"] for turn in turns)


def _column(turns: list[dict[str, float]], name: str) -> tuple[float, ...]:
    # What the system cannot measure more finely is at least a page.
    return tuple(max(turn[name], 4096 / _MIB) for turn in turns)
