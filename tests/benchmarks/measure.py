"""Owns what every benchmark needs: options, samples in processes of their own, room on the disk.

Invariant: what a benchmark writes is in one scratch directory that is gone afterwards, and nothing
is written where there is no room for it. Must not know what is measured.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen

__all__ = ["BenchmarkError", "Options", "in_own_process", "run_parts", "scratch", "seconds"]

Sizes = TypeVar("Sizes")
T = TypeVar("T")

_SPARE = 1 << 30  # what others on this disk are left with


class BenchmarkError(Exception):
    """The benchmark cannot be run as asked; says why, and what to do."""


@frozen(kw_only=True)
class Options:
    """What the command line asks for.

    Attributes:
        quick: Tiny sizes, to see that it runs.
        repeats: How many times each subject takes its turn.
        large_mib: Size of the large file.
        only: Parts to run, all of them when empty.
    """

    quick: bool = False
    repeats: int = 5
    large_mib: int = 1024
    only: frozenset[str] = frozenset()


@contextmanager
def scratch(needed: int) -> Generator[Path]:
    """Give a directory that is removed afterwards.

    Args:
        needed: Bytes that will be written there at most.

    Raises:
        BenchmarkError: The disk has not so much to spare.
    """
    where = Path(tempfile.gettempdir())
    free = shutil.disk_usage(where).free
    if free < needed + _SPARE:
        raise BenchmarkError(
            f"{where} has {free >> 20} MiB free and this needs {(needed + _SPARE) >> 20}: free"
            " some, set TMPDIR to another disk, or ask for less (--quick, --large-mib)."
        )
    with tempfile.TemporaryDirectory(prefix="codex-actors-benchmark-") as name:
        yield Path(name)


def run_parts(
    parts: Mapping[str, Callable[[Path, Sizes, int], Iterable[T]]],
    options: Options,
    sizes: Sizes,
    room: int,
) -> tuple[T, ...]:
    """Run the parts that the options name, or all, each in a directory of its own.

    Args:
        parts: By name: gets its directory, the sizes and the number of repeats.
        options: Which parts, how often.
        sizes: Of what is measured.
        room: Bytes that will be written at most.

    Raises:
        BenchmarkError: There is no such part, or no room.
    """
    unknown = options.only - parts.keys()
    if unknown:
        raise BenchmarkError(f"There is no part {min(unknown)!r}: choose from {', '.join(parts)}.")
    found: list[T] = []
    with scratch(room) as directory:
        for name, part in parts.items():
            if not options.only or name in options.only:
                where = directory / name
                where.mkdir()
                found += part(where, sizes, options.repeats)
                shutil.rmtree(where)
    return tuple(found)


def in_own_process(module: str, sample: str, **arguments: Any) -> dict[str, Any]:
    """Run `module` afresh with a sample's name and its arguments; return what it printed, as JSON.

    A process of its own: neither memory nor caches of one sample are there for the next.

    Raises:
        BenchmarkError: It failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, sample, json.dumps(arguments, default=str)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"The sample {sample} {arguments} failed:\n{done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
