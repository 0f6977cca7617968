"""A group restart that waits for a failing child, and what may happen to the group meanwhile."""

import pytest
import trio
from actors import Crash, Journal, Note, Ping, Plan, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import ActorStopped, Backoff, Strategy, Supervisor, SupervisorSpec
from codex_actors.testing import TreeOpener, assert_tree

_PAUSE = 40_000
_GROUPS = pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])


async def _waiting(open_tree: TreeOpener, journal: Journal, strategy: Strategy) -> Supervisor:
    """A tree of a, b, c, whose group restart waits for b's next attempt."""
    patient = Backoff(base=_PAUSE, factor=1, max=_PAUSE)
    a, c = workers(journal, "a c")
    b = worker(journal, "b", Plan(failing={2}), backoff=patient)
    supervisor = await open_tree(SupervisorSpec([a, b, c], strategy=strategy))
    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()
    assert_tree(supervisor, {"a": "running", "b": "backoff", "c": "terminated"})
    assert journal.take() == "+a +b +c -a! -c -b +a +b✗"
    return supervisor


@_GROUPS
async def test_the_next_attempt_starts_those_behind(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Messages to one that waits behind a failing sibling are handled when its turn comes."""
    # B7 G4
    journal = Journal()
    supervisor = await _waiting(open_tree, journal, strategy)

    await supervisor["c"].cast(Note("kept"))
    assert await supervisor["c"].call(Ping(), timeout=_PAUSE + 1) == 2

    started = "-a +a +b +c kept" if strategy is Strategy.ONE_FOR_ALL else "+b +c kept"
    assert journal.take() == started


@_GROUPS
async def test_another_death_before_it_takes_over(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A group restart that includes the waiting child starts it now, and once only."""
    # G12 B7
    journal = Journal()
    supervisor = await _waiting(open_tree, journal, strategy)

    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()
    at_once = journal.take()
    await trio.sleep(2 * _PAUSE)

    assert at_once == "-a! +a +b +c"
    assert journal.take() == ""


@_GROUPS
async def test_terminating_one_behind_does_not_exempt_it(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """terminate_child of one that waits says ok; the group restart revives it like any spec."""
    journal = Journal()
    supervisor = await _waiting(open_tree, journal, strategy)

    await supervisor.terminate_child("c")
    await trio.sleep(_PAUSE + 1)

    assert_tree(supervisor, {"a": "running", "b": "running", "c": "running"})


@_GROUPS
async def test_deleting_one_behind(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """One that was deleted while it waited is not started, and its messages fail."""
    journal = Journal()
    supervisor = await _waiting(open_tree, journal, strategy)
    ref = supervisor["c"]

    await supervisor.delete_child("c")
    with pytest.raises(ActorStopped):
        await ref.call(Ping())
    await trio.sleep(_PAUSE + 1)

    assert_tree(supervisor, {"a": "running", "b": "running"})


@_GROUPS
async def test_starting_one_behind_by_hand(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """restart_child of one that waits starts it; the next attempt restarts it in order."""
    journal = Journal()
    supervisor = await _waiting(open_tree, journal, strategy)

    ref = await supervisor.restart_child("c")
    assert await ref.call(Ping()) == 2
    await trio.sleep(_PAUSE + 1)

    rest = "-c -a +a +b +c" if strategy is Strategy.ONE_FOR_ALL else "-c +b +c"
    assert journal.take() == f"+c {rest}"


@_GROUPS
async def test_shutdown_while_it_waits(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """The supervisor stops at once, and calls that wait for one behind fail."""
    # G11
    journal = Journal()
    supervisor = await _waiting(open_tree, journal, strategy)
    began, ends = trio.current_time(), list[str]()

    async def call() -> None:
        try:
            await supervisor["c"].call(Ping(), timeout=1e9)
        except ActorStopped:
            ends.append("stopped")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        await supervisor.stop()

    assert (ends, trio.current_time()) == (["stopped"], began)
    assert journal.take() == "-a"
