"""Administration that is given up, joined, or comes in between."""

import trio
from actors import Crash, Journal, Plan, worker, workers
from scenes import answer_of, scene_in
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ActorStopped,
    ChildSpec,
    SupervisorSpec,
)
from codex_actors.testing import TreeOpener, assert_tree


async def test_cancelled_start_child(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Cancelling start_child cancels the start, awaits its cleanup and forgets the spec."""
    journal = Journal()

    class Slow(Actor):
        async def init(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(3)
                journal.write("cleaned up")

    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))

    with trio.move_on_after(1) as limit:
        await supervisor.start_child(ChildSpec("b", Slow))

    assert limit.cancelled_caught
    assert journal.take() == "+a cleaned up"
    assert trio.current_time() == limit.deadline + 3
    assert_tree(supervisor, {"a": "running"})
    await supervisor.start_child(worker(journal, "b"))
    assert_tree(supervisor, {"a": "running", "b": "running"})


async def test_start_child_in_a_cancelled_scope(open_tree: TreeOpener) -> None:
    """start_child in a scope that is cancelled already leaves nothing behind."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec([]))

    with trio.CancelScope() as scope:
        scope.cancel()
        await supervisor.start_child(worker(journal, "b", Plan(start_gate=trio.Event())))

    assert scope.cancelled_caught
    assert_tree(supervisor, {})
    assert "+b" not in journal.take().split()


async def test_cancelled_restart_child(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Cancelling restart_child cancels the start; the spec stays terminated."""
    journal, plan = Journal(), Plan()
    supervisor = await open_tree(SupervisorSpec([worker(journal, "a", plan)]))
    await supervisor.terminate_child("a")
    plan.start_gate = trio.Event()

    with trio.move_on_after(1) as limit:
        await supervisor.restart_child("a")

    assert limit.cancelled_caught
    assert journal.take() == "+a -a +a✗"
    assert_tree(supervisor, {"a": "terminated"})


async def test_cancelled_terminate_child(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Cancelling terminate_child gives up waiting; the stop goes on."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec([worker(journal, "a", Plan(stop_seconds=3))]))

    with trio.move_on_after(1) as limit:
        await supervisor.terminate_child("a")

    assert limit.cancelled_caught
    assert_tree(supervisor, {"a": "stopping"})
    await supervisor.terminate_child("a")
    assert trio.current_time() == limit.deadline + 2
    assert_tree(supervisor, {"a": "terminated"})


async def test_terminate_joins_a_stop_by_ref(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """terminate_child of a child that its ref is stopping joins; it is not restarted."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec([worker(journal, "a", Plan(stop_seconds=3))]))
    began = trio.current_time()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor["a"].stop)
        await wait_all_tasks_blocked()
        await supervisor.terminate_child("a")

    assert trio.current_time() == began + 3
    assert journal.take() == "+a -a"
    assert_tree(supervisor, {"a": "terminated"})


async def test_many_terminate_at_once(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Any number may ask for the same stop: there is one, and all wait for its end."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec([worker(journal, "a", Plan(stop_seconds=3))]))
    began = trio.current_time()

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(supervisor.terminate_child, "a")

    assert trio.current_time() == began + 3
    assert journal.take() == "+a -a"


async def test_one_of_many_restarts_wins(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Of many restart_child and start_child of one terminated child, one starts it."""
    journal, plan = Journal(), Plan(start_seconds=1)
    supervisor = await open_tree(SupervisorSpec([worker(journal, "a", plan)]))
    await supervisor.terminate_child("a")
    answers: list[object] = []

    async def restart() -> None:
        answers.append(await answer_of(supervisor.restart_child("a")))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(restart)

    assert answers.count(supervisor["a"]) == 1
    assert journal.take() == "+a -a +a"


async def test_stopping_child_is_asked_for_and_forgotten(autojump_clock: MockClock) -> None:
    """Those who wait for a stop that forgets the child answer as for an unknown one."""
    async with scene_in("stopping", restart="temporary") as scene:
        scene.in_background(scene.supervisor.start_child(scene.spec()))
        await wait_all_tasks_blocked()
        assert scene.answers == []

        scene.let_go()
        await wait_all_tasks_blocked()

        assert scene.answers == [None, scene.supervisor["c"]]
        assert scene.state() == "running"


async def test_outside_a_group_restart_all_is_answered_at_once(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """While rest_for_one restarts [b, c], a is terminated and d added at once; c waits."""
    # T10
    journal, plan = Journal(), Plan()
    tree = SupervisorSpec(
        [*workers(journal, "a"), worker(journal, "b", plan), *workers(journal, "c")],
        strategy="rest_for_one",
    )
    supervisor = await open_tree(tree)
    plan.start_gate = trio.Event()
    await supervisor["b"].cast(Crash())
    await wait_all_tasks_blocked()
    began, answers = trio.current_time(), list[object]()

    async def ask() -> None:
        answers.append(await answer_of(supervisor.terminate_child("c")))

    async with trio.open_nursery() as nursery:
        await supervisor.terminate_child("a")
        await supervisor.start_child(worker(journal, "d"))
        assert trio.current_time() == began
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert answers == []
        plan.start_gate.set()

    assert answers == [None]
    states = {"a": "terminated", "b": "running", "c": "terminated", "d": "running"}
    assert_tree(supervisor, states)


async def test_waiters_are_told_when_the_supervisor_ends(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Who waits for a slow stop is answered when the whole supervisor stops first."""
    # S20
    async with scene_in("stopping") as scene:
        for operation in (
            scene.supervisor.start_child(scene.spec()),
            scene.supervisor.restart_child("c"),
            scene.supervisor.delete_child("c"),
        ):
            scene.in_background(operation)
        await wait_all_tasks_blocked()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.supervisor.stop)
            await wait_all_tasks_blocked()
            assert await answer_of(scene.supervisor.start_child(scene.spec())) is ActorStopped
            scene.let_go()

        await wait_all_tasks_blocked()
        assert sorted(scene.answers, key=str) == [ActorStopped] * 3 + [None]
