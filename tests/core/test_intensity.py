"""The restart window's arithmetic, as a table: pure, time is an argument."""

import math

import pytest

from codex_actors._core.intensity import RestartWindow


@pytest.mark.parametrize(
    ("max_restarts", "max_seconds", "times", "answers"),
    [
        # I1: the fourth within the window is one too many
        (3, 5.0, (0, 1, 2, 3), (True, True, True, False)),
        # I2: one every 2.1 s never exceeds one in 1 s
        (1, 1.0, (0.0, 2.1, 4.2, 6.3), (True, True, True, True)),
        # I4: exactly `max_seconds` old still counts
        (1, 5.0, (0, 5), (True, False)),
        (1, 5.0, (0, math.nextafter(5, math.inf)), (True, True)),
        # I4: the sum includes the current one, and stops only when greater
        (0, 5.0, (0,), (False,)),
        (1, 5.0, (0, 0), (True, False)),
        (2, 10.0, (0, 4, 10), (True, True, False)),
        (2, 10.0, (0, 4, 10.5), (True, True, True)),
        (1, math.inf, (0, 1e9), (True, False)),
    ],
)
def test_charge(
    max_restarts: int,
    max_seconds: float,
    times: tuple[float, ...],
    answers: tuple[bool, ...],
) -> None:
    """The supervisor gives up exactly when more than `max_restarts` count."""
    window = RestartWindow(max_restarts, max_seconds)

    given = tuple(window.charge(time, None) for time in times)

    assert given == answers


def test_refused_attempts_count_too() -> None:
    """An attempt is appended before it is judged, as in OTP's `add_restart`."""
    window = RestartWindow(1, 5)

    answers = [window.charge(now, None) for now in (0, 1, 2)]

    assert answers == [True, False, False]
    assert len(window) == 3


def test_prune_forgets_what_lies_before_the_window() -> None:
    """Pruning drops entries and their errors, the edge excluded."""
    window = RestartWindow(9, 5)
    first, second = ValueError("first"), ValueError("second")
    window.charge(0, first)
    window.charge(1, None)
    window.charge(2, second)

    window.prune(5)
    at_the_edge = window.crashes()
    window.prune(5.5)

    assert at_the_edge == (first, second)
    assert window.crashes() == (second,)
    assert len(window) == 2


def test_crashes_keep_their_order() -> None:
    """The errors come in the order of the attempts; normal exits leave none."""
    window = RestartWindow(9, 5)
    errors = [ValueError(number) for number in range(3)]

    for error in errors:
        window.charge(0, error)
        window.charge(0, None)

    assert window.crashes() == tuple(errors)
    assert len(window) == 6


def test_next_expiry() -> None:
    """The window knows when its oldest entry leaves it."""
    window = RestartWindow(9, 5)
    empty = window.next_expiry()

    window.charge(3, None)
    window.charge(4, None)

    assert empty is None
    assert window.next_expiry() == 8
    assert RestartWindow(1, math.inf).next_expiry() is None
