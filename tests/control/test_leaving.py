"""What a signal or a request to end means: a table."""

import itertools
import signal
from functools import reduce

import pytest

from codex_actors.control.process.leaving import Leaving, Manner

_UP = Leaving().up()


def _step(leaving: Leaving, step: str) -> Leaving:
    match step:
        case "drain":
            return leaving.asked(Manner.DRAIN)
        case "shutdown":
            return leaving.asked(Manner.SHUT_DOWN)
        case "cancel":
            return leaving.asked(Manner.CANCEL)
        case _:
            return leaving.signalled(signal.Signals[f"SIG{step}"])


_STEPS = ("drain", "shutdown", "cancel", "TERM", "INT")


@pytest.mark.parametrize(
    ("steps", "manner", "code"),
    [
        ("", Manner.STAY, 0),
        ("drain", Manner.DRAIN, 0),
        ("shutdown", Manner.SHUT_DOWN, 0),
        ("cancel", Manner.CANCEL, 0),
        ("drain shutdown", Manner.SHUT_DOWN, 0),
        ("shutdown drain", Manner.SHUT_DOWN, 0),
        ("TERM", Manner.DRAIN, 143),
        ("INT", Manner.DRAIN, 130),
        ("TERM TERM", Manner.CANCEL, 143),
        ("TERM INT", Manner.CANCEL, 130),
        ("drain TERM", Manner.DRAIN, 143),
        ("drain TERM TERM", Manner.CANCEL, 143),
        ("shutdown INT", Manner.SHUT_DOWN, 130),
        ("TERM drain", Manner.DRAIN, 143),
    ],
    ids=str,
)
def test_what_is_asked_of_a_tree_that_is_up(steps: str, manner: Manner, code: int) -> None:
    """The harsher wish rules; the second signal cancels; the last one is the exit code."""
    leaving = reduce(_step, steps.split(), _UP)

    assert (leaving.manner, leaving.exit_code) == (manner, code)


@pytest.mark.parametrize("step", _STEPS)
def test_before_the_tree_is_up_every_wish_calls_the_start_off(step: str) -> None:
    """There is nothing to drain."""
    assert _step(Leaving(), step).manner is Manner.CANCEL


def test_it_never_gets_milder() -> None:
    """Whatever comes in whatever order."""
    for steps in itertools.product(_STEPS, repeat=4):
        leaving = _UP
        for step in steps:
            before, leaving = leaving, _step(leaving, step)
            assert leaving.manner >= before.manner
