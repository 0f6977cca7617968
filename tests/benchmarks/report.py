"""Owns what a benchmark reports: figures with their samples, as a table or as one JSON document.

Invariant: a ratio is taken between samples of the same turn, and the median of those is what is
compared with the target. Must not know what is measured.
"""

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from attrs import frozen
from rich.console import Console
from rich.table import Table

__all__ = ["Figure", "Report", "print_report"]

SCHEMA = 1


@frozen(kw_only=True)
class Figure:
    """One thing that was measured.

    Attributes:
        name: What, in a few words.
        unit: Of the samples.
        samples: One per turn.
        floor: What it is compared with, in a few words.
        floor_samples: One per turn, of the same unit; empty when nothing is compared.
        target: What the ratio (or without a floor the median) must be, None when nothing is asked.
        at_least: The target is to be reached, not to be kept below.
        difference: Not the ratio but what comes on top of the floor is compared.
    """

    name: str
    unit: str
    samples: tuple[float, ...]
    floor: str = ""
    floor_samples: tuple[float, ...] = ()
    target: float | None = None
    at_least: bool = False
    difference: bool = False

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    @property
    def floor_median(self) -> float | None:
        """The median of what it is compared with."""
        return statistics.median(self.floor_samples) if self.floor_samples else None

    @property
    def compared(self) -> float | None:
        """The median over the turns of the ratio to the floor (or what is on top of it)."""
        if not self.floor_samples:
            return None
        turns = zip(self.samples, self.floor_samples, strict=True)
        if self.difference:
            return statistics.median(ours - floor for ours, floor in turns)
        return statistics.median(ours / floor for ours, floor in turns)

    @property
    def met(self) -> bool | None:
        """Whether the target is met, None when there is none."""
        if self.target is None:
            return None
        judged = self.median if self.compared is None else self.compared
        return judged >= self.target if self.at_least else judged <= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return everything, derived values too."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "samples": list(self.samples),
            "floor": self.floor or None,
            "floor_median": self.floor_median,
            "floor_samples": list(self.floor_samples),
            "compared_by": "difference" if self.difference else "ratio",
            "compared": self.compared,
            "target": self.target,
            "target_is": "at least" if self.at_least else "at most",
            "met": self.met,
        }


@frozen(kw_only=True)
class Report:
    """All that one run of a benchmark measured.

    Attributes:
        benchmark: Its name.
        settings: What it was run with.
        figures: In the order of the table.
    """

    benchmark: str
    settings: dict[str, Any]
    figures: tuple[Figure, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return one document, with the machine that it was measured on."""
        return {
            "schema": SCHEMA,
            "benchmark": self.benchmark,
            "machine": {
                "python": platform.python_version(),
                "trio": version("trio"),
                "system": platform.platform(),
                "cores": os.cpu_count(),
                "load": os.getloadavg()[0],
            },
            "settings": self.settings,
            "figures": [figure.to_dict() for figure in self.figures],
        }


def print_report(report: Report, *, as_json: bool) -> None:
    """Print a report on stdout."""
    if as_json:
        json.dump(report.to_dict(), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    table = Table("figure", title=f"{report.benchmark}: medians of {report.settings['repeats']}")
    for column in ("median", "floor", "ratio", "target", ""):
        table.add_column(column, justify="right")
    for row in _rows(report.figures):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _rows(figures: Iterable[Figure]) -> Iterable[tuple[str, ...]]:
    verdicts = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}
    for figure in figures:
        name = f"{figure.name} [dim]/ {figure.floor}[/]" if figure.floor else figure.name
        floor = figure.floor_median
        compared = figure.compared
        by = figure.unit if figure.difference else "x"
        target_unit = figure.unit if compared is None else by
        yield (
            name,
            f"{_number(figure.median)} {figure.unit}",
            "" if floor is None else f"{_number(floor)} {figure.unit}",
            "" if compared is None else f"{'+' * figure.difference}{_number(compared)} {by}",
            ""
            if figure.target is None
            else f"{'>=' if figure.at_least else '<='} {_number(figure.target)} {target_unit}",
            verdicts[figure.met],
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
