"""The decisions about restart types and strategies, as tables without tasks."""

import pytest

from codex_actors import AutoShutdown, ExitKind, Restart, Strategy
from codex_actors._core.strategy import AfterExit, after_exit, ends_supervisor, restart_group

_CALM = (ExitKind.NORMAL, ExitKind.SHUTDOWN)
_ABNORMAL = (ExitKind.KILLED, ExitKind.CRASH)


@pytest.mark.parametrize(
    ("restart", "kinds", "verdict"),
    [
        (Restart.PERMANENT, _CALM + _ABNORMAL, AfterExit.RESTART),  # R1
        (Restart.TRANSIENT, _CALM, AfterExit.KEEP_SPEC),  # R2
        (Restart.TRANSIENT, _ABNORMAL, AfterExit.RESTART),  # R2
        (Restart.TEMPORARY, _CALM + _ABNORMAL, AfterExit.FORGET),  # R3
    ],
)
def test_after_exit(restart: Restart, kinds: tuple[ExitKind, ...], verdict: AfterExit) -> None:
    """What the restart type says about each way to end."""
    verdicts = {after_exit(restart, kind) for kind in kinds}

    assert verdicts == {verdict}


def test_after_exit_is_complete() -> None:
    """Every restart type has an answer for every way to end."""
    answers = [after_exit(restart, kind) for restart in Restart for kind in ExitKind]

    assert len(answers) == 12


@pytest.mark.parametrize(
    ("strategy", "failed", "group"),
    [
        (Strategy.ONE_FOR_ONE, "b", "b"),  # G1
        (Strategy.REST_FOR_ONE, "a", "abcd"),
        (Strategy.REST_FOR_ONE, "b", "bcd"),  # G2
        (Strategy.REST_FOR_ONE, "d", "d"),
        (Strategy.ONE_FOR_ALL, "a", "abcd"),
        (Strategy.ONE_FOR_ALL, "b", "abcd"),  # G3
        (Strategy.ONE_FOR_ALL, "d", "abcd"),
    ],
)
def test_restart_group(strategy: Strategy, failed: str, group: str) -> None:
    """Who shares a child's fate, in start order."""
    order = tuple("abcd")

    names = restart_group(strategy, order, failed)

    assert names == tuple(group)


def test_restart_group_follows_the_start_order() -> None:
    """The order is the one of the list, not of the names."""
    order = ("z", "m", "a")

    names = restart_group(Strategy.REST_FOR_ONE, order, "m")

    assert names == ("m", "a")


@pytest.mark.parametrize(
    ("auto", "significant", "others_alive", "ends"),
    [
        (AutoShutdown.NEVER, True, False, False),
        (AutoShutdown.NEVER, False, False, False),
        (AutoShutdown.ANY_SIGNIFICANT, True, True, True),  # A2
        (AutoShutdown.ANY_SIGNIFICANT, True, False, True),  # A2
        (AutoShutdown.ANY_SIGNIFICANT, False, False, False),
        (AutoShutdown.ALL_SIGNIFICANT, True, True, False),
        (AutoShutdown.ALL_SIGNIFICANT, True, False, True),
        (AutoShutdown.ALL_SIGNIFICANT, False, False, False),
    ],
)
def test_ends_supervisor(
    auto: AutoShutdown, significant: bool, others_alive: bool, ends: bool
) -> None:
    """When the end of a child for good is the supervisor's own."""
    verdict = ends_supervisor(auto, significant=significant, others_alive=others_alive)

    assert verdict is ends
