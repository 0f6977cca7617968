"""What all tests of the framework's core share: each async test runs in two orders.

Trio promises nothing about the order in which runnable tasks are run, and by default
draws it at random.  Here it is fixed per test: once the oldest task first, once the
newest, so that for every two tasks both orders are seen, and a failure can be repeated.
"""

import inspect
import random
from typing import Any

import pytest
import trio._core._run as trio_run  # the scheduler's switches are nowhere else


class _OldestFirst(random.Random):
    """Trio pops from the end of a batch that it has sorted by age and then shuffled."""

    def shuffle(self, x: Any) -> None:
        x.reverse()


class _NewestFirst(random.Random):
    """Leaves the batch as it was sorted."""

    def shuffle(self, x: Any) -> None:
        pass


_ORDERS: dict[str, type[random.Random]] = {
    "oldest task first": _OldestFirst,
    "newest task first": _NewestFirst,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is async in both orders, and what calls `trio.run` and asks for the fixture."""
    function = metafunc.function
    asks = "scheduling_order" in inspect.signature(function).parameters
    if asks or inspect.iscoroutinefunction(function):
        metafunc.parametrize("scheduling_order", tuple(_ORDERS), indirect=True)


@pytest.fixture(autouse=True)
def scheduling_order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fix the order in which Trio runs the tasks of one batch; returns its name.

    Trio itself offers this to Hypothesis: under `_ALLOW_DETERMINISTIC_SCHEDULING` it sorts
    each batch by the age of the tasks before it has `_r` shuffle it.
    """
    order: str = getattr(request, "param", "oldest task first")
    monkeypatch.setattr(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr(trio_run, "_r", _ORDERS[order](0))
    return order
