"""Strategies: which siblings stop and start when one child has ended."""

import pytest
import trio
from actors import Crash, Finish, Journal, Ping, Plan, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import ChildSpec, ChildState, Strategy, SupervisorSpec
from codex_actors.testing import TreeOpener, assert_tree

_GROUPS = [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE]


async def test_one_for_one_leaves_siblings_alone(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Only the crashed child gets a new incarnation."""
    # G1
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a b c")))
    journal.take()

    supervisor["b"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == "-b! +b"
    assert [await supervisor[name].call(Ping()) for name in "abc"] == [1, 2, 1]


@pytest.mark.parametrize(
    ("strategy", "log"),
    [
        ("rest_for_one", "-b! -d -c +b +c +d"),  # G2
        ("one_for_all", "-b! -d -c -a +a +b +c +d"),  # G3
    ],
)
async def test_groups_stop_in_reverse_and_start_in_order(
    strategy: str, log: str, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """The group stops in reverse order, one at a time, then starts in order."""
    journal = Journal()
    children = [
        worker(journal, name, Plan(start_seconds=seconds, stop_seconds=4 - seconds))
        for name, seconds in zip("abcd", (4, 3, 2, 1), strict=True)
    ]
    supervisor = await open_tree(SupervisorSpec(children, strategy=Strategy(strategy)))
    journal.take()

    supervisor["b"].cast_nowait(Crash())
    await supervisor["d"].call(Ping(), timeout=60)

    assert await supervisor["b"].call(Ping(), timeout=60) == 2
    assert await supervisor["d"].call(Ping(), timeout=60) == 2
    assert journal.take() == log


@pytest.mark.parametrize(
    ("strategy", "log"),
    [
        ("rest_for_one", "-b! -d -c +b +c✗ +c +d"),  # G4
        ("one_for_all", "-b! -d -c -a +a +b +c✗ -b -a +a +b +c +d"),
    ],
)
async def test_where_a_failed_group_restart_resumes(
    strategy: str, log: str, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """rest_for_one goes on with the child that failed, one_for_all starts all over."""
    journal, plan = Journal(), Plan(failing={2})
    a, b, d = workers(journal, "a b d")
    spec = SupervisorSpec([a, b, worker(journal, "c", plan), d], strategy=Strategy(strategy))
    supervisor = await open_tree(spec)
    journal.take()

    supervisor["b"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == log
    assert supervisor.snapshot().restarts_in_window == 2


async def test_one_for_all_revives_every_retained_spec(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Finished transient and manually terminated children are started again too."""
    journal = Journal()
    children = [
        worker(journal, "a"),
        worker(journal, "finished", restart="transient"),
        worker(journal, "terminated"),
        worker(journal, "temporary", restart="temporary"),
    ]
    supervisor = await open_tree(SupervisorSpec(children, strategy=Strategy.ONE_FOR_ALL))
    supervisor["finished"].cast_nowait(Finish())
    await supervisor.terminate_child("terminated")
    await wait_all_tasks_blocked()
    journal.take()

    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == "-a! -temporary +a +finished +terminated"
    assert_tree(supervisor, {"a": "running", "finished": "running", "terminated": "running"})


@pytest.mark.parametrize("strategy", _GROUPS)
async def test_temporary_siblings_are_stopped_and_forgotten(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A temporary sibling in the group is stopped, not restarted, and its spec is gone."""
    # G7
    journal = Journal()
    spec = SupervisorSpec(
        [worker(journal, "a"), worker(journal, "t", restart="temporary"), worker(journal, "b")],
        strategy=strategy,
    )
    supervisor = await open_tree(spec)
    journal.take()

    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == "-a! -b -t +a +b"
    assert_tree(supervisor, {"a": "running", "b": "running"})


@pytest.mark.parametrize("strategy", _GROUPS)
@pytest.mark.parametrize(
    ("restart", "end"), [("temporary", Crash()), ("temporary", Finish()), ("transient", Finish())]
)
async def test_ends_without_restart_leave_the_group_alone(
    strategy: Strategy,
    restart: str,
    end: Crash | Finish,
    open_tree: TreeOpener,
    autojump_clock: MockClock,
) -> None:
    """A temporary child's crash, or a transient one's normal exit, touches no sibling."""
    # G8
    journal = Journal()
    spec = SupervisorSpec(
        [worker(journal, "t", restart=restart), *workers(journal, "a b")],
        strategy=strategy,
        max_restarts=0,
    )
    supervisor = await open_tree(spec)

    supervisor["t"].cast_nowait(end)
    await wait_all_tasks_blocked()

    assert [await supervisor[name].call(Ping()) for name in "ab"] == [1, 1]


async def test_restarted_position_is_the_original_one(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A child that was restarted by hand has kept its place in the start order."""
    # S9
    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a b"), strategy=Strategy.REST_FOR_ONE)
    supervisor = await open_tree(spec)
    await supervisor.terminate_child("a")
    await supervisor.restart_child("a")
    journal.take()

    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == "-a! -b +a +b"


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_a_restart_that_ignores_is_no_failure(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """The spec is kept without a process; the rest of the group starts."""
    # G13
    journal = Journal()
    plan = Plan(ignoring={2})
    spec = SupervisorSpec(
        [worker(journal, "a", plan), worker(journal, "b")], strategy=strategy, max_restarts=1
    )
    supervisor = await open_tree(spec)

    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert_tree(supervisor, {"a": "terminated", "b": "running"})
    assert supervisor.snapshot().restarts_in_window == 1


async def test_a_stale_death_is_ignored(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """One that dies while its group is being stopped is not restarted once more."""
    # G12
    journal = Journal()
    spec = SupervisorSpec(
        [*workers(journal, "a b"), worker(journal, "c", Plan(stop_seconds=1))],
        strategy=Strategy.ONE_FOR_ALL,
        max_restarts=1,
    )
    supervisor = await open_tree(spec)
    journal.take()

    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()
    supervisor["b"].cast_nowait(Crash())
    await supervisor["c"].call(Ping())

    assert journal.take() == "-a! -b! -c +a +b +c"
    assert supervisor.snapshot().restarts_in_window == 1


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_no_restart_during_shutdown(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A child that crashes while its supervisor stops stays dead."""
    # G14
    journal = Journal()
    spec = SupervisorSpec(
        [*workers(journal, "a b"), worker(journal, "c", Plan(stop_seconds=1))],
        strategy=strategy,
        max_restarts=0,
    )
    root = await open_tree(SupervisorSpec([ChildSpec("inner", spec)]))
    ref = root.whereis("inner/a")
    assert ref is not None

    async def crash() -> None:
        await wait_all_tasks_blocked()
        ref.cast_nowait(Crash())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(crash)
        await root.terminate_child("inner")

    assert journal.take() == "+a +b +c -a! -c -b"
    assert root.which_children()[0].state is ChildState.TERMINATED
