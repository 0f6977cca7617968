"""A child supervisor that gave up, seen by its parent; and settings that never trip."""

import pytest
from actors import Crash, Journal, Plan, worker, workers
from giving_up import give_up
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Backoff,
    ChildExited,
    ChildSpec,
    ChildState,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    ExitKind,
    Restart,
    RestartIntensityUnreachable,
    Shutdown,
    Strategy,
    Supervisor,
    SupervisorSpec,
)
from codex_actors.testing import EventLog, TreeOpener, assert_tree


def _nested(journal: Journal, restart: str = "permanent", **inner: int) -> SupervisorSpec:
    below = SupervisorSpec(workers(journal, "x y"), max_restarts=inner.get("max_restarts", 0))
    return SupervisorSpec(
        [
            worker(journal, "a"),
            ChildSpec("inner", below, restart=Restart(restart)),
            worker(journal, "b"),
        ]
    )


def _static(handle: Supervisor | DynamicSupervisor) -> Supervisor:
    assert isinstance(handle, Supervisor)
    return handle


async def test_permanent_supervisor_is_restarted(
    open_tree: TreeOpener, event_log: EventLog, autojump_clock: MockClock
) -> None:
    """The parent restarts it with its static children only, and is charged once."""
    # I7
    journal = Journal()
    root = await open_tree(_nested(journal), on_event=[event_log])
    inner = _static(root.subtree("inner"))
    await inner.start_child(worker(journal, "late"))
    journal.take()

    inner["x"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == "-x! -late -y +x +y"
    assert_tree(root, {"a": "running", "inner": {"x": "running", "y": "running"}, "b": "running"})
    assert root.snapshot().restarts_in_window == 1
    exits = event_log.of(ChildExited, "inner")
    assert [event.reason.kind for event in exits] == [ExitKind.SHUTDOWN]


@pytest.mark.parametrize(
    ("restart", "left"), [("transient", ["a", "inner", "b"]), ("temporary", ["a", "b"])]
)
async def test_other_supervisors_are_not(
    restart: str, left: list[str], open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Giving up is a `shutdown`: a transient supervisor is kept, a temporary one forgotten."""
    # R2 R3 I5
    journal = Journal()
    root = await open_tree(_nested(journal, restart))
    inner = _static(root.subtree("inner"))
    journal.take()

    inner["x"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == "-x! -y"
    assert [info.id for info in root.which_children()] == left
    assert root.snapshot().restarts_in_window == 0
    if "inner" in left:
        assert root.which_children()[1].state is ChildState.TERMINATED


async def test_a_dynamic_child_supervisor_comes_back_empty(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """The children of a dynamic supervisor that gave up are gone."""
    # I7
    journal = Journal()
    pool = ChildSpec("pool", DynamicSupervisorSpec(max_restarts=0))
    root = await open_tree(SupervisorSpec([pool]))
    handle = root.subtree("pool")
    assert isinstance(handle, DynamicSupervisor)
    refs = [await handle.start_child(spec) for spec in workers(journal, "x y")]

    refs[0].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert_tree(root, {"pool": {}})
    assert journal.entries == ["+x", "+y", "-x!", "-y"]


async def test_escalation_to_the_root(autojump_clock: MockClock) -> None:
    """Each level gives up in its turn; the opener's error holds the root's window."""
    # I5 I7
    journal = Journal()
    inner = SupervisorSpec(workers(journal, "x"), max_restarts=1)
    spec = SupervisorSpec([worker(journal, "a"), ChildSpec("inner", inner)], max_restarts=1)

    async def act(root: Supervisor) -> None:
        for _ in range(4):
            ref = root.whereis("inner/x")
            assert ref is not None
            ref.cast_nowait(Crash())
            await wait_all_tasks_blocked()

    error = await give_up(spec, act)

    assert journal.take() == "+a +x -x! +x -x! +x -x! +x -x! -a"
    assert error.crashes == ()


async def test_a_child_supervisor_that_fails_to_restart(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Its start fails as a whole, and is tried again on the parent's account."""
    # I8
    journal = Journal()
    plan = Plan(failing={2, 3})
    below = SupervisorSpec([worker(journal, "x"), worker(journal, "y", plan)], max_restarts=0)
    root = await open_tree(SupervisorSpec([ChildSpec("inner", below)], max_restarts=3))
    journal.take()

    _static(root.subtree("inner"))["x"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == "-x! -y +x +y✗ -x +x +y✗ -x +x +y"
    assert root.snapshot().restarts_in_window == 3


def _unreachable(log: EventLog) -> list[str]:
    return [event.child for event in log.of(RestartIntensityUnreachable)]


@pytest.mark.parametrize(
    ("shutdown", "warned"),
    [(4.0, False), (60.0, True), (Shutdown.BRUTAL_KILL, False)],
)
async def test_warning_about_a_long_shutdown(
    shutdown: float | Shutdown,
    warned: bool,
    open_tree: TreeOpener,
    event_log: EventLog,
    autojump_clock: MockClock,
) -> None:
    """A `shutdown` that outlasts the window keeps group restarts from adding up: warn."""
    journal = Journal()
    slow = worker(journal, "a", shutdown=shutdown)
    spec = SupervisorSpec([slow], strategy=Strategy.ONE_FOR_ALL, max_seconds=5)

    await open_tree(spec, on_event=[event_log])

    assert _unreachable(event_log) == (["a"] if warned else [])


@pytest.mark.parametrize(("base", "warned"), [(0.1, False), (60.0, True)])
async def test_warning_about_a_slow_backoff(
    base: float,
    warned: bool,
    open_tree: TreeOpener,
    event_log: EventLog,
    autojump_clock: MockClock,
) -> None:
    """A backoff so slow that the intensity can never trip gets a warning."""
    journal = Journal()
    slow = worker(journal, "a", backoff=Backoff(base=base, max=1000))
    spec = SupervisorSpec([ChildSpec("inner", SupervisorSpec([slow]))])

    await open_tree(spec, on_event=[event_log])

    assert _unreachable(event_log) == (["a"] if warned else [])
    assert [event.path for event in event_log.of(RestartIntensityUnreachable)] == (
        ["inner"] if warned else []
    )
