"""`supervise`: a tree as a task in somebody's nursery."""

import pytest
import trio
from actors import Boom, Crash, Finish, Journal, Ping, Plan, worker, workers
from trio.testing import MockClock

from codex_actors import (
    ChildStarted,
    ChildStartError,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    ExitKind,
    RestartIntensityExceeded,
    Supervisor,
    SupervisorSpec,
    supervise,
)
from codex_actors.testing import EventLog


async def test_start_returns_the_handle(autojump_clock: MockClock, event_log: EventLog) -> None:
    """`nursery.start(supervise, spec)` returns the handle of a tree that has started."""
    # S1
    journal = Journal()

    async with trio.open_nursery() as nursery:

        async def run(task_status: "trio.TaskStatus[Supervisor | DynamicSupervisor]") -> None:
            tree = SupervisorSpec(workers(journal, "a b"))
            await supervise(tree, name="trunk", on_event=[event_log], task_status=task_status)
            journal.write("ended")

        supervisor: Supervisor = await nursery.start(run)
        assert isinstance(supervisor, Supervisor)
        assert journal.take() == "+a +b"
        assert await supervisor["b"].call(Ping()) == 1
        await supervisor.stop()

    assert journal.take() == "-b -a ended"
    assert [event.path for event in event_log.of(ChildStarted)] == ["a", "b"]
    assert "trunk" in repr(supervisor)


async def test_of_a_dynamic_spec(autojump_clock: MockClock) -> None:
    """The spec of a dynamic supervisor gives a dynamic supervisor."""
    async with trio.open_nursery() as nursery:
        supervisor: object = await nursery.start(supervise, DynamicSupervisorSpec())
        assert isinstance(supervisor, DynamicSupervisor)
        await supervisor.stop()


async def test_failed_start(autojump_clock: MockClock) -> None:
    """A failed start is raised by `nursery.start`, and the nursery lives on."""
    journal = Journal()
    tree = SupervisorSpec([*workers(journal, "a"), worker(journal, "b", Plan(broken=True))])

    async with trio.open_nursery() as nursery:
        with pytest.raises(ChildStartError) as raised:
            await nursery.start(supervise, tree)
        assert isinstance(raised.value.__cause__, Boom)

    assert journal.take() == "+a +b✗ -a"


async def test_cancelled_nursery(autojump_clock: MockClock) -> None:
    """Cancelling the nursery stops the tree in reverse order, cleanup awaited."""
    # X1
    journal = Journal()
    children = [worker(journal, name, Plan(stop_seconds=n)) for n, name in enumerate("abc", 1)]

    async with trio.open_nursery() as nursery:
        await nursery.start(supervise, SupervisorSpec(children))
        journal.take()
        nursery.cancel_scope.cancel()

    assert journal.take() == "-c -b -a"


async def test_giving_up(autojump_clock: MockClock) -> None:
    """A tree that gives up raises in its nursery, after its children have stopped."""
    journal = Journal()

    async def body() -> None:
        async with trio.open_nursery() as nursery:
            tree = SupervisorSpec(workers(journal, "a b"), max_restarts=0)
            supervisor: Supervisor = await nursery.start(supervise, tree)
            await supervisor["a"].cast(Crash())

    with pytest.raises(ExceptionGroup) as raised:
        await body()

    [error] = raised.value.exceptions
    assert isinstance(error, RestartIntensityExceeded)
    assert journal.take() == "+a +b -a! -b"


async def test_quiet_end(autojump_clock: MockClock) -> None:
    """After auto_shutdown it returns, and the nursery ends."""
    # A2
    journal = Journal()
    child = worker(journal, "a", restart="transient", significant=True)
    tree = SupervisorSpec([child], auto_shutdown="any_significant")

    async with trio.open_nursery() as nursery:
        supervisor: Supervisor = await nursery.start(supervise, tree)
        await supervisor["a"].cast(Finish())

    assert (await supervisor.wait_stopped()).kind is ExitKind.SHUTDOWN
    assert journal.take() == "+a -a"


async def test_without_a_nursery_start(autojump_clock: MockClock) -> None:
    """Awaited directly, it lasts as long as the tree."""
    journal = Journal()

    with trio.move_on_after(5) as limit:
        await supervise(SupervisorSpec(workers(journal, "a")))

    assert limit.cancelled_caught
    assert journal.take() == "+a -a"
