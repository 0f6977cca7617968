"""Outer cancellation: everything is cancelled, one after the other, in reverse order."""

import pytest
import trio
from actors import Hang, Journal, Note, Plan, task, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ChildExited,
    ChildSpec,
    DynamicSupervisorSpec,
    ExitKind,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener, assert_tree


async def test_reverse_order_with_cleanup(autojump_clock: MockClock) -> None:
    """Cancelling the scope around the tree stops c, b, a, each cleanup awaited."""
    # X1
    journal = Journal()
    # The order of the durations is not the order of the stops.
    children = [worker(journal, name, Plan(stop_seconds=n)) for n, name in enumerate("abc", 1)]
    began = trio.current_time()

    with trio.CancelScope() as outer:
        async with open_supervisor(SupervisorSpec(children)):
            journal.take()
            outer.cancel()
            await trio.sleep_forever()

    assert outer.cancelled_caught
    assert journal.take() == "-c -b -a"
    assert [time - began for time in journal.times[3:]] == [3, 5, 6]


async def test_tasks_stop_in_reverse_order_too(autojump_clock: MockClock) -> None:
    """Async functions with cleanup of different durations end in reverse order, one by one."""
    # X1
    journal = Journal()
    children = [task(journal, name, n) for n, name in enumerate("abc", 1)]

    with trio.CancelScope() as outer:
        async with open_supervisor(SupervisorSpec(children)):
            await wait_all_tasks_blocked()
            journal.take()
            outer.cancel()

    assert journal.take() == "-c -b -a"


async def test_through_nested_supervisors(autojump_clock: MockClock) -> None:
    """The order holds through supervisors below supervisors."""
    # X1
    journal = Journal()
    plans = dict(zip("abcdef", (4, 3, 1, 3, 2, 1), strict=True))

    def child(name: str) -> ChildSpec:
        return worker(journal, name, Plan(stop_seconds=plans[name]))

    inner = SupervisorSpec([child("c"), child("d")])
    middle = SupervisorSpec([child("b"), ChildSpec("inner", inner), child("e")])
    tree = SupervisorSpec([child("a"), ChildSpec("middle", middle), child("f")])
    began = trio.current_time()

    with trio.CancelScope() as outer:
        async with open_supervisor(tree, cancel_grace=100):
            journal.take()
            outer.cancel()

    assert journal.take() == "-f -e -d -c -b -a"
    assert trio.current_time() - began == sum(plans.values())


async def test_dynamic_children_are_cancelled_together(autojump_clock: MockClock) -> None:
    """Under a dynamic supervisor the order is none: all at once, its siblings in order."""
    journal = Journal()
    tree = SupervisorSpec([*workers(journal, "a"), ChildSpec("dyn", DynamicSupervisorSpec())])
    began = trio.current_time()

    with trio.CancelScope() as outer:
        async with open_supervisor(tree) as supervisor:
            for name in "xyz":
                slow = worker(journal, name, Plan(stop_seconds=2))
                await supervisor.subtree("dyn").start_child(slow)
            outer.cancel()

    assert trio.current_time() == began + 2
    assert journal.entries[-1] == "-a"
    assert sorted(journal.entries[-4:-1]) == ["-x", "-y", "-z"]


async def test_skips_the_asking(autojump_clock: MockClock) -> None:
    """The message in hand is not finished: it is cancelled, whatever `shutdown` allows."""
    # X1
    journal = Journal()
    began = trio.current_time()

    with trio.CancelScope() as outer:
        async with open_supervisor(SupervisorSpec(workers(journal, "a b"))) as supervisor:
            await supervisor["a"].cast(Note("finished", seconds=2))
            await supervisor["b"].cast(Hang())
            await wait_all_tasks_blocked()
            outer.cancel()

    assert trio.current_time() == began
    assert journal.take() == "+a +b -b -a"
    assert [kind for _, kind in journal.reasons if kind is ExitKind.CRASH] == []


async def test_during_the_body_of_another_scope(autojump_clock: MockClock) -> None:
    """A deadline around the tree and its body: the body unwinds, then the tree stops."""
    # X1
    journal = Journal()

    with trio.move_on_after(5) as outer:
        async with open_supervisor(SupervisorSpec(workers(journal, "a b"))):
            try:
                await trio.sleep_forever()
            finally:
                journal.write("body")

    assert outer.cancelled_caught
    assert trio.current_time() == outer.deadline
    assert sorted(journal.take().split()[2:]) == ["-a", "-b", "body"]


async def test_during_the_start(autojump_clock: MockClock, event_log: EventLog) -> None:
    """Cancelled while it opens: the hanging start is cancelled, those before it stop."""
    # X1
    journal = Journal()
    children = [
        *workers(journal, "a b"),
        worker(journal, "c", Plan(start_gate=trio.Event())),
        *workers(journal, "d"),
    ]

    with trio.move_on_after(5) as outer:
        async with open_supervisor(SupervisorSpec(children), on_event=[event_log]):
            pytest.fail("opened")

    assert outer.cancelled_caught
    assert journal.take() == "+a +b +c✗ -b -a"
    assert [event.path for event in event_log.of(ChildExited)] == ["b", "a"]


async def test_during_a_stop(autojump_clock: MockClock) -> None:
    """Cancelled while it stops kindly: what is left is cancelled, still in reverse order."""
    journal = Journal()
    children = [worker(journal, name, Plan(stop_seconds=1), shutdown=100.0) for name in "abc"]

    with trio.move_on_after(5) as outer:
        async with open_supervisor(SupervisorSpec(children)) as supervisor:
            for child in supervisor.which_children():
                await child.ref.cast(Hang())
            await wait_all_tasks_blocked()
            journal.take()

    assert outer.cancelled_caught
    assert journal.take() == "-c -b -a"
    assert trio.current_time() == outer.deadline + 3


async def test_grace(autojump_clock: MockClock) -> None:
    """After `cancel_grace` seconds all that is left is cancelled at once."""
    # X1
    journal = Journal()
    names = "abcdefgh"
    children = [worker(journal, name, Plan(stop_seconds=4), cleanup_timeout=50.0) for name in names]
    began = trio.current_time()

    with trio.CancelScope() as outer:
        async with open_supervisor(SupervisorSpec(children), cancel_grace=10.0):
            outer.cancel()

    # h and g in order; f is in its cleanup when the grace is over, the others are cancelled then.
    assert journal.time_of("-h") == began + 4
    assert journal.time_of("-g") == began + 8
    ended = {name for name, _ in journal.reasons}
    assert ended >= set("abcdegh")
    for name in "abcde":
        assert journal.time_of(f"-{name}") == began + 14
    assert trio.current_time() <= began + 14


async def test_grace_reaches_nested_supervisors(autojump_clock: MockClock) -> None:
    """The end of the grace reaches what is left below child supervisors too."""
    # X1
    journal = Journal()

    def child(name: str) -> ChildSpec:
        return worker(journal, name, Plan(stop_seconds=4), cleanup_timeout=50.0)

    tree = SupervisorSpec(
        [
            child("a"),
            ChildSpec("sub", SupervisorSpec([child("x"), child("y"), child("z")])),
            child("b"),
        ]
    )
    began = trio.current_time()

    with trio.CancelScope() as outer:
        async with open_supervisor(tree, cancel_grace=1.0):
            outer.cancel()

    assert {journal.time_of(f"-{name}") for name in "axyz"} == {began + 5}
    assert trio.current_time() == began + 5


async def test_no_grace(autojump_clock: MockClock) -> None:
    """With a `cancel_grace` of 0 there is no order, and still every cleanup runs."""
    journal = Journal()

    with trio.CancelScope() as outer:
        tree = SupervisorSpec(workers(journal, "a b c"))
        async with open_supervisor(tree, cancel_grace=0.0):
            journal.take()
            outer.cancel()

    assert outer.cancelled_caught
    assert sorted(journal.take().split()) == ["-a", "-b", "-c"]


@pytest.mark.parametrize("restart", ["permanent", "temporary"])
async def test_kill_of_a_supervisor(
    open_tree: TreeOpener, autojump_clock: MockClock, restart: str
) -> None:
    """A kill of a supervisor is forwarded to its children: no live child is left."""
    # T11
    journal = Journal()
    inner = ChildSpec("inner", SupervisorSpec(workers(journal, "x y")))
    sub = SupervisorSpec([*workers(journal, "b"), inner, task(journal, "c")])
    tree = SupervisorSpec([*workers(journal, "a"), ChildSpec("sub", sub, restart=restart)])
    supervisor = await open_tree(tree)
    subtree = supervisor.subtree("sub")
    await subtree["b"].cast(Hang())
    await wait_all_tasks_blocked()
    journal.take()

    supervisor["sub"].kill()
    reason = await supervisor["sub"].wait_stopped()
    await wait_all_tasks_blocked()

    assert reason.kind is ExitKind.KILLED
    if restart == "permanent":
        assert journal.take() == "-c -y -x -b +b +x +y +c"
        assert supervisor.snapshot().restarts_in_window == 1
    else:
        assert journal.take() == "-c -y -x -b"
        assert_tree(supervisor, {"a": "running"})


async def test_kill_of_the_root(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Killing the root's own ref leaves no live children either."""
    # T11
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a b")))
    await supervisor["a"].cast(Hang())
    await wait_all_tasks_blocked()

    supervisor.ref.kill()
    reason = await supervisor.wait_stopped()

    assert reason.kind is ExitKind.KILLED
    assert journal.take() == "+a +b -b -a"


async def test_nothing_is_restarted(autojump_clock: MockClock) -> None:
    """Children that end by the cancellation are not restarted."""
    # G14
    journal = Journal()

    with trio.CancelScope() as outer:
        tree = SupervisorSpec(workers(journal, "a b"), strategy="one_for_all")
        async with open_supervisor(tree) as supervisor:
            supervisor["a"].kill()
            outer.cancel()

    assert journal.take() == "+a +b -a -b"
