"""Stopping: in reverse order and one at a time, or all at once under a dynamic supervisor."""

import math

import pytest
import trio
from actors import Boom, Crash, Finish, Hang, Journal, Note, Plan, Work, task, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorDied,
    ActorStopped,
    ChildCleanupFailed,
    ChildExited,
    ChildSpec,
    DynamicSupervisorSpec,
    ExitKind,
    Shutdown,
    SupervisorSpec,
    SupervisorStopping,
    open_supervisor,
)
from codex_actors.testing import EventLog, assert_tree

NORMAL, SHUTDOWN = ExitKind.NORMAL, ExitKind.SHUTDOWN
KILLED, CRASH = ExitKind.KILLED, ExitKind.CRASH


async def test_reverse_order_one_at_a_time(autojump_clock: MockClock, event_log: EventLog) -> None:
    """Each child is fully gone before the next is asked."""
    # T1
    journal = Journal()
    children = [worker(journal, name, Plan(stop_seconds=2)) for name in "abc"]

    async with open_supervisor(SupervisorSpec(children), on_event=[event_log]) as supervisor:
        journal.take()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.stop)
            await trio.sleep(3)
            assert_tree(supervisor, {"a": "running", "b": "stopping"})

    assert journal.take() == "-c -b -a"
    assert [time - began for time in journal.times[3:]] == [2, 4, 6]
    assert [event.path for event in event_log.of(ChildExited)] == ["c", "b", "a"]


async def test_nested_supervisors_stop_in_place(autojump_clock: MockClock) -> None:
    """A child supervisor stops all of its own before the child left of it is asked."""
    # T1
    journal = Journal()
    below = [worker(journal, name, Plan(stop_seconds=3)) for name in "xy"]
    tree = SupervisorSpec(
        [*workers(journal, "a"), ChildSpec("sub", SupervisorSpec(below)), *workers(journal, "b")]
    )

    async with open_supervisor(tree):
        journal.take()

    assert journal.take() == "-b -y -x -a"


async def test_message_in_hand_is_finished(autojump_clock: MockClock) -> None:
    """A child that is asked to stop finishes the message in hand; the rest is not handled."""
    journal = Journal()

    async with open_supervisor(SupervisorSpec(workers(journal, "a"))) as supervisor:
        await supervisor["a"].cast(Note("one", seconds=3))
        await supervisor["a"].cast(Note("two"))
        await wait_all_tasks_blocked()

    assert journal.take() == "+a one -a"
    assert journal.reasons == [("a", SHUTDOWN)]


async def test_deadline_of_one_child(autojump_clock: MockClock) -> None:
    """A child that does not stop within `shutdown` is killed; its siblings stop cleanly."""
    # T2
    journal = Journal()
    tree = SupervisorSpec(workers(journal, "a b c", shutdown=1.0))

    async with open_supervisor(tree) as supervisor:
        await supervisor["b"].cast(Hang())
        await wait_all_tasks_blocked()
        began = trio.current_time()

    assert trio.current_time() == began + 1
    assert journal.reasons == [("c", SHUTDOWN), ("b", KILLED), ("a", SHUTDOWN)]


async def test_brutal_kill(autojump_clock: MockClock) -> None:
    """`BRUTAL_KILL` cancels at once; its cleanup still runs, and siblings are asked."""
    # T3 C17
    journal = Journal()
    tree = SupervisorSpec(
        [
            *workers(journal, "a"),
            worker(journal, "b", shutdown=Shutdown.BRUTAL_KILL),
            *workers(journal, "c"),
        ]
    )

    async with open_supervisor(tree) as supervisor:
        await supervisor["b"].cast(Hang())
        await supervisor["c"].cast(Note("finished", seconds=2))
        await wait_all_tasks_blocked()
        journal.take()
        began = trio.current_time()

    assert journal.take() == "finished -c -b -a"
    assert journal.reasons == [("c", SHUTDOWN), ("b", KILLED), ("a", SHUTDOWN)]
    assert trio.current_time() == began + 2


async def test_infinite_shutdown(autojump_clock: MockClock) -> None:
    """With `math.inf` a stop waits as long as it takes, for workers and for supervisors."""
    # T4
    journal = Journal()
    below = SupervisorSpec(workers(journal, "x", shutdown=math.inf))
    tree = SupervisorSpec([worker(journal, "a", shutdown=math.inf), ChildSpec("sub", below)])

    async with open_supervisor(tree) as supervisor:
        await supervisor["a"].cast(Note("a done", seconds=10_000))
        await supervisor.subtree("sub")["x"].cast(Note("x done", seconds=20_000))
        await wait_all_tasks_blocked()
        journal.take()

    assert journal.take() == "a done x done -x -a"
    assert journal.reasons == [("x", SHUTDOWN), ("a", SHUTDOWN)]


async def test_static_children_stop_one_after_the_other(autojump_clock: MockClock) -> None:
    """Five children that take 200 ms each: 1000 ms."""
    # T5
    journal = Journal()
    children = [worker(journal, name, Plan(stop_seconds=0.2)) for name in "abcde"]

    async with open_supervisor(SupervisorSpec(children)):
        began = trio.current_time()

    assert trio.current_time() - began == pytest.approx(1.0)


async def test_dynamic_children_stop_together(autojump_clock: MockClock) -> None:
    """Five children that take 200 ms each, under a dynamic supervisor: 200 ms."""
    # T5
    journal = Journal()

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        for name in "abcde":
            await supervisor.start_child(worker(journal, name, Plan(stop_seconds=0.2)))
        began = trio.current_time()

    assert trio.current_time() - began == pytest.approx(0.2)
    assert len(journal.reasons) == 5


async def test_dynamic_children_have_deadlines_of_their_own(autojump_clock: MockClock) -> None:
    """Mixed shutdown values apply at the same time, each to its own child."""
    # T6
    journal = Journal()

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        mixed = {"patient": math.inf, "brutal": Shutdown.BRUTAL_KILL, "stubborn": 0.001}
        for name, shutdown in mixed.items():
            ref = await supervisor.start_child(worker(journal, name, shutdown=shutdown))
            await ref.cast(Note(f"{name} done", seconds=7))
        await wait_all_tasks_blocked()
        began = trio.current_time()

    assert trio.current_time() == began + 7
    assert journal.time_of("-brutal") == began
    assert journal.time_of("-stubborn") == pytest.approx(began + 0.001)
    assert journal.time_of("-patient") == began + 7
    assert dict(journal.reasons) == {"patient": SHUTDOWN, "brutal": KILLED, "stubborn": KILLED}


async def test_task_is_cancelled_at_once(autojump_clock: MockClock) -> None:
    """An async-function child has no mailbox: being asked means being cancelled."""
    journal = Journal()
    tree = SupervisorSpec([task(journal, "a"), task(journal, "b", stop_seconds=2)])

    async with open_supervisor(tree):
        await wait_all_tasks_blocked()
        began = trio.current_time()

    assert journal.take() == "+a +b -b -a"
    assert trio.current_time() == began + 2


async def test_error_in_a_cleanup_stops_nobody_else(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """A `terminate` that raises is reported; the others are stopped in order."""
    journal = Journal()
    tree = SupervisorSpec(
        [
            *workers(journal, "a"),
            worker(journal, "b", Plan(stop_error=Boom)),
            *workers(journal, "c"),
        ]
    )

    async with open_supervisor(tree, on_event=[event_log]):
        journal.take()

    assert journal.take() == "-c -b -a"
    [failed] = event_log.of(ChildCleanupFailed)
    assert failed.path == "b"
    assert isinstance(failed.error, Boom)


@pytest.mark.parametrize(
    ("end", "kind"),
    [(Finish(), NORMAL), (Crash(), CRASH), (None, KILLED)],
    ids=["normal", "crash", "kill"],
)
async def test_cleanup_runs_after_every_end(
    autojump_clock: MockClock, end: Finish | Crash | None, kind: ExitKind
) -> None:
    """`terminate` runs once, shielded, with the reason, also after a crash and a kill."""
    # C17
    journal = Journal()
    child = worker(journal, "a", Plan(stop_seconds=1), restart="temporary")

    async with open_supervisor(SupervisorSpec([child])) as supervisor:
        ref = supervisor["a"]
        if end is None:
            ref.kill()
        else:
            await ref.cast(end)
        reason = await ref.wait_stopped()

    assert reason.kind is kind
    assert journal.reasons == [("a", kind)]


async def test_no_cleanup_after_a_failed_start() -> None:
    """`terminate` is not called when `init` failed or was cancelled."""
    journal = Journal()

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        with pytest.raises(Exception, match="could not be started"):
            await supervisor.start_child(worker(journal, "a", Plan(broken=True)))
        with trio.CancelScope() as scope:
            gated = Plan(start_gate=trio.Event())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(supervisor.start_child, worker(journal, "b", gated))
                await wait_all_tasks_blocked()
                scope.cancel()

    assert journal.take() == "+a✗ +b✗"


async def test_callers_of_a_stopped_child_are_told(autojump_clock: MockClock) -> None:
    """The call in hand is answered, or fails with the kill; those behind it fail at once."""
    journal, answers = Journal(), dict[str, object]()
    tree = SupervisorSpec(workers(journal, "a b", shutdown=1.0))

    async with open_supervisor(tree) as supervisor:

        async def call(name: str, number: str, seconds: float) -> None:
            try:
                answers[name + number] = await supervisor[name].call(Work(seconds, "done"))
            except ActorStopped as error:
                answers[name + number] = (type(error), error.reason.kind)

        async with trio.open_nursery() as nursery:
            for name, seconds in (("a", 1.5), ("b", 4.0)):
                nursery.start_soon(call, name, "1", seconds)
                await wait_all_tasks_blocked()
                nursery.start_soon(call, name, "2", seconds)
            await wait_all_tasks_blocked()
            await supervisor.stop()

    assert answers["b1"] == (ActorDied, KILLED)
    assert answers["b2"] == (ActorDied, SHUTDOWN)
    assert answers["a1"] == "done"
    assert answers["a2"] == (ActorDied, SHUTDOWN)


async def test_supervisor_says_that_it_stops(event_log: EventLog) -> None:
    """`SupervisorStopping` comes before the first child's end."""
    journal = Journal()

    async with open_supervisor(SupervisorSpec(workers(journal, "a b")), on_event=[event_log]):
        event_log.clear()

    assert [event.kind for event in event_log] == [
        "supervisor_stopping",
        "child_exited",
        "child_exited",
    ]
    assert event_log.of(SupervisorStopping)[0].path == ""
