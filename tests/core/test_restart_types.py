"""Restart types: who is started again after which end, and what is kept of the others."""

import gc
import weakref

import pytest
import trio
from actors import Crash, Finish, Journal, worker
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ActorRef,
    ChildSpec,
    ChildState,
    ExitKind,
    ExitReason,
    Restart,
    SupervisorSpec,
)
from codex_actors.testing import TreeOpener

_SHUTDOWN = ExitReason(ExitKind.SHUTDOWN)
_SHUTDOWN_X = ExitReason(ExitKind.SHUTDOWN, detail="x")
_ENDS = {
    "normal": Finish(),
    "shutdown": Finish(_SHUTDOWN),
    "shutdown(x)": Finish(_SHUTDOWN_X),
    "crash": Crash(),
}


def _end(ref: ActorRef, how: str) -> None:
    if how == "kill":
        ref.kill()
    else:
        ref.cast_nowait(_ENDS[how])


@pytest.mark.parametrize("how", [*_ENDS, "kill"])
async def test_permanent_is_always_restarted(
    how: str, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A permanent child is restarted whatever ended it, and each time is charged."""
    # R1
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec([worker(journal, "a")], max_restarts=2))

    for _ in range(2):
        _end(supervisor["a"], how)
        await wait_all_tasks_blocked()

    assert [mark for mark in journal.entries if mark == "+a"] == ["+a"] * 3
    assert supervisor.snapshot().restarts_in_window == 2
    assert supervisor.which_children()[0].state is ChildState.RUNNING


@pytest.mark.parametrize("how", ["normal", "shutdown", "shutdown(x)"])
async def test_finished_transient_keeps_its_spec(
    how: str, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A transient child that finished is kept as terminated, for restart_child."""
    # R2 R4
    journal = Journal()
    spec = SupervisorSpec([worker(journal, "a", restart="transient")], max_restarts=0)
    supervisor = await open_tree(spec)

    _end(supervisor["a"], how)
    await wait_all_tasks_blocked()

    assert supervisor.which_children()[0].state is ChildState.TERMINATED
    assert supervisor.snapshot().restarts_in_window == 0
    await supervisor.restart_child("a")
    assert journal.entries == ["+a", "-a", "+a"]


@pytest.mark.parametrize("how", ["crash", "kill"])
async def test_crashed_transient_is_restarted(
    how: str, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A transient child is restarted after an abnormal end, which is charged."""
    # R2
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec([worker(journal, "a", restart="transient")]))

    _end(supervisor["a"], how)
    await wait_all_tasks_blocked()

    assert supervisor.which_children()[0].state is ChildState.RUNNING
    assert supervisor.snapshot().restarts_in_window == 1


@pytest.mark.parametrize("how", [*_ENDS, "kill"])
async def test_temporary_is_forgotten(
    how: str, open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A temporary child is never restarted, costs nothing, and leaves no spec."""
    # R3 R4
    journal = Journal()
    spec = SupervisorSpec([worker(journal, "a", restart="temporary")], max_restarts=0)
    supervisor = await open_tree(spec)

    _end(supervisor["a"], how)
    await wait_all_tasks_blocked()

    assert supervisor.which_children() == ()
    assert supervisor.count_children().specs == 0
    assert supervisor.snapshot().restarts_in_window == 0
    with pytest.raises(KeyError):
        supervisor["a"]


async def test_temporary_arguments_are_not_kept(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Nothing holds the arguments of a temporary child that has ended."""

    # R5
    class Argument:
        """Something that can be referred to weakly."""

    class Holder(Actor):
        """Has its argument only by its spec."""

        def __init__(self, argument: Argument) -> None:
            self.argument = argument

    supervisor = await open_tree(SupervisorSpec([]))
    argument = Argument()
    watcher = weakref.ref(argument)
    spec = ChildSpec("a", Holder, args=(argument,), restart="temporary")
    ref = await supervisor.start_child(spec)
    del argument, spec

    await ref.stop()
    del ref
    await wait_all_tasks_blocked()
    gc.collect()

    assert watcher() is None


async def test_async_function_children_have_restart_types_too(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A function that returns has ended normally: only a permanent one is run again."""
    # R1 R2 R3
    runs: list[str] = []

    async def once(name: str) -> None:
        runs.append(name)
        if runs.count(name) > 1:
            await trio.sleep_forever()

    spec = SupervisorSpec(
        [
            ChildSpec(name, once, args=(name,), restart=Restart(name))
            for name in ("permanent", "transient", "temporary")
        ]
    )
    supervisor = await open_tree(spec)
    await wait_all_tasks_blocked()

    assert sorted(runs) == ["permanent", "permanent", "temporary", "transient"]
    states = {info.id: info.state for info in supervisor.which_children()}
    assert states == {"permanent": ChildState.RUNNING, "transient": ChildState.TERMINATED}
