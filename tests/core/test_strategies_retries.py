"""Restarts that fail: what can be seen and done between two attempts."""

from collections.abc import Callable

import pytest
import trio
from actors import Boom, Crash, Journal, Note, Ping, Plan, Worker, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorStopped,
    Backoff,
    ChildAlreadyPresent,
    ChildRestarting,
    ChildSpec,
    ChildState,
    Strategy,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener, assert_tree

_FOREVER = 10**9


async def _failing(
    open_tree: TreeOpener, journal: Journal, plan: Plan, strategy: Strategy
) -> Supervisor:
    """A tree of a, b, c in which b fails to start again, over and over."""
    a, c = workers(journal, "a c")
    spec = SupervisorSpec(
        [a, worker(journal, "b", plan), c], strategy=strategy, max_restarts=_FOREVER
    )
    supervisor = await open_tree(spec)
    journal.take()
    plan.broken = True
    supervisor["b"].cast_nowait(Crash())
    await _until(lambda: plan.starts > 5)
    return supervisor


async def _until(condition: Callable[[], bool]) -> None:
    """Let the others run; a tree in a failing loop never blocks, so time cannot pass."""
    for _ in range(1000):
        if condition():
            return
        await trio.lowlevel.checkpoint()
    pytest.fail("it never came about")


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_terminate_child_ends_the_loop(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A child in a failing-restart loop can be terminated, and restarted once it can start."""
    # G10
    journal, plan = Journal(), Plan()
    supervisor = await _failing(open_tree, journal, plan, strategy)

    await supervisor.terminate_child("b")
    starts = plan.starts
    await wait_all_tasks_blocked()

    assert plan.starts == starts
    assert supervisor.which_children()[1].state is ChildState.TERMINATED
    plan.broken = False
    assert await (await supervisor.restart_child("b")).call(Ping()) == starts + 1


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_shutdown_ends_the_loop(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A supervisor whose child cannot start stops at once when told so."""
    # G11
    journal, plan = Journal(), Plan()
    supervisor = await _failing(open_tree, journal, plan, strategy)
    began = trio.current_time()

    await supervisor.stop()

    assert trio.current_time() == began
    starts = plan.starts
    await wait_all_tasks_blocked()
    assert plan.starts == starts


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_administration_between_attempts(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Views and administration are answered while a child fails again and again."""
    # G11 S7
    journal, plan = Journal(), Plan()
    supervisor = await _failing(open_tree, journal, plan, strategy)

    assert supervisor.count_children().specs == 3
    with pytest.raises(ChildRestarting):
        await supervisor.restart_child("b")
    with pytest.raises(ChildRestarting):
        await supervisor.delete_child("b")
    with pytest.raises(ChildAlreadyPresent):
        await supervisor.start_child(worker(journal, "b"))
    late = await supervisor.start_child(worker(journal, "late"))

    assert late.path == "late"
    plan.broken = False
    await wait_all_tasks_blocked()
    assert {info.state for info in supervisor.which_children()} == {ChildState.RUNNING}


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_siblings_behind_a_failing_child_show_as_terminated(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Those behind a failing child show as terminated; terminating it leaves them so."""
    # G10
    journal, plan = Journal(), Plan(failing={2})
    pause = Backoff(base=1e6, factor=1, max=1e6)
    a, c = workers(journal, "a c")
    b = worker(journal, "b", plan, backoff=pause)
    supervisor = await open_tree(SupervisorSpec([a, b, c], strategy=strategy))

    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()
    waiting = [info.state.value for info in supervisor.which_children()]
    await supervisor.terminate_child("b")
    await wait_all_tasks_blocked()

    assert waiting == ["running", "backoff", "terminated"]
    assert_tree(supervisor, {"a": "running", "b": "terminated", "c": "terminated"})
    with pytest.raises(ActorStopped):
        await supervisor["c"].call(Ping())
    await supervisor.restart_child("c")
    assert await supervisor["c"].call(Ping()) == 2


async def test_a_retry_inits_in_state_restarting(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """The first start is `starting`, every later attempt `restarting`."""
    seen: list[str] = []

    class Looker(Worker):
        """Looks at itself while it starts."""

        async def init(self) -> None:
            """Look."""
            await trio.sleep(1)
            snapshot = self.supervisor.snapshot()
            seen.append(snapshot.children[0].state if snapshot.children else "?")
            if self.number == 2:
                raise Boom

    journal, plan = Journal(), Plan()
    spec = SupervisorSpec([ChildSpec("a", Looker, args=(journal, "a", plan))])
    supervisor = await open_tree(spec)

    supervisor["a"].cast_nowait(Crash())
    await supervisor["a"].call(Ping())

    assert seen == ["starting", "restarting", "restarting"]


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_messages_wait_for_the_attempt_that_succeeds(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """What is sent while a child fails to start is handled when it has started."""
    journal, plan = Journal(), Plan()
    supervisor = await _failing(open_tree, journal, plan, strategy)

    await supervisor["b"].cast(Note("to b"))
    await supervisor["c"].cast(Note("to c"))
    plan.broken = False
    await supervisor["c"].call(Ping())
    await supervisor["b"].call(Ping())

    assert {"to b", "to c"} <= set(journal.entries)


async def test_a_slow_retry_can_be_called_off(
    open_tree: TreeOpener, event_log: EventLog, autojump_clock: MockClock
) -> None:
    """terminate_child cancels an attempt whose `init` is under way, and its siblings stay."""
    # G10
    journal, plan = Journal(), Plan()
    a, c = workers(journal, "a c")
    spec = SupervisorSpec([a, worker(journal, "b", plan), c], strategy=Strategy.REST_FOR_ONE)
    supervisor = await open_tree(spec, on_event=[event_log])
    journal.take()
    plan.start_gate = trio.Event()
    supervisor["b"].cast_nowait(Crash())
    await wait_all_tasks_blocked()
    assert_tree(supervisor, {"a": "running", "b": "restarting", "c": "terminated"})

    await supervisor.terminate_child("b")
    await wait_all_tasks_blocked()

    assert journal.take() == "-b! -c +b✗"
    assert_tree(supervisor, {"a": "running", "b": "terminated", "c": "terminated"})


async def test_shutdown_calls_a_slow_retry_off(autojump_clock: MockClock) -> None:
    """Leaving the block does not wait for an attempt that hangs in `init`."""
    # G11
    journal, plan = Journal(), Plan()
    spec = SupervisorSpec([worker(journal, "a"), worker(journal, "b", plan)])

    async with open_supervisor(spec) as supervisor:
        plan.start_gate = trio.Event()
        supervisor["b"].cast_nowait(Crash())
        await wait_all_tasks_blocked()

    assert journal.take() == "+a +b -b! +b✗ -a"
