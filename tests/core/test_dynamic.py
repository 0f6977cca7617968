"""Dynamic supervisors: children come and go, under one_for_one, forgotten when they end."""

import pytest
import trio
from actors import Boom, Crash, Finish, Hang, Journal, Ping, Plan, Worker, task, worker
from scenes import answer_of
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorStopped,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildCounts,
    ChildIgnored,
    ChildNotFound,
    ChildSpec,
    ChildStartError,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    ExitKind,
    MaxChildrenReached,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import TreeOpener, assert_tree

EMPTY = ChildCounts(0, 0, 0, 0)


async def test_start_returns_the_ref(open_tree: TreeOpener) -> None:
    """start_child returns the ref of a child that has acknowledged its start."""
    # D1
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec())
    assert isinstance(supervisor, DynamicSupervisor)

    ref = await supervisor.start_child(worker(journal, "a"))

    assert ref.path == "a"
    assert supervisor["a"] is ref
    assert supervisor.whereis("a") is ref
    assert await ref.call(Ping()) == 1
    assert supervisor.count_children() == ChildCounts(1, 1, 0, 1)


async def test_ignored_start(open_tree: TreeOpener) -> None:
    """A child that ignores its start raises ChildIgnored; nothing is retained."""
    # D1
    supervisor = await open_tree(DynamicSupervisorSpec())

    with pytest.raises(ChildIgnored, match="'a'"):
        await supervisor.start_child(worker(Journal(), "a", Plan(ignoring={1})))

    assert supervisor.count_children() == EMPTY


async def test_failed_start(open_tree: TreeOpener) -> None:
    """A start that fails raises with its cause; the supervisor lives, nothing is retained."""
    # D2
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec(max_restarts=0))

    with pytest.raises(ChildStartError) as raised:
        await supervisor.start_child(worker(journal, "a", Plan(broken=True)))

    assert raised.value.child_id == "a"
    assert isinstance(raised.value.__cause__, Boom)
    assert supervisor.count_children() == EMPTY
    await supervisor.start_child(worker(journal, "a"))
    assert journal.take() == "+a✗ +a"


async def test_max_children(open_tree: TreeOpener) -> None:
    """No more than `max_children`; one that is forgotten makes room."""
    # D3
    journal = Journal()
    nobody = await open_tree(DynamicSupervisorSpec(max_children=0))
    with pytest.raises(MaxChildrenReached):
        await nobody.start_child(worker(journal, "a"))

    two = await open_tree(DynamicSupervisorSpec(max_children=2))
    a = await two.start_child(worker(journal, "a"))
    await two.start_child(worker(journal, "b", restart="temporary"))
    with pytest.raises(MaxChildrenReached):
        await two.start_child(worker(journal, "c"))
    await two.terminate_child(a)
    await two["b"].cast(Finish())
    await wait_all_tasks_blocked()

    for name in "cd":
        await two.start_child(worker(journal, name))
    with pytest.raises(MaxChildrenReached):
        await two.start_child(worker(journal, "e"))


async def test_terminate(open_tree: TreeOpener) -> None:
    """A terminated child is forgotten, not restarted, and not found afterwards."""
    # D5
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec())
    ref = await supervisor.start_child(worker(journal, "a"))

    await supervisor.terminate_child(ref)

    with pytest.raises(ChildNotFound):
        await supervisor.terminate_child(ref)
    with pytest.raises(ActorStopped):
        await ref.call(Ping())
    assert journal.take() == "+a -a"
    assert journal.reasons == [("a", ExitKind.SHUTDOWN)]
    assert supervisor.count_children() == EMPTY


async def test_terminate_a_stranger(open_tree: TreeOpener) -> None:
    """A ref of another supervisor, or of an earlier child of that id, is not found."""
    # D5
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec())
    other = await open_tree(DynamicSupervisorSpec())
    old = await supervisor.start_child(worker(journal, "a"))
    await supervisor.terminate_child(old)
    await supervisor.start_child(worker(journal, "a"))
    stranger = await other.start_child(worker(journal, "a"))

    for ref in (old, stranger, supervisor.ref):
        with pytest.raises(ChildNotFound):
            await supervisor.terminate_child(ref)

    assert_tree(supervisor, {"a": "running"})


async def test_same_id(open_tree: TreeOpener) -> None:
    """An id that is taken is refused, with the ref of a child that runs."""
    # S6 S7
    journal, plan = Journal(), Plan()
    supervisor = await open_tree(DynamicSupervisorSpec())
    ref = await supervisor.start_child(worker(journal, "a", plan))

    with pytest.raises(ChildAlreadyStarted) as raised:
        await supervisor.start_child(worker(journal, "a"))
    assert raised.value.ref is ref
    plan.start_gate = trio.Event()
    await ref.cast(Crash())
    await wait_all_tasks_blocked()
    with pytest.raises(ChildAlreadyPresent):
        await supervisor.start_child(worker(journal, "a"))
    plan.start_gate.set()


async def test_made_up_ids(open_tree: TreeOpener) -> None:
    """Without an id a child is called `<factory>-<n>`, never as another one is."""
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec())
    nameless = ChildSpec(None, Worker, args=(journal, "a"))

    first = await supervisor.start_child(nameless)
    await supervisor.start_child(ChildSpec("Worker-2", Worker, args=(journal, "b")))
    second = await supervisor.start_child(nameless)
    await supervisor.terminate_child(first)
    third = await supervisor.start_child(nameless)

    assert first.path == "Worker-1"
    assert [child.id for child in supervisor.which_children()] == [
        "Worker-2",
        second.path,
        third.path,
    ]
    assert len({first.path, second.path, third.path, "Worker-2"}) == 4
    assert all(ref.path.startswith("Worker-") for ref in (second, third))


async def test_supervisors_and_tasks_as_children(open_tree: TreeOpener) -> None:
    """Any kind of child can be added; views tell supervisors from workers."""
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec())

    await supervisor.start_child(ChildSpec("sub", SupervisorSpec([worker(journal, "x")])))
    await supervisor.start_child(task(journal, "t"))
    await supervisor.start_child(worker(journal, "w"))

    assert supervisor.count_children() == ChildCounts(3, 3, 1, 2)
    assert [child.id for child in supervisor.which_children()] == ["sub", "t", "w"]
    assert await supervisor.subtree("sub")["x"].call(Ping()) == 1


async def test_others_are_answered_while_one_is_slow(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """While one child hangs in its start and another in its stop, others come and go."""
    # T10
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec())
    ref = await supervisor.start_child(worker(journal, "slow", shutdown=60.0))
    await ref.cast(Hang())
    gate = trio.Event()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.terminate_child, ref)
        nursery.start_soon(supervisor.start_child, worker(journal, "b", Plan(start_gate=gate)))
        await wait_all_tasks_blocked()
        asked = trio.current_time()
        other = await supervisor.start_child(worker(journal, "c"))
        await supervisor.terminate_child(other)
        assert trio.current_time() == asked
        assert_tree(supervisor, {"slow": "stopping", "b": "starting"})
        gate.set()


async def test_stopped_supervisor_answers_at_once(autojump_clock: MockClock) -> None:
    """All calls on a dynamic supervisor that has ended fail at once."""
    # S20 T15
    journal = Journal()
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        ref = await supervisor.start_child(worker(journal, "a"))

    assert await answer_of(supervisor.start_child(worker(journal, "b"))) is ActorStopped
    assert await answer_of(supervisor.terminate_child(ref)) is ActorStopped
    with pytest.raises(ActorStopped):
        supervisor.count_children()
