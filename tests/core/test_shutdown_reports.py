"""Stops that go wrong are reported, and what refuses to stop is waited for."""

import pytest
import trio
from actors import Boom, Crash, Hang, Journal, Plan, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    Cast,
    ChildCleanupFailed,
    ChildExited,
    ChildShutdownError,
    ChildSpec,
    ChildUnresponsive,
    ExitKind,
    ExitReason,
    SupervisorSpec,
    handle_cast,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener, assert_tree


class Stuck(Cast):
    """Wait for the gate behind a shield."""


class Stubborn(Actor):
    """Shields itself in its handler, or in its cleanup, until a gate opens."""

    def __init__(self, gate: trio.Event, *, in_cleanup: bool = False) -> None:
        self.gate = gate
        self.in_cleanup = in_cleanup

    @handle_cast(Stuck)
    async def hold_out(self, message: Stuck) -> None:
        """Let no cancellation through."""
        with trio.CancelScope(shield=True):
            await self.gate.wait()

    async def terminate(self, reason: ExitReason) -> None:
        """Hang as well, if told so."""
        if self.in_cleanup:
            with trio.CancelScope(shield=True):
                await self.gate.wait()


class Late(Actor):
    """Ends in its own way while it is being stopped."""

    def __init__(self, end: str) -> None:
        self.end = end

    @handle_cast(Stuck)
    async def hold_out(self, message: Stuck) -> None:
        """Be asked to stop meanwhile."""
        await trio.sleep(1)
        if self.end == "crash":
            raise Boom
        if self.end == "normal":
            self.stop()


async def test_hanging_handler_is_reported_and_waited_for(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """A child that shields itself past all deadlines is named, with its stack; none is lost."""
    # T12
    journal, gate = Journal(), trio.Event()
    stubborn = ChildSpec("b", Stubborn, args=(gate,), shutdown=2.0, cleanup_timeout=3.0)
    tree = SupervisorSpec([*workers(journal, "a"), stubborn, *workers(journal, "c")])

    async with open_supervisor(tree, on_event=[event_log]) as supervisor:
        await supervisor["b"].cast(Stuck())
        await wait_all_tasks_blocked()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.stop)
            reported = await event_log.wait_for(ChildUnresponsive)
            assert trio.current_time() - began == pytest.approx(2 + 3)
            await trio.sleep(1000)
            assert_tree(supervisor, {"a": "running", "b": "stopping"})
            assert supervisor.count_children().active == 2
            assert event_log.of(ChildExited, "b") == []
            gate.set()

    assert reported.path == "b"
    assert "hold_out" in reported.stack
    assert reported.waited == pytest.approx(3)
    assert len(event_log.of(ChildUnresponsive)) == 1
    assert journal.take() == "+a +c -c -a"
    assert [event.path for event in event_log.of(ChildExited)] == ["c", "b", "a"]


async def test_removing_a_hung_child_wedges_nobody(
    open_tree: TreeOpener, autojump_clock: MockClock, event_log: EventLog
) -> None:
    """terminate_child of a hung child emits the report; the supervisor goes on with others."""
    # T13
    journal, gate = Journal(), trio.Event()
    stubborn = ChildSpec("b", Stubborn, args=(gate,), shutdown=2.0, cleanup_timeout=3.0)
    supervisor = await open_tree(
        SupervisorSpec([*workers(journal, "a"), stubborn]), on_event=[event_log]
    )
    await supervisor["b"].cast(Stuck())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.terminate_child, "b")
        await event_log.wait_for(ChildUnresponsive, "b")
        await supervisor["a"].cast(Crash())
        await wait_all_tasks_blocked()
        assert_tree(supervisor, {"a": "running", "b": "stopping"})
        await supervisor.terminate_child("a")
        await supervisor.start_child(worker(journal, "c"))
        gate.set()

    assert_tree(supervisor, {"a": "terminated", "b": "terminated", "c": "running"})


async def test_hanging_cleanup_is_reported_and_waited_for(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """A `terminate` that shields itself past `cleanup_timeout` is reported, and waited for."""
    # T12
    gate = trio.Event()
    child = ChildSpec("a", Stubborn, args=(gate,), kwargs={"in_cleanup": True}, cleanup_timeout=3.0)

    async with open_supervisor(SupervisorSpec([child]), on_event=[event_log]) as supervisor:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.terminate_child, "a")
            reported = await event_log.wait_for(ChildUnresponsive)
            assert trio.current_time() - began == pytest.approx(3, abs=0.1)
            assert event_log.of(ChildExited) == []
            gate.set()

    assert reported.path == "a"
    assert "terminate" in reported.stack
    assert [event.path for event in event_log.of(ChildExited)] == ["a"]


async def test_cleanup_is_bounded(autojump_clock: MockClock, event_log: EventLog) -> None:
    """A cleanup that sleeps 9 s within a deadline of 50 ms ends after 50 ms, unreported."""
    # X3
    journal = Journal()
    slow = worker(journal, "b", Plan(stop_seconds=9), cleanup_timeout=0.05)

    async with open_supervisor(
        SupervisorSpec([*workers(journal, "a"), slow]), on_event=[event_log]
    ):
        began = trio.current_time()

    assert trio.current_time() - began == pytest.approx(0.05)
    assert journal.take() == "+a +b -a"
    [failed] = event_log.of(ChildCleanupFailed)
    assert isinstance(failed.error, trio.TooSlowError)
    assert event_log.of(ChildUnresponsive) == []


async def test_cleanup_of_no_time_may_work_without_waiting(autojump_clock: MockClock) -> None:
    """With a `cleanup_timeout` of 0 a `terminate` that does not wait still runs."""
    journal = Journal()

    async with open_supervisor(SupervisorSpec(workers(journal, "a", cleanup_timeout=0))):
        began = trio.current_time()

    assert journal.take() == "+a -a"
    assert trio.current_time() == began


async def test_task_that_outlives_its_shutdown_is_reported(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """The `finally` of an async function has `shutdown` seconds, then it is reported."""
    # T12

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(50)

    child = ChildSpec("a", stubborn, shutdown=4.0)

    async with open_supervisor(SupervisorSpec([child]), on_event=[event_log]) as supervisor:
        await wait_all_tasks_blocked()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.stop)
            reported = await event_log.wait_for(ChildUnresponsive)
            assert trio.current_time() == began + 4

    assert trio.current_time() == began + 50
    assert "stubborn" in reported.stack
    assert [event.path for event in event_log.of(ChildExited)] == ["a"]


async def test_start_that_shields_itself_is_reported(
    open_tree: TreeOpener, autojump_clock: MockClock, event_log: EventLog
) -> None:
    """An `init` that shields itself past `start_timeout` is reported; it may still succeed."""
    # T12

    class Slow(Actor):
        async def init(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(50)

    supervisor = await open_tree(SupervisorSpec([]), on_event=[event_log])
    spec = ChildSpec("a", Slow, start_timeout=2.0, cleanup_timeout=3.0)
    began = trio.current_time()

    await supervisor.start_child(spec)

    assert trio.current_time() == began + 50
    [reported] = event_log.of(ChildUnresponsive)
    assert "init" in reported.stack
    assert_tree(supervisor, {"a": "running"})


@pytest.mark.parametrize(
    ("restart", "end", "is_error"),
    [
        ("permanent", "normal", True),
        ("transient", "normal", False),
        ("temporary", "normal", False),
        ("permanent", "crash", True),
        ("transient", "crash", True),
        ("temporary", "crash", True),
        ("permanent", "as asked", False),
    ],
)
async def test_other_reason_than_asked_is_reported(
    autojump_clock: MockClock,
    event_log: EventLog,
    restart: str,
    end: str,
    is_error: bool,
) -> None:
    """A child that ends its stop otherwise than asked is a shutdown error, never fatal."""
    # T7 G14
    journal = Journal()
    children = [*workers(journal, "a"), ChildSpec("b", Late, args=(end,), restart=restart)]

    async with open_supervisor(SupervisorSpec(children), on_event=[event_log]) as supervisor:
        await supervisor["b"].cast(Stuck())
        await wait_all_tasks_blocked()

    errors = event_log.of(ChildShutdownError)
    assert [event.path for event in errors] == (["b"] if is_error else [])
    assert all(event.asked.kind is ExitKind.SHUTDOWN for event in errors)
    assert [event.path for event in event_log.of(ChildExited)] == ["b", "a"]


async def test_missed_deadline_is_a_shutdown_error(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """A child that had to be killed did not end as asked; a brutal kill asked for that."""
    # T2 T7
    journal = Journal()
    tree = SupervisorSpec([*workers(journal, "a b", shutdown=1.0)])

    async with open_supervisor(tree, on_event=[event_log]) as supervisor:
        await supervisor["b"].cast(Hang())
        await wait_all_tasks_blocked()

    [error] = event_log.of(ChildShutdownError)
    assert (error.path, error.reason.kind) == ("b", ExitKind.KILLED)


async def test_brutal_kill_is_as_asked(autojump_clock: MockClock, event_log: EventLog) -> None:
    """A brutally killed child ends as it was asked to."""
    # T3
    journal = Journal()
    tree = SupervisorSpec(workers(journal, "a", shutdown="brutal_kill"))

    async with open_supervisor(tree, on_event=[event_log]) as supervisor:
        await supervisor["a"].cast(Hang())
        await wait_all_tasks_blocked()

    assert event_log.of(ChildShutdownError) == []
