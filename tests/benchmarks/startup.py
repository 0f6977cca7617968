"""Benchmark of starting: what our imports, the command line and an empty tree cost on top of Trio.

Each sample is a process of its own that finds all bytecode cached, and is counted in milliseconds
of processor time: it waits for nothing, and what else the machine does is left out.
"""

import os
import resource
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from .measure import BenchmarkError, Options, scratch
from .report import Figure, Report

__all__ = ["run"]

_EMPTY_TREE = """
import trio
from codex_actors import SupervisorSpec, open_supervisor

async def main():
    async with open_supervisor(SupervisorSpec([])):
        pass

trio.run(main)
"""

# Each process by its arguments.
_PROCESSES = {
    "import trio": ("-c", "import trio"),
    "import codex_actors": ("-c", "import codex_actors"),
    "--help": ("-m", "codex_actors", "--help"),
    "an empty tree": ("-c", _EMPTY_TREE),
}
_CACHE = 64 << 20  # bytes on disk that their bytecode takes at most
# What is compared: the process, the one that it does more than, and how much more it may take.
_FIGURES = (
    ("import codex_actors", "import trio", 60.0),
    ("--help", "import trio", 250.0),
    ("an empty tree", "import codex_actors", 20.0),
)


def run(options: Options) -> Report:
    """Measure what the options ask for."""
    if options.only:
        raise BenchmarkError("startup has no parts: leave --only out.")
    turns: dict[str, list[float]] = defaultdict(list)
    repeats = 1 if options.quick else 2 * options.repeats + 1  # they are short, and vary
    with scratch(_CACHE) as cache:
        for turn in range(repeats + 1):
            for name, arguments in _PROCESSES.items():
                took = _milliseconds(arguments, cache)
                if turn > 0:  # the first one filled the cache
                    turns[name].append(took)
    figures = tuple(
        Figure(
            name=name,
            unit="ms",
            samples=tuple(turns[name]),
            floor=floor,
            floor_samples=tuple(turns[floor]),
            target=target,
            difference=True,
        )
        for name, floor, target in _FIGURES
    )
    settings = {"repeats": repeats, "quick": options.quick}
    return Report(benchmark="startup", settings=settings, figures=figures)


def _milliseconds(arguments: tuple[str, ...], cache: Path) -> float:
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # with it everything is compiled every time
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return (user + system) * 1000
