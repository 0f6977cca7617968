"""Backoff: a growing, jittered, visible pause before restarts."""

import pytest
import trio
from actors import Crash, Journal, Note, Ping, Plan, worker, workers
from attrs import frozen
from giving_up import give_up
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Backoff,
    ChildRestarting,
    ChildRestartingEvent,
    ChildStarted,
    ChildState,
    Strategy,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener, assert_tree

_BACKOFF = Backoff(base=1, factor=2, max=8)
_LONG = Backoff(base=40_000, factor=1, max=40_000)


@pytest.mark.parametrize(
    ("backoff", "ceilings"),
    [
        (_BACKOFF, [1, 2, 4, 8, 8]),  # B6
        (Backoff(), [0.1, 0.2, 0.4, 0.8, 1.6]),
        (Backoff(base=5, factor=1, max=3), [3, 3, 3, 3, 3]),
    ],
)
def test_ceilings(backoff: Backoff, ceilings: list[float]) -> None:
    """The longest pause after n failures is `min(max, base * factor**n)`."""
    given = [backoff.ceiling(failures) for failures in range(5)]

    assert given == pytest.approx(ceilings)


def test_ceiling_never_overflows() -> None:
    """A child may fail a million times."""
    assert _BACKOFF.ceiling(10**6) == 8
    assert Backoff(base=1, factor=0.5, max=8).ceiling(10**6) == 0


async def test_many_tolerated_restarts_cost_nothing_at_the_start(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A `max_restarts` that means "never give up" is no work for who opens the tree."""
    asked: list[int] = []

    @frozen(kw_only=True)
    class Counting(Backoff):
        """Counts how often it is asked."""

        def ceiling(self, failures: int) -> float:
            """See `Backoff.ceiling`."""
            asked.append(failures)
            return super().ceiling(failures)

    journal = Journal()
    spec = SupervisorSpec([worker(journal, "a", backoff=Counting())], max_restarts=10**6)

    await open_tree(spec)

    assert len(asked) < 1000


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_pauses_stay_below_their_bounds(
    strategy: Strategy, open_tree: TreeOpener, event_log: EventLog, autojump_clock: MockClock
) -> None:
    """A child that keeps crashing waits at most 1, 2, 4, 8, 8 s; each attempt is charged."""
    # B6
    journal = Journal()
    spec = SupervisorSpec(
        [worker(journal, "a", backoff=_BACKOFF)],
        strategy=strategy,
        max_restarts=100,
        max_seconds=1000,
    )
    supervisor = await open_tree(spec, on_event=[event_log])

    for _ in range(5):
        supervisor["a"].cast_nowait(Crash())
        await wait_all_tasks_blocked()
        assert supervisor.which_children()[0].state is ChildState.BACKOFF
        began = trio.current_time()
        await supervisor["a"].call(Ping(), timeout=9)
        announced = event_log.of(ChildRestartingEvent)[-1].delay
        assert trio.current_time() - began == pytest.approx(announced)

    delays = [event.delay for event in event_log.of(ChildRestartingEvent)]
    assert all(0 < delay <= bound for delay, bound in zip(delays, (1, 2, 4, 8, 8), strict=True))
    assert supervisor.snapshot().restarts_in_window == 5


async def test_full_jitter(
    open_tree: TreeOpener, event_log: EventLog, autojump_clock: MockClock
) -> None:
    """Pauses are spread over the whole range from 0 to the bound."""
    # B6
    journal = Journal()
    flat = Backoff(base=1, factor=1, max=1)
    spec = SupervisorSpec([worker(journal, "a", backoff=flat)], max_restarts=1000)
    supervisor = await open_tree(spec, on_event=[event_log])

    for _ in range(200):
        supervisor["a"].cast_nowait(Crash())
        await supervisor["a"].call(Ping())

    delays = [event.delay for event in event_log.of(ChildRestartingEvent)]
    assert {int(delay * 4) for delay in delays} >= {0, 1, 2, 3}
    assert max(delays) <= 1


async def test_attempts_count_against_the_intensity(autojump_clock: MockClock) -> None:
    """Backoff slows restarts down, but does not make them free."""
    # B6
    journal, plan = Journal(), Plan()
    flat = Backoff(base=0.1, factor=1, max=0.1)
    spec = SupervisorSpec([worker(journal, "a", plan, backoff=flat)], max_restarts=3)

    async def act(supervisor: Supervisor) -> None:
        plan.broken = True
        supervisor["a"].cast_nowait(Crash())
        await trio.sleep(60)

    await give_up(spec, act)

    assert journal.entries == ["+a", "-a!", "+a✗", "+a✗", "+a✗"]


@pytest.mark.parametrize(("calm", "at_most"), [(59.0, 8.0), (61.0, 1.0)])
async def test_reset_after_a_calm_time(
    calm: float,
    at_most: float,
    open_tree: TreeOpener,
    event_log: EventLog,
    autojump_clock: MockClock,
) -> None:
    """After `reset_after` seconds without a failure the pauses begin again at `base`."""
    journal = Journal()
    spec = SupervisorSpec([worker(journal, "a", backoff=_BACKOFF)], max_restarts=1000)
    supervisor = await open_tree(spec, on_event=[event_log])
    last: list[float] = []

    for _ in range(30):  # random pauses: the longest of many tells where the bound is
        for _ in range(3):
            supervisor["a"].cast_nowait(Crash())
            await supervisor["a"].call(Ping(), timeout=9)
        await trio.sleep(calm)
        event_log.clear()
        supervisor["a"].cast_nowait(Crash())
        await supervisor["a"].call(Ping(), timeout=9)
        last.append(event_log.of(ChildRestartingEvent)[0].delay)
        await trio.sleep(61)

    assert at_most / 2 < max(last) <= at_most


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_terminate_child_ends_the_wait(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """terminate_child answers at once during a backoff wait, and no restart follows."""
    # B7
    journal = Journal()
    spec = SupervisorSpec([worker(journal, "a", backoff=_LONG)], strategy=strategy)
    supervisor = await open_tree(spec)
    supervisor["a"].cast_nowait(Crash())
    await wait_all_tasks_blocked()
    with pytest.raises(ChildRestarting):
        await supervisor.restart_child("a")
    began = trio.current_time()

    await supervisor.terminate_child("a")

    assert trio.current_time() == began
    assert_tree(supervisor, {"a": "terminated"})
    await trio.sleep(2 * _LONG.max)
    assert journal.take() == "+a -a!"


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_shutdown_ends_the_wait(
    strategy: Strategy, event_log: EventLog, autojump_clock: MockClock
) -> None:
    """Leaving the block during a backoff wait takes no time."""
    # B7
    journal = Journal()
    spec = SupervisorSpec(
        [worker(journal, "a", backoff=_LONG), *workers(journal, "b")], strategy=strategy
    )
    async with open_supervisor(spec, on_event=[event_log]) as supervisor:
        supervisor["a"].cast_nowait(Crash())
        await wait_all_tasks_blocked()
        began = trio.current_time()

    assert trio.current_time() == began
    assert journal.take() == "+a +b -a! -b"
    assert len(event_log.of(ChildStarted, "a")) == 1


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_messages_are_kept(
    strategy: Strategy, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """What is sent during the wait is handled by the next incarnation, in order."""
    # B7
    journal = Journal()
    spec = SupervisorSpec([worker(journal, "a", backoff=_BACKOFF)], strategy=strategy)
    supervisor = await open_tree(spec)
    journal.take()
    supervisor["a"].cast_nowait(Crash())
    supervisor["a"].cast_nowait(Note("behind the crash"))
    await wait_all_tasks_blocked()

    await supervisor["a"].cast(Note("during the wait"))
    assert await supervisor["a"].call(Ping()) == 2

    assert journal.entries == ["+a", "-a!", "+a", "behind the crash", "during the wait"]


async def test_one_for_one_siblings_do_not_wait(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A child in backoff holds up neither its siblings nor their restarts."""
    # B7
    journal = Journal()
    spec = SupervisorSpec([worker(journal, "a", backoff=_LONG), worker(journal, "b")])
    supervisor = await open_tree(spec)

    supervisor["a"].cast_nowait(Crash())
    supervisor["b"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert_tree(supervisor, {"a": "backoff", "b": "running"})
    assert await supervisor["b"].call(Ping()) == 2
