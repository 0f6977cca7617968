"""Administration of a static supervisor: adding, stopping, restarting, deleting children."""

import pytest
import trio
from actors import Boom, Crash, Journal, Ping, Plan, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorStopped,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildCounts,
    ChildExited,
    ChildNotFound,
    ChildRestartingEvent,
    ChildRunning,
    ChildSpec,
    ChildStartError,
    ExitKind,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener, assert_tree


async def test_started_child_is_the_last(open_tree: TreeOpener) -> None:
    """`start_child` returns the ref of an acknowledged child, at the end of the order."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))

    ref = await supervisor.start_child(worker(journal, "b"))

    assert ref is supervisor["b"]
    assert await ref.call(Ping()) == 1
    await supervisor.stop()
    assert journal.take() == "+a +b -b -a"


async def test_same_id_while_it_runs(open_tree: TreeOpener) -> None:
    """A second child with the id of a running one: the error carries the running ref."""
    # S6
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))

    with pytest.raises(ChildAlreadyStarted) as raised:
        await supervisor.start_child(worker(journal, "a"))

    assert raised.value.ref is supervisor["a"]
    assert journal.take() == "+a"


async def test_terminate_twice(open_tree: TreeOpener, event_log: EventLog) -> None:
    """terminate_child stops with reason shutdown, keeps the spec, and may be repeated."""
    # S7 S8
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a b")), on_event=[event_log])

    for _ in range(2):
        await supervisor.terminate_child("a")

        assert_tree(supervisor, {"a": "terminated", "b": "running"})
        assert supervisor.count_children() == ChildCounts(2, 1, 0, 2)
    assert journal.reasons == [("a", ExitKind.SHUTDOWN)]
    assert [event.reason.kind for event in event_log.of(ChildExited)] == [ExitKind.SHUTDOWN]
    with pytest.raises(ChildAlreadyPresent):
        await supervisor.start_child(worker(journal, "a"))


async def test_restart_keeps_the_place_in_the_order(open_tree: TreeOpener) -> None:
    """A child that was terminated and restarted is where it was in the start order."""
    # S9
    journal = Journal()
    tree = SupervisorSpec(workers(journal, "a b c"), strategy="rest_for_one")
    supervisor = await open_tree(tree)
    await supervisor.terminate_child("a")
    ref = supervisor["a"]
    journal.take()

    again = await supervisor.restart_child("a")

    assert again is ref
    assert await again.call(Ping()) == 2
    assert_tree(supervisor, {"a": "running", "b": "running", "c": "running"})
    journal.take()
    await ref.cast(Crash())
    await wait_all_tasks_blocked()
    assert journal.take() == "-a! -c -b +a +b +c"


async def test_restart_of_what_runs_or_is_unknown(open_tree: TreeOpener) -> None:
    """restart_child needs a terminated child."""
    # S10
    supervisor = await open_tree(SupervisorSpec(workers(Journal(), "a")))

    with pytest.raises(ChildRunning, match="'a'"):
        await supervisor.restart_child("a")
    with pytest.raises(ChildNotFound, match="'x'"):
        await supervisor.restart_child("x")


async def test_delete(open_tree: TreeOpener) -> None:
    """delete_child forgets a terminated child, and only that."""
    # S11
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a b")))
    with pytest.raises(ChildRunning):
        await supervisor.delete_child("a")
    with pytest.raises(ChildNotFound):
        await supervisor.delete_child("x")
    await supervisor.terminate_child("a")
    old = supervisor["a"]

    await supervisor.delete_child("a")

    assert_tree(supervisor, {"b": "running"})
    with pytest.raises(KeyError):
        _ = supervisor["a"]
    with pytest.raises(ChildNotFound):
        await supervisor.terminate_child("a")
    with pytest.raises(ActorStopped):
        await old.call(Ping())
    await supervisor.start_child(worker(journal, "a"))
    assert_tree(supervisor, {"b": "running", "a": "running"})


async def test_failed_restart_stays_terminated(
    open_tree: TreeOpener, autojump_clock: MockClock, event_log: EventLog
) -> None:
    """A restart by hand that fails raises, is not retried, and costs no intensity."""
    # S12
    journal, plan = Journal(), Plan()
    tree = SupervisorSpec([worker(journal, "a", plan)], max_restarts=0)
    supervisor = await open_tree(tree, on_event=[event_log])
    await supervisor.terminate_child("a")
    plan.broken = True
    journal.take()

    for _ in range(3):
        with pytest.raises(ChildStartError) as raised:
            await supervisor.restart_child("a")
        assert isinstance(raised.value.__cause__, Boom)
        assert_tree(supervisor, {"a": "terminated"})

    await trio.sleep(60)
    assert journal.take() == "+a✗ +a✗ +a✗"
    assert event_log.of(ChildRestartingEvent) == []
    assert supervisor.snapshot().restarts_in_window == 0
    plan.broken = False
    await supervisor.restart_child("a")
    assert_tree(supervisor, {"a": "running"})


async def test_failed_start_is_not_kept(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """A new child whose start fails raises in the caller, and its spec is not retained."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a"), max_restarts=0))

    with pytest.raises(ChildStartError) as raised:
        await supervisor.start_child(worker(journal, "b", Plan(broken=True)))

    assert raised.value.child_id == "b"
    assert isinstance(raised.value.__cause__, Boom)
    assert_tree(supervisor, {"a": "running"})
    await supervisor.start_child(worker(journal, "b"))
    assert_tree(supervisor, {"a": "running", "b": "running"})


async def test_manual_operations_cost_nothing(open_tree: TreeOpener) -> None:
    """Terminating and restarting by hand never counts against the intensity."""
    # S14
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a"), max_restarts=0))

    for _ in range(5):
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")

    assert_tree(supervisor, {"a": "running"})
    assert await supervisor["a"].call(Ping()) == 6


async def test_terminated_temporary_child_is_forgotten(open_tree: TreeOpener) -> None:
    """A temporary child that is terminated leaves no spec, so that its id is free again."""
    # S15
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a", restart="temporary")))

    await supervisor.terminate_child("a")

    assert supervisor.count_children() == ChildCounts(0, 0, 0, 0)
    with pytest.raises(ChildNotFound):
        await supervisor.terminate_child("a")
    await supervisor.start_child(worker(journal, "a"))
    assert_tree(supervisor, {"a": "running"})


async def test_ignored_added_child_is_kept_as_terminated(open_tree: TreeOpener) -> None:
    """Adding a child that ignores its start succeeds; its spec is there, not running."""
    # S4 S5 G13
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))

    ref = await supervisor.start_child(worker(journal, "b", Plan(ignoring={1, 2})))
    await supervisor.start_child(worker(journal, "c", Plan(ignoring={1}), restart="temporary"))

    assert_tree(supervisor, {"a": "running", "b": "terminated"})
    with pytest.raises(ActorStopped):
        await ref.call(Ping())
    assert await supervisor.restart_child("b") is ref
    assert_tree(supervisor, {"a": "running", "b": "terminated"})


async def test_supervisor_as_a_child(open_tree: TreeOpener) -> None:
    """A child supervisor is added, terminated and restarted like any other child."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))

    await supervisor.start_child(ChildSpec("sub", SupervisorSpec(workers(journal, "x y"))))
    handle, ref = supervisor.subtree("sub"), supervisor.subtree("sub")["y"]
    await supervisor.terminate_child("sub")
    with pytest.raises(ActorStopped):
        await ref.call(Ping())
    with pytest.raises(ActorStopped):
        handle.which_children()
    await supervisor.restart_child("sub")

    assert journal.take() == "+a +x +y -y -x +x +y"
    assert supervisor.subtree("sub") is handle
    assert await ref.call(Ping()) == 2


@pytest.mark.parametrize("after", ["stop", "block"])
async def test_stopped_supervisor_answers_at_once(autojump_clock: MockClock, after: str) -> None:
    """Any operation and any view of a supervisor that has ended fails, and never waits."""
    # S20 T15
    journal = Journal()
    async with open_supervisor(SupervisorSpec(workers(journal, "a"))) as supervisor:
        if after == "stop":
            await supervisor.stop()
    ended = trio.current_time()

    for operation in (
        supervisor.start_child(worker(journal, "b")),
        supervisor.start_child(worker(journal, "a")),
        supervisor.terminate_child("a"),
        supervisor.restart_child("a"),
        supervisor.delete_child("a"),
    ):
        with pytest.raises(ActorStopped):
            await operation
    with pytest.raises(ActorStopped):
        supervisor.which_children()
    with pytest.raises(ActorStopped):
        supervisor.count_children()

    assert trio.current_time() == ended
    assert journal.take() == "+a -a"
    assert supervisor.whereis("a") is None
    assert supervisor.snapshot().state == "terminated"
    await supervisor.stop()
    reason = await supervisor.wait_stopped()
    assert reason.kind is (ExitKind.NORMAL if after == "stop" else ExitKind.SHUTDOWN)
