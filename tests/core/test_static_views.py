"""What can be seen of a static supervisor, answered at once."""

import pytest
import trio
from actors import Journal, Plan, task, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ChildCounts,
    ChildInfo,
    ChildKind,
    ChildSpec,
    ChildState,
    DynamicSupervisorSpec,
    Restart,
    SupervisorSpec,
)
from codex_actors.testing import TreeOpener


async def test_children_and_counts(open_tree: TreeOpener) -> None:
    """`which_children` is in start order with refs and states; counts are OTP's four."""
    # S19
    journal = Journal()
    tree = SupervisorSpec(
        [
            worker(journal, "a", restart="transient"),
            ChildSpec("sub", SupervisorSpec(workers(journal, "x y"))),
            task(journal, "b", restart="temporary"),
            ChildSpec("dyn", DynamicSupervisorSpec()),
        ]
    )

    supervisor = await open_tree(tree)
    await supervisor.terminate_child("a")

    running = ChildState.RUNNING
    assert supervisor.which_children() == (
        ChildInfo("a", ChildKind.WORKER, ChildState.TERMINATED, Restart.TRANSIENT, supervisor["a"]),
        ChildInfo("sub", ChildKind.SUPERVISOR, running, Restart.PERMANENT, supervisor["sub"]),
        ChildInfo("b", ChildKind.WORKER, running, Restart.TEMPORARY, supervisor["b"]),
        ChildInfo("dyn", ChildKind.SUPERVISOR, running, Restart.PERMANENT, supervisor["dyn"]),
    )
    assert supervisor.count_children() == ChildCounts(4, 3, 2, 2)
    assert supervisor.subtree("sub").count_children() == ChildCounts(2, 2, 0, 2)
    assert supervisor.subtree("dyn").count_children() == ChildCounts(0, 0, 0, 0)


async def test_ways_to_a_child(open_tree: TreeOpener) -> None:
    """Refs are found by id and by path, and a ref's own path leads back to it."""
    journal = Journal()
    sub = ChildSpec("sub", SupervisorSpec(workers(journal, "x")))

    supervisor = await open_tree(SupervisorSpec([*workers(journal, "a"), sub]))

    ref = supervisor.subtree("sub")["x"]
    assert ref.path == "sub/x"
    assert supervisor.whereis("sub/x") is ref
    assert supervisor.whereis(supervisor["a"].path) is supervisor["a"]
    assert supervisor.whereis("sub") is supervisor["sub"]
    assert supervisor.subtree("sub").whereis("x") is ref
    for path in ("nobody", "a/x", "sub/nobody", "sub/x/y", "", "/", "root/a"):
        assert supervisor.whereis(path) is None


async def test_no_way_to_a_child(open_tree: TreeOpener) -> None:
    """An unknown id is a KeyError, a worker has no subtree."""
    supervisor = await open_tree(SupervisorSpec(workers(Journal(), "a")))

    with pytest.raises(KeyError, match="nobody"):
        _ = supervisor["nobody"]
    with pytest.raises(KeyError, match="nobody"):
        supervisor.subtree("nobody")
    with pytest.raises(TypeError, match="worker"):
        supervisor.subtree("a")


async def test_views_while_a_child_starts(open_tree: TreeOpener) -> None:
    """While a slow child is being started, views are answered at once."""
    # T10
    journal, gate = Journal(), trio.Event()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))

    async with trio.open_nursery() as nursery:
        slow = worker(journal, "b", Plan(start_gate=gate))
        nursery.start_soon(supervisor.start_child, slow)
        await wait_all_tasks_blocked()
        states = {child.id: child.state for child in supervisor.which_children()}
        snapshot = supervisor.snapshot()
        gate.set()

    assert states == {"a": ChildState.RUNNING, "b": ChildState.STARTING}
    assert [child.state for child in snapshot.children] == ["running", "starting"]


async def test_views_are_of_that_moment(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """A view is a frozen value: it does not follow what happens later."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a b")))
    before, picture = supervisor.which_children(), supervisor.snapshot()

    await supervisor.terminate_child("a")

    assert [child.state for child in before] == [ChildState.RUNNING] * 2
    assert [child.state for child in picture.children] == ["running"] * 2
    after = supervisor.which_children()
    assert [child.state for child in after] == [ChildState.TERMINATED, ChildState.RUNNING]
