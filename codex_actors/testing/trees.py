"""Trees in tests: opened for one test, compared as a whole, and found out when they leak."""

import traceback
from collections.abc import Iterable, Mapping
from typing import TypeAlias, overload

import trio
from trio.testing import wait_all_tasks_blocked

from codex_actors import (
    DynamicSupervisor,
    DynamicSupervisorSpec,
    EventHandler,
    Snapshot,
    Supervisor,
    SupervisorSpec,
    supervise,
)

Shape: TypeAlias = "Mapping[str, str | Shape]"


class TreeLeak(AssertionError):
    """A tree did not end in time, or left a task behind."""


def assert_tree(supervisor: Supervisor | DynamicSupervisor, shape: Shape) -> None:
    """Assert which children a supervisor has, in start order, and in which states.

    Args:
        supervisor: the handle to look at.
        shape: for each id the state ("running", ...), or for a child supervisor its shape.

    Raises:
        AssertionError: it differs; both are printed as trees.
    """
    seen = list(_lines(_shape_of(supervisor.snapshot())))
    expected = list(_lines(shape))
    if seen != expected:
        raise AssertionError(
            "the tree is not as expected\nexpected:\n  "
            + "\n  ".join(expected or ["(no children)"])
            + "\nbut it is:\n  "
            + "\n  ".join(seen or ["(no children)"])
        )


def _shape_of(snapshot: Snapshot) -> Shape:
    return {
        child.path.rpartition("/")[2]: (
            _shape_of(child)
            if child.kind == "supervisor" and child.state == "running"
            else child.state
        )
        for child in snapshot.children
    }


def _lines(shape: Shape, indent: str = "") -> Iterable[str]:
    for name, below in shape.items():
        if isinstance(below, str):
            yield f"{indent}{name}: {below}"
        else:
            yield f"{indent}{name}/"
            yield from _lines(below, indent + "  ")


class _Descendants(trio.abc.Instrument):
    """Knows every task that a task, or one of its descendants, has spawned anywhere.

    Also system tasks, and tasks put into nurseries of strangers: structured concurrency
    takes care of the others.
    """

    def __init__(self, ancestor: trio.lowlevel.Task) -> None:
        self.tasks = {ancestor}

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        try:
            spawner = trio.lowlevel.current_task()
        except RuntimeError:
            return  # spawned from outside any task, so not by one of ours
        if spawner in self.tasks:
            self.tasks.add(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.tasks.discard(task)


class TreeOpener:
    """Opens trees for one test; the fixture `open_tree` is one.

    Args:
        nursery: where the trees run.
        end_within: seconds within which a tree must have ended after the test.
    """

    def __init__(self, nursery: trio.Nursery, end_within: float = 60.0) -> None:
        self._nursery = nursery
        self._end_within = end_within
        self._opened: list[tuple[Supervisor | DynamicSupervisor, _Descendants]] = []

    @overload
    async def __call__(
        self, spec: SupervisorSpec, *, name: str = ..., on_event: Iterable[EventHandler] = ...
    ) -> Supervisor: ...
    @overload
    async def __call__(
        self,
        spec: DynamicSupervisorSpec,
        *,
        name: str = ...,
        on_event: Iterable[EventHandler] = ...,
    ) -> DynamicSupervisor: ...
    async def __call__(
        self,
        spec: SupervisorSpec | DynamicSupervisorSpec,
        *,
        name: str = "root",
        on_event: Iterable[EventHandler] = (),
    ) -> Supervisor | DynamicSupervisor:
        """Open a tree, which is stopped when the test has ended.

        Raises:
            ChildStartError: a child could not be started.
        """
        handlers = tuple(on_event)
        descendants: list[_Descendants] = []

        async def run(
            task_status: "trio.TaskStatus[Supervisor | DynamicSupervisor]",
        ) -> None:
            instrument = _Descendants(trio.lowlevel.current_task())
            descendants.append(instrument)
            trio.lowlevel.add_instrument(instrument)
            await supervise(spec, name=name, on_event=handlers, task_status=task_status)

        supervisor: Supervisor | DynamicSupervisor = await self._nursery.start(run)
        self._opened.append((supervisor, descendants[0]))
        return supervisor

    async def close(self) -> None:
        """Stop all trees, the last opened first.

        Raises:
            TreeLeak: one did not end, or left a task behind.
        """
        complaints: list[str] = []
        for supervisor, descendants in reversed(self._opened):
            with trio.move_on_after(self._end_within) as limit:
                await supervisor.stop()
                await wait_all_tasks_blocked()
            if limit.cancelled_caught:
                complaints.append(f"{supervisor!r} did not end in {self._end_within:g} s")
            for task in descendants.tasks:
                where = "".join(traceback.format_list(_frames(task)))
                complaints.append(f"{supervisor!r} left the task {task.name} behind, at\n{where}")
            trio.lowlevel.remove_instrument(descendants)
        self._opened.clear()
        if complaints:
            raise TreeLeak("\n".join(complaints))


def _frames(task: trio.lowlevel.Task) -> traceback.StackSummary:
    return traceback.StackSummary.extract(task.iter_await_frames())
