"""Async functions as children: ordinary Trio tasks, supervised."""

from functools import partial

import pytest
import trio
from messaging import Boom, begin
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ChildExited,
    ChildSpec,
    ChildStartError,
    ChildState,
    ChildUnresponsive,
    ExitKind,
    IgnoreChild,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener, assert_tree


async def _forever() -> None:
    await trio.sleep_forever()


def _kinds(log: EventLog, path: str) -> list[ExitKind]:
    return [event.reason.kind for event in log.of(ChildExited, path)]


async def test_a_task_is_started_when_it_runs() -> None:
    """Without `task_status` there is nothing to wait for; it gets its arguments."""
    seen: list[object] = []

    async def collect(*args: int, **kwargs: int) -> None:
        seen.append((args, kwargs))
        await trio.sleep_forever()

    spec = ChildSpec("task", collect, args=(1, 2), kwargs={"three": 3})
    async with open_supervisor(SupervisorSpec([spec])) as root:
        await wait_all_tasks_blocked()

        assert seen == [((1, 2), {"three": 3})]
        assert root.which_children()[0].state is ChildState.RUNNING


async def test_a_task_with_task_status_acknowledges_by_itself() -> None:
    """The next child is started only then."""
    order: list[str] = []

    async def slow(name: str, *, task_status: trio.TaskStatus[None]) -> None:
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        order.append(f"+{name}")
        task_status.started()
        await trio.sleep_forever()

    children = [ChildSpec(name, slow, args=(name,)) for name in "abc"]
    async with open_supervisor(SupervisorSpec(children)):
        assert order == ["+a", "+b", "+c"]


class _Callable:
    """An object whose call is an async function."""

    async def __call__(self, seen: list[str]) -> None:
        """Note the call."""
        seen.append("object")

    async def method(self, seen: list[str], *, task_status: trio.TaskStatus[None]) -> None:
        """Note the call."""
        task_status.started()
        seen.append("method")


async def test_whatever_calls_to_a_coroutine_is_a_task() -> None:
    """Objects, bound methods and partials, too."""
    seen: list[str] = []
    it = _Callable()
    children = [
        ChildSpec("object", it, args=(seen,), restart="temporary"),
        ChildSpec("method", it.method, args=(seen,), restart="temporary"),
        ChildSpec("partial", partial(it.method, seen), restart="temporary"),
    ]
    async with open_supervisor(SupervisorSpec(children)) as root:
        await wait_all_tasks_blocked()

        assert sorted(seen) == ["method", "method", "object"]
        assert root.count_children().specs == 0


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("crashes", [False, True])
async def test_a_task_that_ends_is_restarted_by_its_type(restart: str, crashes: bool) -> None:
    """Returning is a normal end, raising a crash."""
    runs: list[int] = []

    async def twice() -> None:
        runs.append(1)
        if len(runs) > 1:
            await trio.sleep_forever()
        if crashes:
            raise Boom

    spec = SupervisorSpec([ChildSpec("task", twice, restart=restart)])
    async with open_supervisor(spec) as root:
        await wait_all_tasks_blocked()

        restarted = restart == "permanent" or (restart == "transient" and crashes)
        assert len(runs) == (2 if restarted else 1)
        assert root.count_children().specs == (0 if restart == "temporary" else 1)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("stop", ExitKind.NORMAL),
        ("drain", ExitKind.NORMAL),
        ("kill", ExitKind.KILLED),
        ("terminate_child", ExitKind.SHUTDOWN),
    ],
)
async def test_stopping_a_task_is_cancelling_it(
    end: str, kind: ExitKind, event_log: EventLog
) -> None:
    """It cannot be asked; the reason is what was asked for all the same."""
    spec = SupervisorSpec([ChildSpec("task", _forever, restart="transient")])
    async with open_supervisor(spec, on_event=[event_log]) as root:
        task = root["task"]
        if end == "terminate_child":
            await root.terminate_child("task")
        elif end == "kill":
            task.kill()
            await wait_all_tasks_blocked()
        else:
            await (task.stop() if end == "stop" else task.drain())

        assert _kinds(event_log, "task")[:1] == [kind]
        running = ChildState.RUNNING if end == "kill" else ChildState.TERMINATED
        assert root.which_children()[0].state is running


async def test_shutdown_bounds_the_finally_of_a_task(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """Cancelled at once; reported when it is not gone in time, and waited for."""

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    spec = SupervisorSpec([ChildSpec("task", slow, shutdown=3, restart="temporary")])
    async with open_supervisor(spec, on_event=[event_log]) as root:
        start = trio.current_time()
        await root.terminate_child("task")

        assert trio.current_time() == start + 10
        unresponsive = event_log.of(ChildUnresponsive)
        assert [event.path for event in unresponsive] == ["task"]
        assert unresponsive[0].waited == pytest.approx(3)
        assert "in slow" in unresponsive[0].stack


async def test_a_task_that_fails_before_it_started_fails_its_start() -> None:
    """As `nursery.start`: raising, returning, and being too late."""

    async def raises(*, task_status: trio.TaskStatus[None]) -> None:
        raise Boom

    async def returns(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.lowlevel.checkpoint()

    async with open_supervisor(SupervisorSpec([], max_restarts=0)) as root:
        with pytest.raises(ChildStartError) as raised:
            await root.start_child(ChildSpec("raises", raises))
        with pytest.raises(ChildStartError) as returned:
            await root.start_child(ChildSpec("returns", returns))

        assert isinstance(raised.value.__cause__, Boom)
        assert isinstance(returned.value.__cause__, RuntimeError)
        assert "task_status.started()" in str(returned.value)
        assert root.count_children().specs == 0


async def test_a_task_has_its_start_timeout_too(autojump_clock: MockClock) -> None:
    """Until it has acknowledged; afterwards it has all the time of the world."""

    async def late(seconds: float, *, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(seconds)
        task_status.started()
        await trio.sleep(1_000)

    async with open_supervisor(SupervisorSpec([])) as root:
        with pytest.raises(ChildStartError) as caught:
            await root.start_child(ChildSpec("late", late, args=(3,), start_timeout=2))
        ref = await root.start_child(ChildSpec("in-time", late, args=(1,), start_timeout=2))
        watch_start = trio.current_time()

        assert isinstance(caught.value.__cause__, trio.TooSlowError)
        assert (await ref.wait_stopped()).kind is ExitKind.NORMAL
        assert trio.current_time() == watch_start + 1_000


async def test_a_task_may_ignore_its_start() -> None:
    """Before it has acknowledged; afterwards it is a crash like any other."""

    async def ignores(*, task_status: trio.TaskStatus[None]) -> None:
        raise IgnoreChild

    async def ignores_late(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        raise IgnoreChild

    children = [ChildSpec("a", ignores), ChildSpec("b", ignores_late, restart="temporary")]
    async with open_supervisor(SupervisorSpec(children, max_restarts=0)) as root:
        await wait_all_tasks_blocked()

        infos = root.which_children()
        assert [(info.id, info.state) for info in infos] == [("a", ChildState.TERMINATED)]


async def test_starting_twice_is_the_task_s_own_mistake() -> None:
    """As in Trio: a RuntimeError in the task."""

    async def twice(*, task_status: trio.TaskStatus[str]) -> None:
        task_status.started("value")
        with pytest.raises(RuntimeError, match="twice"):
            task_status.started("value")
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec([ChildSpec("task", twice)])) as root:
        assert root.which_children()[0].state is ChildState.RUNNING


async def test_a_task_that_ignores_its_cancellation_ends_normally(event_log: EventLog) -> None:
    """It was asked to go, and went: how is its own affair."""

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return

    spec = SupervisorSpec([ChildSpec("task", stubborn, restart="temporary")])
    async with (
        open_supervisor(spec, on_event=[event_log]) as root,
        trio.open_nursery() as nursery,
    ):
        stop = await begin(nursery, root["task"].stop)

        assert await stop.wait() is None
        assert _kinds(event_log, "task") == [ExitKind.NORMAL]


async def test_any_async_callable_is_a_task(open_tree: TreeOpener) -> None:
    """Also one that cannot be hashed, and whose parameters have the framework's own names."""
    seen: list[object] = []

    class Job:
        __hash__ = None  # type: ignore[assignment]

        async def __call__(self, function: object, factory: object) -> None:
            seen.append((function, factory))
            await trio.sleep_forever()

    tree = SupervisorSpec([ChildSpec("job", Job(), kwargs={"function": 1, "factory": 2})])

    await open_tree(tree)
    await wait_all_tasks_blocked()

    assert seen == [(1, 2)]


async def test_an_actor_class_is_an_actor_whatever_it_defines(open_tree: TreeOpener) -> None:
    """A method called `func`, an async `__call__`, a keyword called `factory`."""

    class Odd(Actor):
        def __init__(self, factory: int) -> None:
            self.factory = factory

        async def func(self) -> None:
            """Looks like a partial's."""

        async def __call__(self) -> None:
            """Looks like an async function's."""

    supervisor = await open_tree(SupervisorSpec([ChildSpec("odd", Odd, kwargs={"factory": 1})]))

    assert_tree(supervisor, {"odd": "running"})
