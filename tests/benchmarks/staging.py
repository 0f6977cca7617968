"""Benchmark of `files.stage`: files of three sizes, duplicates, and the sweep of a full store.

Subjects take turns: in each turn the floors (cp, cp and sync, bare Python) and ours, each sample in
a process of its own over the same sources, which are read once beforehand.
"""

import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from .measure import Options, in_own_process, run_parts, seconds
from .report import Figure, Report

__all__ = ["run"]

_MIB = 1 << 20
_SAMPLES = f"{__package__}.staging_samples"
_DURABILITIES = ("none", "full")

# What a sample measured, by subject: one mapping of names to numbers per turn.
Turns = dict[str, list[dict[str, float]]]


@frozen
class _Sizes:
    """How much of everything.

    Attributes:
        small, medium, large: Number of files and bytes of each.
        restaged: How often one file is staged again, one after the other.
        entries: Of the manifest that is swept; `few`, but more than expire, of that beside it.
        expired: How many of them go.
    """

    small: tuple[int, int] = (1000, 4096)
    medium: tuple[int, int] = (20, 10 * _MIB)
    large: tuple[int, int] = (1, 1024 * _MIB)
    restaged: int = 200
    entries: int = 1_000_000
    few: int = 2000
    expired: int = 1000

    @property
    def room(self) -> int:
        """Bytes on disk at most: sources, one copy of them, the manifests."""
        files = (self.small, self.medium, self.large)
        return 3 * max(n * size for n, size in files) + 2048 * self.entries


_QUICK = _Sizes((20, 4096), (2, _MIB // 4), (1, 4 * _MIB), 5, 2000, 128, 64)


def run(options: Options) -> Report:
    """Measure what the options ask for."""
    sizes = _QUICK if options.quick else evolve(_Sizes(), large=(1, options.large_mib * _MIB))
    figures = run_parts(_PARTS, options, sizes, sizes.room)
    settings = {"repeats": options.repeats, "quick": options.quick, "large_bytes": sizes.large[1]}
    return Report(benchmark="staging", settings=settings, figures=figures)


def _small(where: Path, sizes: _Sizes, repeats: int) -> Iterator[Figure]:
    count, size = sizes.small
    what = f"{count} x {size >> 10} KiB"
    turns = _take_turns(where, count, size, repeats)
    for durability in _DURABILITIES:
        ours = turns[durability]
        yield Figure(
            name=f"{what} first, {durability}",
            unit="ms",
            samples=_column(ours, "first"),
            floor="bare Python",
            floor_samples=_column(turns[f"bare {durability}"], "first"),
            target=2.0 if durability == "none" else None,
        )
        yield Figure(
            name=f"{what} again, {durability}",
            unit="ms",
            samples=_column(ours, "again"),
            target=100.0,
        )
    # What others do on this machine shows in the times above, but hardly here.
    yield Figure(
        name=f"{what} first, none: processor",
        unit="ms",
        samples=_column(turns["none"], "cpu"),
        floor="bare Python",
        floor_samples=_column(turns["bare none"], "cpu"),
    )
    yield from _beside(what, turns)


def _medium(where: Path, sizes: _Sizes, repeats: int) -> Iterator[Figure]:
    count, size = sizes.medium
    what = f"{count} x {size / _MIB:g} MiB"
    turns = _take_turns(where, count, size, repeats)
    yield from _against_cp(what, turns, None)
    yield from _beside(what, turns)


def _large(where: Path, sizes: _Sizes, repeats: int) -> Iterator[Figure]:
    what = f"{sizes.large[1] >> 20} MiB"
    turns = _take_turns(where, *sizes.large, repeats)
    yield from _against_cp(what, turns, 1.25)
    yield from _beside(what, turns)
    for durability in _DURABILITIES:
        yield Figure(
            name=f"{what} event loop late, {durability}",
            unit="ms",
            samples=tuple(max(turn["late"], turn["late_again"]) for turn in turns[durability]),
            target=20.0,
        )
    yield Figure(
        name="event loop late while cp runs", unit="ms", samples=_column(turns["idle"], "late")
    )


def _against_cp(what: str, turns: Turns, target: float | None) -> Iterator[Figure]:
    for durability, floor in zip(_DURABILITIES, ("cp", "cp + sync"), strict=True):
        yield Figure(
            name=f"{what} first, {durability}",
            unit="ms",
            samples=_column(turns[durability], "first"),
            floor=floor,
            floor_samples=_column(turns[floor], "first"),
            target=target,
        )
        yield Figure(
            name=f"{what} again, {durability}",
            unit="ms",
            samples=_column(turns[durability], "again"),
        )


def _beside(what: str, turns: Turns) -> Iterator[Figure]:
    yield Figure(
        name=f"{what} first, none",
        unit="ms",
        samples=_column(turns["none"], "first"),
        floor="hash, then copy",
        floor_samples=_column(turns["original"], "first"),
        target=1.0,
    )
    for floor in ("cp", "cp + sync", "bare none", "bare full"):
        yield Figure(name=f"{what}: {floor}", unit="ms", samples=_column(turns[floor], "first"))
    for durability in _DURABILITIES:
        yield Figure(
            name=f"{what} peak memory, {durability}",
            unit="MiB",
            samples=_column(turns[durability], "memory"),
            target=64.0,
        )


def _again(where: Path, sizes: _Sizes, repeats: int) -> Iterator[Figure]:
    large, small = where / "large", where / "small"
    _fill(large, *sizes.large)
    _fill(small, 1, sizes.small[1])
    turns = [
        in_own_process(
            _SAMPLES,
            "restage",
            large=large / "0",
            small=small / "0",
            root=where / f"staging-{turn}",
            times=sizes.restaged,
        )
        for turn in range(repeats)
    ]
    yield Figure(
        name=f"{sizes.large[1] >> 20} MiB again, one",
        unit="ms",
        samples=_column(turns, "large"),
        floor=f"{sizes.small[1] >> 10} KiB again, one",
        floor_samples=_column(turns, "small"),
        target=2.0,
    )


def _sweep(where: Path, sizes: _Sizes, repeats: int) -> Iterator[Figure]:
    turns: Any = in_own_process(
        _SAMPLES,
        "sweep",
        root=where,
        many=sizes.entries,
        few=sizes.few,
        expired=sizes.expired,
        repeats=repeats,
    )["turns"]
    for name, what, target in (
        ("sweep", f"sweep of {sizes.expired}", 10.0),
        ("stage", "stage one under a quota", 10.0),
        ("metrics", "metrics", None),
    ):
        yield Figure(
            name=f"{what} among {sizes.entries:,}",
            unit="ms",
            samples=_column(turns, f"{name}_many"),
            floor=f"among {sizes.few:,}",
            floor_samples=_column(turns, f"{name}_few"),
            target=target,
            difference=True,
        )


_PARTS: dict[str, Callable[[Path, _Sizes, int], Iterator[Figure]]] = {
    "small": _small,
    "medium": _medium,
    "large": _large,
    "again": _again,
    "sweep": _sweep,
}


def _take_turns(where: Path, count: int, size: int, repeats: int) -> Turns:
    """Let floors and ours stage the same sources in turns."""
    sources = where / "sources"
    _fill(sources, count, size)
    copies = where / "copies"
    sample = partial(in_own_process, _SAMPLES, sources=sources, root=copies)
    subjects: dict[str, Callable[[], dict[str, float]]] = {
        "cp": partial(_cp, sources, copies, sync=False),
        "cp + sync": partial(_cp, sources, copies, sync=True),
        "original": partial(sample, "hash_then_copy"),
        "idle": partial(sample, "idle"),
    }
    for durability in _DURABILITIES:
        subjects[f"bare {durability}"] = partial(sample, "bare", durability=durability)
        subjects[durability] = partial(sample, "ours", durability=durability)
    turns: Turns = defaultdict(list)
    for _ in range(repeats):
        for name, take in subjects.items():
            turns[name].append(take())
            shutil.rmtree(copies)
    return turns


def _cp(sources: Path, target: Path, *, sync: bool) -> dict[str, float]:
    def copy() -> None:
        subprocess.run(["cp", "-r", sources, target], check=True)  # noqa: S607 - whichever there is
        if sync:
            for path in target.iterdir():
                descriptor = os.open(path, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)

    return {"first": seconds(copy) * 1000}


def _fill(directory: Path, count: int, size: int) -> None:
    """Write sources of random bytes, and sync them: their writing back would disturb."""
    directory.mkdir()
    for number in range(count):
        with (directory / str(number)).open("wb") as file:
            for start in range(0, size, _MIB):
                file.write(os.urandom(min(_MIB, size - start)))
            file.flush()
            os.fsync(file.fileno())


def _column(turns: list[dict[str, float]], name: str) -> tuple[float, ...]:
    return tuple(turn[name] for turn in turns)
