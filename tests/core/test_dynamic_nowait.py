"""Children of a dynamic supervisor whose start nobody waits for."""

import pytest
import trio
from actors import Boom, Crash, Journal, Ping, Plan, worker
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorStopped,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildCounts,
    ChildShutdownError,
    ChildSpec,
    ChildStartFailed,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    MaxChildrenReached,
    SpecError,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener

EMPTY = ChildCounts(0, 0, 0, 0)


async def open_dynamic(open_tree: TreeOpener, **settings: int) -> DynamicSupervisor:
    """Open a dynamic supervisor."""
    supervisor = await open_tree(DynamicSupervisorSpec(**settings))
    assert isinstance(supervisor, DynamicSupervisor)
    return supervisor


async def test_the_child_starts_by_itself(open_tree: TreeOpener) -> None:
    """Its ref is there at once, and what is sent to it waits for the start."""
    journal = Journal()
    supervisor = await open_dynamic(open_tree)

    ref = supervisor.start_child_nowait(worker(journal, "a"))
    counted = supervisor.count_children()

    assert supervisor["a"] is ref
    assert counted.specs == 1
    assert await ref.call(Ping()) == 1
    assert journal.take() == "+a"


async def test_an_id_may_be_left_out(open_tree: TreeOpener) -> None:
    """Each gets a name of its own."""
    journal = Journal()
    supervisor = await open_dynamic(open_tree)
    spec = ChildSpec(None, worker(journal, "a").start, args=worker(journal, "a").args)

    refs = [supervisor.start_child_nowait(spec) for _ in range(3)]

    assert len({ref.path for ref in refs}) == 3
    for ref in refs:
        await ref.call(Ping())


@pytest.mark.parametrize("ignoring", [True, False])
async def test_a_start_that_fails_is_told_by_the_ref(open_tree: TreeOpener, ignoring: bool) -> None:
    """Nothing of it is kept, and the supervisor lives."""
    journal = Journal()
    supervisor = await open_dynamic(open_tree, max_restarts=0)

    plan = Plan(ignoring={1}) if ignoring else Plan(broken=True)
    ref = supervisor.start_child_nowait(worker(journal, "a", plan))
    with trio.fail_after(1):
        await ref.wait_stopped()

    assert supervisor.count_children() == EMPTY
    with pytest.raises(ActorStopped):
        await ref.call(Ping())
    await supervisor.start_child(worker(journal, "a"))


async def test_a_call_that_waits_for_a_start_that_fails(open_tree: TreeOpener) -> None:
    """It fails, too, and does not wait for ever."""
    supervisor = await open_dynamic(open_tree)

    ref = supervisor.start_child_nowait(worker(Journal(), "a", Plan(broken=True)))

    with pytest.raises(ActorStopped):
        await ref.call(Ping())


async def test_a_start_that_fails_is_an_event() -> None:
    """With its error."""
    log = EventLog()
    async with open_supervisor(DynamicSupervisorSpec(), on_event=[log]) as supervisor:
        assert isinstance(supervisor, DynamicSupervisor)
        await supervisor.start_child_nowait(
            worker(Journal(), "a", Plan(broken=True))
        ).wait_stopped()

    (failed,) = log.of(ChildStartFailed)
    assert isinstance(failed.reason.error, Boom)


async def test_a_child_that_ends_is_forgotten(open_tree: TreeOpener) -> None:
    """As one that was waited for; a crash is restarted."""
    journal = Journal()
    supervisor = await open_dynamic(open_tree)
    permanent = supervisor.start_child_nowait(worker(journal, "a"))
    temporary = supervisor.start_child_nowait(worker(journal, "b", restart="temporary"))

    for ref in (permanent, temporary):
        await ref.call(Ping())
        ref.cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert await permanent.call(Ping()) == 2
    with pytest.raises(ActorStopped):
        await temporary.call(Ping())
    assert [child.id for child in supervisor.which_children()] == ["a"]


async def test_what_is_refused(open_tree: TreeOpener) -> None:
    """As `start_child` refuses it, at once."""
    journal = Journal()
    supervisor = await open_dynamic(open_tree, max_children=1)
    ref = supervisor.start_child_nowait(worker(journal, "a"))
    await ref.call(Ping())

    with pytest.raises(MaxChildrenReached):
        supervisor.start_child_nowait(worker(journal, "b"))
    with pytest.raises(SpecError):
        supervisor.start_child_nowait(worker(journal, "b", significant=True, restart="temporary"))


async def test_an_id_that_is_taken_is_refused(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """By one that runs, with its ref; by one that is not yet gone."""
    journal = Journal()
    supervisor = await open_dynamic(open_tree)
    ref = supervisor.start_child_nowait(worker(journal, "a", Plan(stop_seconds=2.0)))
    await ref.call(Ping())

    with pytest.raises(ChildAlreadyStarted) as raised:
        supervisor.start_child_nowait(worker(journal, "a"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.terminate_child, ref)
        await wait_all_tasks_blocked()
        with pytest.raises(ChildAlreadyPresent):
            supervisor.start_child_nowait(worker(journal, "a"))

    assert raised.value.ref is ref


async def test_a_child_that_is_killed_before_it_ran(open_tree: TreeOpener) -> None:
    """It is gone, and forgotten."""
    journal = Journal()
    supervisor = await open_dynamic(open_tree)

    ref = supervisor.start_child_nowait(worker(journal, "a", restart="temporary"))
    ref.kill()
    await ref.wait_stopped()

    assert supervisor.count_children() == EMPTY
    with pytest.raises(ActorStopped):
        await ref.call(Ping())


async def test_a_start_that_hangs_is_cancelled_by_the_end_of_the_tree(
    autojump_clock: MockClock,
) -> None:
    """As every other child."""
    journal, log = Journal(), EventLog()
    async with open_supervisor(DynamicSupervisorSpec(), on_event=[log]) as supervisor:
        assert isinstance(supervisor, DynamicSupervisor)
        ref = supervisor.start_child_nowait(worker(journal, "a", Plan(start_seconds=60.0)))
        await wait_all_tasks_blocked()

    assert trio.current_time() < 1
    assert log.of(ChildShutdownError) == []
    with pytest.raises(ActorStopped):
        await ref.call(Ping())


async def test_a_start_that_hangs_is_terminated(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """By the ref."""
    supervisor = await open_dynamic(open_tree)
    ref = supervisor.start_child_nowait(worker(Journal(), "a", Plan(start_seconds=60.0)))
    await wait_all_tasks_blocked()

    await supervisor.terminate_child(ref)

    assert supervisor.count_children() == EMPTY


async def test_a_supervisor_that_does_not_run_refuses() -> None:
    """At once: nothing would ever start the child."""
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        assert isinstance(supervisor, DynamicSupervisor)

    with pytest.raises(ActorStopped):
        supervisor.start_child_nowait(worker(Journal(), "a"))
