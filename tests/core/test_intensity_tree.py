"""Restart intensity in a running tree: what is charged, and when a supervisor gives up."""

import math

import pytest
import trio
from actors import Boom, Crash, Finish, Journal, Plan, worker, workers
from giving_up import give_up
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ChildState,
    RestartIntensityExceeded,
    RestartIntensityReached,
    Strategy,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors._core.endings import members
from codex_actors.testing import EventLog, TreeOpener


async def _crash(supervisor: Supervisor, *names: str) -> None:
    for name in names:
        supervisor[name].cast_nowait(Crash())
        await wait_all_tasks_blocked()


async def test_gives_up_at_the_fourth(autojump_clock: MockClock) -> None:
    """Three restarts in the window are tolerated, the fourth crash ends the supervisor."""
    # I1
    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a b"), max_restarts=3, max_seconds=5)

    alive: list[str] = []

    async def act(supervisor: Supervisor) -> None:
        await _crash(supervisor, "a", "a", "a")
        alive.append(journal.take())
        await _crash(supervisor, "a")
        pytest.fail("the block goes on")

    error = await give_up(spec, act)

    assert alive == ["+a +b -a! +a -a! +a -a! +a"]
    assert journal.take() == "-a! -b"
    assert len(error.crashes) == 4


async def test_slow_crashes_are_tolerated_forever(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Crashes further apart than the window never add up."""
    # I2
    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a"), max_restarts=1, max_seconds=1)
    supervisor = await open_tree(spec)

    for _ in range(50):
        await _crash(supervisor, "a")
        await trio.sleep(2.1)

    assert journal.entries.count("+a") == 51


async def test_one_counter_for_all_children(autojump_clock: MockClock) -> None:
    """Crashes of different children add up."""
    # I3
    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a b c"), max_restarts=2)

    await give_up(spec, lambda supervisor: _crash(supervisor, "a", "b", "c"))

    assert journal.take() == "+a +b +c -a! +a -b! +b -c! -b -a"


@pytest.mark.parametrize(("pause", "survives"), [(5.0, False), (5.5, True)])
async def test_window_edge_is_inclusive(
    pause: float, survives: bool, mock_clock: MockClock
) -> None:
    """A restart exactly `max_seconds` old still counts, an older one does not."""
    # I4
    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a"), max_restarts=1, max_seconds=5)
    ends: list[str] = []

    try:
        async with open_supervisor(spec) as supervisor:
            await _crash(supervisor, "a")
            mock_clock.jump(pause)
            await _crash(supervisor, "a")
            ends.append("alive")
    except RestartIntensityExceeded:
        ends.append("gave up")

    assert ends == (["alive"] if survives else ["gave up"])


async def test_normal_exit_of_a_permanent_child_counts(autojump_clock: MockClock) -> None:
    """A permanent child that ends normally costs as much as a crash, without an error."""
    # R1 I5
    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a"), max_restarts=1)

    async def act(supervisor: Supervisor) -> None:
        for _ in range(2):
            supervisor["a"].cast_nowait(Finish())
            await wait_all_tasks_blocked()

    error = await give_up(spec, act)

    assert journal.take() == "+a -a +a -a"
    assert error.crashes == ()
    assert error.__cause__ is None


async def test_manual_operations_are_never_charged(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """terminate_child and restart_child cost nothing, however often."""
    # S14
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a"), max_restarts=0))

    for _ in range(5):
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")

    assert supervisor.snapshot().restarts_in_window == 0
    assert supervisor.which_children()[0].state is ChildState.RUNNING


async def test_giving_up_stops_the_others_in_reverse(
    event_log: EventLog, autojump_clock: MockClock
) -> None:
    """The crashed child is not restarted, the others stop in reverse start order."""
    # I5
    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a b c"), max_restarts=0)

    await give_up(spec, lambda supervisor: _crash(supervisor, "b"), on_event=[event_log])

    assert journal.take() == "+a +b +c -b! -c -a"
    reached = event_log.of(RestartIntensityReached)
    assert [(event.path, event.max_restarts) for event in reached] == [("", 0)]


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_failing_starts_are_charged_each(limit: int, autojump_clock: MockClock) -> None:
    """A child that crashes once and then always fails to start gets `max_restarts` attempts."""
    # I8
    journal, plan = Journal(), Plan()
    spec = SupervisorSpec([worker(journal, "a", plan)], max_restarts=limit)

    async def act(supervisor: Supervisor) -> None:
        plan.broken = True
        await _crash(supervisor, "a")

    error = await give_up(spec, act)

    assert journal.entries == ["+a", "-a!", *["+a✗"] * limit]
    assert len(error.crashes) == limit + 1


async def test_the_error_holds_the_crashes_in_the_window(mock_clock: MockClock) -> None:
    """`crashes` are the errors inside the window, in order, failed starts included."""
    # I8
    journal = Journal()
    start_error = Boom("start")
    plan = Plan(failing={3, 4}, error=lambda: start_error)
    spec = SupervisorSpec([worker(journal, "a", plan)], max_restarts=2, max_seconds=5)
    old, new = Boom("old"), Boom("new")

    async def act(supervisor: Supervisor) -> None:
        supervisor["a"].cast_nowait(Crash(old))
        await wait_all_tasks_blocked()
        mock_clock.jump(6)
        supervisor["a"].cast_nowait(Crash(new))
        await wait_all_tasks_blocked()

    error = await give_up(spec, act)

    assert "'a'" in str(error)
    assert error.crashes == (new, start_error, start_error)
    assert type(error.__cause__).__name__ == "ExceptionGroup"
    assert members(error.__cause__ or error) == error.crashes


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_group_restart_costs_one(
    strategy: str, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """However many children restart together, the window is charged once."""
    # I11
    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a b c d"), strategy=Strategy(strategy), max_restarts=1)
    supervisor = await open_tree(spec)

    await _crash(supervisor, "a")

    assert journal.entries.count("+d") == 2
    assert supervisor.snapshot().restarts_in_window == 1


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_two_deaths_before_the_supervisor_reacts(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A group restart absorbs the second death; one_for_one charges both."""
    # I11 G12
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a b c"), strategy=strategy))
    journal.take()

    supervisor["b"].cast_nowait(Crash())
    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    marks = journal.take().split()
    assert set(marks[:2]) == {"-b!", "-a!"}
    charged = supervisor.snapshot().restarts_in_window
    rest = " ".join(marks[2:])
    match strategy:
        case Strategy.ONE_FOR_ONE:
            assert (charged, sorted(marks[2:])) == (2, ["+a", "+b"])
        case Strategy.ONE_FOR_ALL:
            assert (charged, rest) == (1, "-c +a +b +c")
        case Strategy.REST_FOR_ONE if marks[0] == "-a!":  # it absorbs those behind it
            assert (charged, rest) == (1, "-c +a +b +c")
        case Strategy.REST_FOR_ONE:
            assert (charged, rest) == (2, "-c +b +c -c -b +a +b +c")


async def test_an_endless_window_never_forgets(autojump_clock: MockClock) -> None:
    """With `max_seconds` infinite every restart counts for ever."""
    # I4
    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a"), max_restarts=1, max_seconds=math.inf)

    async def act(supervisor: Supervisor) -> None:
        await _crash(supervisor, "a")
        await trio.sleep(80_000)
        await _crash(supervisor, "a")

    await give_up(spec, act)

    assert journal.take() == "+a -a! +a -a!"
