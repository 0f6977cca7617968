"""Owns the command line of the benchmarks: `python -m tests.benchmarks [NAME] [options]`."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from .measure import BenchmarkError, Options
from .report import Report, print_report

# Each is a module here with `run(options: Options) -> Report`; imported when it is asked for.
BENCHMARKS = {
    "messaging": "calls, casts, fan-out, lives, idle memory beside bare Trio (and pykka)",
    "staging": "files.stage beside cp and bare Python: time, memory, event loop, duplicates, sweep",
    "uploads": "files.upload beside the openai client: MB/s, memory, what parallel parts gain",
    "startup": "imports, the command line and an empty tree beside import trio",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    asked = _parse(arguments)
    if asked.name is None:
        for name, summary in BENCHMARKS.items():
            sys.stdout.write(f"{name:<12}{summary}\n")
        return 0
    if asked.name not in BENCHMARKS:
        known = ", ".join(BENCHMARKS)
        return _refuse(f"There is no benchmark {asked.name!r}: choose one of {known}.")
    if asked.repeats < 1:
        return _refuse(f"--repeats {asked.repeats} measures nothing: give at least 1.")
    module = importlib.import_module(f".{asked.name}", __package__)
    options = Options(
        quick=asked.quick,
        repeats=asked.repeats,
        large_mib=asked.large_mib,
        only=frozenset(asked.only or ()),
    )
    try:
        report: Report = module.run(options)
    except BenchmarkError as error:
        return _refuse(str(error))
    print_report(report, as_json=asked.json)
    return 0


def _refuse(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 2


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Without a name: list the benchmarks."
    )
    parser.add_argument("name", nargs="?", help="which benchmark")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all")
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (5)")
    parser.add_argument("--large-mib", type=int, default=1024, help="size of the large file (1024)")
    parser.add_argument("--only", action="append", metavar="PART", help="one part; repeatable")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
