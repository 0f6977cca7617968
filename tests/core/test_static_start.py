"""Starting a static supervisor: in order, acknowledged, and all or nothing."""

import contextvars

import pytest
import trio
from actors import Boom, Journal, Plan, Worker, worker, workers
from trio.testing import MockClock

from codex_actors import (
    ChildCounts,
    ChildSpec,
    ChildStarted,
    ChildStartError,
    ChildStartFailed,
    ChildState,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener, assert_tree


async def test_starts_are_acknowledged_one_by_one(autojump_clock: MockClock) -> None:
    """Each child has acknowledged its start before the next begins."""
    # S1
    journal = Journal()
    children = [worker(journal, name, Plan(start_seconds=1)) for name in "abc"]
    began = trio.current_time()

    async with open_supervisor(SupervisorSpec(children)):
        assert trio.current_time() - began == 3
        assert journal.take() == "+a +b +c"
        assert [time - began for time in journal.times] == [1, 2, 3]

    assert journal.take() == "-c -b -a"


async def test_failed_start_undoes_those_before_it(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """If c of [a,b,c,d] fails, b and a are stopped, and the opener gets c's error."""
    # C12
    journal = Journal()
    children = [
        *workers(journal, "a b"),
        worker(journal, "c", Plan(broken=True)),
        *workers(journal, "d"),
    ]

    with pytest.raises(ChildStartError) as raised:
        async with open_supervisor(SupervisorSpec(children), on_event=[event_log]):
            pytest.fail("opened")

    assert journal.take() == "+a +b +c✗ -b -a"
    assert raised.value.child_id == "c"
    assert isinstance(raised.value.__cause__, Boom)
    assert "'c'" in str(raised.value)
    assert [event.path for event in event_log.of(ChildStartFailed)] == ["c"]
    assert [event.path for event in event_log.of(ChildStarted)] == ["a", "b"]


async def test_failed_start_of_a_nested_supervisor_names_the_way(
    autojump_clock: MockClock,
) -> None:
    """A child of a child supervisor fails: each level names its child, down to the error."""
    journal = Journal()
    below = [*workers(journal, "b"), worker(journal, "c", Plan(broken=True))]
    tree = SupervisorSpec([*workers(journal, "a"), ChildSpec("sub", SupervisorSpec(below))])

    with pytest.raises(ChildStartError) as raised:
        async with open_supervisor(tree):
            pytest.fail("opened")

    assert journal.take() == "+a +b +c✗ -b -a"
    assert raised.value.child_id == "sub"
    inner = raised.value.__cause__
    assert isinstance(inner, ChildStartError)
    assert inner.child_id == "c"
    assert isinstance(inner.__cause__, Boom)


async def test_failed_construction_is_a_failed_start() -> None:
    """An exception of `__init__`, and a factory that returns no Actor, fail the start."""

    def no_actor() -> str:
        return "not an actor"

    def broken() -> Worker:
        raise Boom

    for start, cause in ((no_actor, TypeError), (broken, Boom)):
        with pytest.raises(ChildStartError) as raised:
            async with open_supervisor(SupervisorSpec([ChildSpec("a", start)])):
                pytest.fail("opened")
        assert isinstance(raised.value.__cause__, cause)


async def test_start_timeout(autojump_clock: MockClock) -> None:
    """A start that takes longer than `start_timeout` fails with TooSlowError as its cause."""
    journal = Journal()
    children = [
        *workers(journal, "a"),
        worker(journal, "b", Plan(start_seconds=100), start_timeout=2.0),
    ]
    began = trio.current_time()

    with pytest.raises(ChildStartError) as raised:
        async with open_supervisor(SupervisorSpec(children)):
            pytest.fail("opened")

    assert isinstance(raised.value.__cause__, trio.TooSlowError)
    assert trio.current_time() - began == 2
    assert journal.take() == "+a +b✗ -a"


async def test_start_timeout_of_a_supervisor(autojump_clock: MockClock) -> None:
    """A child supervisor has a start timeout too; what it had started is stopped again."""
    journal = Journal()
    below = [*workers(journal, "b"), worker(journal, "c", Plan(start_seconds=100))]
    tree = SupervisorSpec(
        [*workers(journal, "a"), ChildSpec("sub", SupervisorSpec(below), start_timeout=2.0)]
    )
    began = trio.current_time()

    with pytest.raises(ChildStartError) as raised:
        async with open_supervisor(tree):
            pytest.fail("opened")

    assert raised.value.child_id == "sub"
    assert isinstance(raised.value.__cause__, trio.TooSlowError)
    assert trio.current_time() - began == 2
    assert journal.take() == "+a +b +c✗ -b -a"


async def test_task_acknowledges_by_its_task_status(autojump_clock: MockClock) -> None:
    """An async function with `task_status` has started when it says so."""
    journal = Journal()

    async def slow(task_status: "trio.TaskStatus[None]") -> None:
        await trio.sleep(3)
        journal.write("+a")
        task_status.started()
        await trio.sleep_forever()

    tree = SupervisorSpec([ChildSpec("a", slow), *workers(journal, "b")])

    async with open_supervisor(tree):
        assert journal.take() == "+a +b"
        assert journal.times[1] == journal.times[0]


async def test_task_that_returns_unstarted_has_failed() -> None:
    """An async function that returns before `task_status.started()` fails its start."""

    async def forgetful(task_status: "trio.TaskStatus[None]") -> None:
        await trio.lowlevel.checkpoint()

    with pytest.raises(ChildStartError):
        async with open_supervisor(SupervisorSpec([ChildSpec("a", forgetful)])):
            pytest.fail("opened")


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_ignored_child_keeps_its_spec(open_tree: TreeOpener, restart: str) -> None:
    """`IgnoreChild` is no failure: the spec is kept as terminated, and others start."""
    # S4
    journal = Journal()
    children = [worker(journal, "a", Plan(ignoring={1}), restart=restart), *workers(journal, "b")]

    supervisor = await open_tree(SupervisorSpec(children))

    assert_tree(supervisor, {"a": "terminated", "b": "running"})
    assert supervisor.count_children() == ChildCounts(2, 1, 0, 2)
    await supervisor.restart_child("a")
    assert_tree(supervisor, {"a": "running", "b": "running"})
    assert journal.take() == "+b +a"


async def test_ignored_temporary_child_is_forgotten(open_tree: TreeOpener) -> None:
    """Of a temporary child that ignores its start nothing is kept."""
    # S5
    journal = Journal()
    child = worker(journal, "a", Plan(ignoring={1}), restart="temporary")

    supervisor = await open_tree(SupervisorSpec([child, *workers(journal, "b")]))

    assert_tree(supervisor, {"b": "running"})
    with pytest.raises(KeyError):
        _ = supervisor["a"]


async def test_tree_is_used_many_times() -> None:
    """A spec remembers no live state: the same one can be opened again, also nested."""
    journal = Journal()
    sub = SupervisorSpec(workers(journal, "a b"))
    tree = SupervisorSpec([ChildSpec("one", sub), ChildSpec("two", sub)])

    for _ in range(2):
        async with open_supervisor(tree) as supervisor:
            states = {child.state for child in supervisor.which_children()}
            assert states == {ChildState.RUNNING}
        assert journal.take() == "+a +b +a +b -b -a -b -a"


async def test_children_see_the_context_of_the_opener() -> None:
    """A child's contextvars are those of whoever opened the tree, or called `start_child`."""
    variable = contextvars.ContextVar("variable", default="nobody")
    seen: list[str] = []

    async def look() -> None:
        seen.append(variable.get())
        await trio.sleep_forever()

    variable.set("opener")
    async with open_supervisor(SupervisorSpec([ChildSpec("a", look)])) as supervisor:
        await trio.testing.wait_all_tasks_blocked()
        variable.set("caller")
        await supervisor.start_child(ChildSpec("b", look))
        await trio.testing.wait_all_tasks_blocked()
        variable.set("later")
        supervisor["a"].kill()
        supervisor["b"].kill()
        await trio.testing.wait_all_tasks_blocked()

    assert seen[:2] == ["opener", "caller"]
    assert sorted(seen[2:]) == ["caller", "opener"]
