"""Ten thousand dynamic children: linear effort, and nothing left behind."""

import gc
import tracemalloc
import weakref

import trio
from attrs import define

from codex_actors import Actor, ChildSpec, DynamicSupervisor, DynamicSupervisorSpec, open_supervisor

MANY = 10_000
FEW = 1_000


@define(eq=False)
class Steps(trio.abc.Instrument):
    """Counts the steps of all tasks, and the tasks that live."""

    steps: int = 0
    alive: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """One step more."""
        self.steps += 1

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """One task more."""
        self.alive += 1

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        """One task less."""
        self.alive -= 1


class Child(Actor):
    """Does nothing, and can be weakly referenced."""


async def add(supervisor: DynamicSupervisor, count: int) -> None:
    """Start children, one after the other."""
    spec = ChildSpec(None, Child, restart="temporary")
    for _ in range(count):
        await supervisor.start_child(spec)


async def test_effort_is_linear() -> None:
    """Adding and stopping ten times as many takes ten times as many steps."""
    # D10
    taken = dict[int, int]()

    for count in (FEW, MANY):
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
            await add(supervisor, count)
            assert supervisor.count_children().active == count
        trio.lowlevel.remove_instrument(steps)
        taken[count] = steps.steps
        assert steps.alive == 0

    assert taken[MANY] <= 10.5 * taken[FEW]


async def test_children_that_ended_leave_nothing() -> None:
    """In a supervisor that lives on, ten thousand that came and went leave no trace."""
    # D10 R5
    actors: weakref.WeakSet[Child] = weakref.WeakSet()

    def make() -> Child:
        child = Child()
        actors.add(child)
        return child

    spec = ChildSpec(None, make, restart="temporary")

    async def come_and_go(count: int) -> None:
        for _ in range(count):
            await supervisor.terminate_child(await supervisor.start_child(spec))

    steps = Steps()
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        await come_and_go(100)
        gc.collect()
        trio.lowlevel.add_instrument(steps)
        tracemalloc.start()
        try:
            await come_and_go(MANY)
            gc.collect()
            grown, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        trio.lowlevel.remove_instrument(steps)

        assert len(actors) == 0
        assert supervisor.which_children() == ()
        assert supervisor.snapshot().children == ()

    assert steps.alive == 0
    # Less than two bytes for each that came and went: only what the interpreter itself caches.
    # Less than the smallest object for each; Trio prunes cancelled deadlines late.
    assert grown < 8 * MANY


async def test_tree_that_ended_leaves_nothing() -> None:
    """When the tree is gone so are its actors, its refs and its handle."""
    # D10
    actors: weakref.WeakSet[Child] = weakref.WeakSet()
    refs: weakref.WeakSet[object] = weakref.WeakSet()

    def make() -> Child:
        child = Child()
        actors.add(child)
        return child

    async def live() -> None:
        async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
            refs.add(supervisor)
            for _ in range(100):
                refs.add(await supervisor.start_child(ChildSpec(None, make)))

    await live()
    gc.collect()

    assert len(actors) == 0
    assert len(refs) == 0
