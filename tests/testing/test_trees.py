"""Trees in tests: compared as a whole, ended with the test, and found out when they leak."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ChildSpec,
    ChildStarted,
    ChildStartError,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    Supervisor,
    SupervisorSpec,
)
from codex_actors.testing import EventLog, TreeLeak, TreeOpener, assert_tree

_BRANCH = SupervisorSpec([ChildSpec("x", Actor), ChildSpec("y", Actor)])
_TREE = SupervisorSpec([ChildSpec("a", Actor), ChildSpec("b", _BRANCH), ChildSpec("c", Actor)])


async def test_a_tree_is_compared_in_start_order(open_tree: TreeOpener) -> None:
    """Ids, states, and what is below."""
    root = await open_tree(_TREE)
    await root.terminate_child("c")

    assert_tree(root, {"a": "running", "b": {"x": "running", "y": "running"}, "c": "terminated"})


async def test_a_branch_that_does_not_run_is_its_state(open_tree: TreeOpener) -> None:
    """There is nothing below it."""
    root = await open_tree(_TREE)
    await root.terminate_child("b")

    assert_tree(root, {"a": "running", "b": "terminated", "c": "running"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"a": "running", "c": "running"},
        {"b": {"x": "running", "y": "running"}, "a": "running", "c": "running"},
        {"a": "running", "b": {"x": "running", "y": "terminated"}, "c": "running"},
        {"a": "running", "b": "running", "c": "running"},
        {},
    ],
    ids=["missing", "order", "state below", "flat", "empty"],
)
async def test_another_tree_is_refused_and_both_are_shown(
    open_tree: TreeOpener, wrong: dict[str, str | dict[str, str]]
) -> None:
    """The message is two trees, to be compared by eye."""
    root = await open_tree(_TREE)

    with pytest.raises(AssertionError) as caught:
        assert_tree(root, wrong)

    assert "expected:" in str(caught.value)
    assert "but it is:\n  a: running\n  b/\n    x: running" in str(caught.value)


async def test_an_empty_tree_is_empty(open_tree: TreeOpener) -> None:
    """Also a dynamic one."""
    root = await open_tree(DynamicSupervisorSpec())

    assert_tree(root, {})
    await root.start_child(ChildSpec("a", Actor))
    assert_tree(root, {"a": "running"})


async def test_open_tree_gives_the_handle_of_its_spec(
    open_tree: TreeOpener, event_log: EventLog
) -> None:
    """With a name and event handlers, as `open_supervisor`; more than one per test."""
    static = await open_tree(_TREE, name="app", on_event=[event_log])
    dynamic = await open_tree(DynamicSupervisorSpec())

    assert isinstance(static, Supervisor)
    assert isinstance(dynamic, DynamicSupervisor)
    assert "app" in repr(static)
    assert len(event_log.of(ChildStarted)) == 5


async def test_open_tree_raises_what_keeps_a_tree_from_starting() -> None:
    """To the test, not to its end."""
    async with trio.open_nursery() as nursery:
        opener = TreeOpener(nursery)
        broken = SupervisorSpec([ChildSpec("broken", lambda: 7)])

        with pytest.raises(ChildStartError, match="broken"):
            await opener(broken)

        await opener.close()


async def test_closing_stops_every_tree() -> None:
    """The last opened first; a tree that has been stopped already is no harm."""
    stopped: list[str] = []

    class Ending(Actor):
        async def terminate(self, reason: object) -> None:
            stopped.append(self.ref.path)

    async with trio.open_nursery() as nursery:
        opener = TreeOpener(nursery)
        for name in ("first", "second"):
            await opener(SupervisorSpec([ChildSpec(name, Ending)]))
        third = await opener(SupervisorSpec([ChildSpec("third", Ending)]))
        await third.stop()

        await opener.close()

        assert stopped == ["third", "second", "first"]
        assert nursery.child_tasks == frozenset()


async def test_a_tree_that_does_not_end_is_complained_about(autojump_clock: MockClock) -> None:
    """After its time, by name."""
    gate = trio.Event()

    class Stubborn(Actor):
        async def terminate(self, reason: object) -> None:
            with trio.CancelScope(shield=True):
                await gate.wait()

    async with trio.open_nursery() as nursery:
        opener = TreeOpener(nursery, end_within=3)
        await opener(SupervisorSpec([ChildSpec("stubborn", Stubborn)]), name="app")

        with pytest.raises(TreeLeak, match="app") as caught:
            await opener.close()

        assert "did not end in 3 s" in str(caught.value)
        assert "gate.wait()" in str(caught.value)
        gate.set()


async def test_a_task_that_a_tree_leaves_behind_is_complained_about() -> None:
    """One that was put into a nursery of somebody else's, with where it hangs."""
    async with trio.open_nursery() as nursery, trio.open_nursery() as elsewhere:

        async def forgotten() -> None:
            await trio.sleep_forever()

        class Leaky(Actor):
            async def init(self) -> None:
                elsewhere.start_soon(forgotten)

        opener = TreeOpener(nursery)
        await opener(SupervisorSpec([ChildSpec("leaky", Leaky)]))
        await wait_all_tasks_blocked()

        with pytest.raises(TreeLeak, match="forgotten") as caught:
            await opener.close()

        assert "sleep_forever" in str(caught.value)
        elsewhere.cancel_scope.cancel()


async def test_system_tasks_that_a_tree_leaves_behind_are_found_too() -> None:
    """No nursery holds them at all."""
    gate = trio.Event()
    async with trio.open_nursery() as nursery:

        class Leaky(Actor):
            async def init(self) -> None:
                trio.lowlevel.spawn_system_task(gate.wait, name="a system task")

        opener = TreeOpener(nursery)
        await opener(SupervisorSpec([ChildSpec("leaky", Leaky)]))

        with pytest.raises(TreeLeak, match="a system task"):
            await opener.close()

        gate.set()
        await wait_all_tasks_blocked()


async def test_a_tree_that_cleans_up_leaves_nothing_to_complain_about() -> None:
    """Tasks of its own nurseries end with it."""
    async with trio.open_nursery() as nursery:

        async def busy() -> None:
            async with trio.open_nursery() as own:
                own.start_soon(trio.sleep_forever)
                own.start_soon(trio.sleep_forever)

        opener = TreeOpener(nursery)
        root = await opener(SupervisorSpec([ChildSpec("busy", busy)]))
        await wait_all_tasks_blocked()
        root["busy"].kill()
        await wait_all_tasks_blocked()

        await opener.close()

        assert nursery.child_tasks == frozenset()
