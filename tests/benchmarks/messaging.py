"""Benchmark of messages and lives: real refs beside bare Trio, and beside pykka where installed.

Subjects take turns in one process, each sample a Trio run of its own. A rate is per second of
processor time: none of them waits for anything else, and what else the machine does is left out.
Beside pykka, whose threads wait for each other, it is per second of the clock on the wall.
"""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator
from time import perf_counter, process_time

from attrs import frozen

from . import messaging_ours, messaging_peers
from .measure import BenchmarkError, Options
from .report import Figure, Report

__all__ = ["run"]

# A sample: how many messages (or lives) it is made of and its clock, to what it measured.
Sample = Callable[[int, messaging_peers.Clock], float]


@frozen
class _Part:
    """One thing that is measured.

    Attributes:
        subjects: Who does it, by name; ours is among them.
        count: Messages, rounds or lives per sample.
        targets: What ours must reach, by the name of whom it is compared with; compared with
            nobody under the name "".
        unit: Of the samples.
        at_least: The targets are to be reached, not to be kept below.
        clock: What time is taken from.
    """

    subjects: dict[str, Sample]
    count: int
    targets: dict[str, float | None]
    unit: str = "/s"
    at_least: bool = True
    clock: messaging_peers.Clock = process_time


def _parts() -> dict[str, _Part]:
    ours, peers = messaging_ours, messaging_peers
    parts = {
        "call": _Part(
            {"floor": peers.floor_call, "textbook": peers.textbook_call, "ours": ours.call},
            20_000,
            targets={"floor": 0.55, "textbook": None},
        ),
        "cast": _Part(
            {"textbook": peers.textbook_cast, "ours": ours.cast},
            20_000,
            targets={"textbook": 1.0},
        ),
        "cast_nowait, drained": _Part({"ours": ours.cast_nowait}, 100_000, targets={"": 0.8e6}),
        "fan-out to 1000": _Part(
            {"textbook": peers.textbook_fan_out, "ours": ours.fan_out},
            20,
            targets={"textbook": 1.0},
        ),
        "spawn and stop": _Part(
            {"textbook": peers.textbook_spawn, "ours": ours.spawn},
            2_000,
            targets={"": 10_000, "textbook": None},
        ),
        "idle actor": _Part(
            {"textbook": peers.textbook_idle, "ours": ours.idle},
            1_000,
            unit="B",
            targets={"": 8 * 1024, "textbook": None},
            at_least=False,
        ),
    }
    for name, (sample, least) in peers.pykka_samples().items():
        part = parts[name]
        parts[f"{name}, on the wall"] = _Part(
            {"pykka": sample, "ours": part.subjects["ours"]},
            part.count,
            targets={"pykka": least},
            clock=perf_counter,
        )
    return parts


def run(options: Options) -> Report:
    """Measure what the options ask for."""
    parts = _parts()
    unknown = options.only - parts.keys()
    if unknown:
        raise BenchmarkError(f"There is no part {min(unknown)!r}: choose from {', '.join(parts)}.")
    figures: list[Figure] = []
    for name, part in parts.items():
        if not options.only or name in options.only:
            count = max(part.count // 100, 1) if options.quick else part.count
            figures += _figures(name, part, _take_turns(part, count, options.repeats))
    settings = {"repeats": options.repeats, "quick": options.quick}
    return Report(benchmark="messaging", settings=settings, figures=tuple(figures))


def _take_turns(part: _Part, count: int, repeats: int) -> dict[str, list[float]]:
    turns: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        for name, sample in part.subjects.items():
            gc.collect()  # nobody pays for what another left behind
            turns[name].append(sample(count, part.clock))
    return turns


def _figures(name: str, part: _Part, turns: dict[str, list[float]]) -> Iterator[Figure]:
    for floor, target in part.targets.items():
        yield Figure(
            name=name,
            unit=part.unit,
            samples=tuple(turns["ours"]),
            floor=floor,
            floor_samples=tuple(turns[floor]) if floor else (),
            target=target,
            at_least=part.at_least,
        )
