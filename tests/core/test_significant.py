"""Significant children: their own end can end the supervisor (`auto_shutdown`)."""

import pytest
from actors import Crash, Finish, Journal, Plan, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ChildRestartingEvent,
    ChildSpec,
    DynamicSupervisorSpec,
    ExitKind,
    SpecError,
    SupervisorSpec,
)
from codex_actors.testing import EventLog, TreeOpener, assert_tree


def significant(journal: Journal, name: str, restart: str = "transient") -> ChildSpec:
    """A significant worker."""
    return worker(journal, name, restart=restart, significant=True)


@pytest.mark.parametrize("kind", ["never", "dynamic"])
async def test_refused_when_added(open_tree: TreeOpener, kind: str) -> None:
    """A significant child is refused where nobody would look at it, also at run time."""
    # A1 A5
    journal = Journal()
    spec = SupervisorSpec([]) if kind == "never" else DynamicSupervisorSpec()
    supervisor = await open_tree(spec)

    with pytest.raises(SpecError, match=r"^significant\b"):
        await supervisor.start_child(significant(journal, "a"))

    assert_tree(supervisor, {})
    assert journal.take() == ""


@pytest.mark.parametrize(
    ("restart", "end"),
    [("transient", Finish()), ("temporary", Finish()), ("temporary", Crash())],
    ids=["transient ends", "temporary ends", "temporary crashes"],
)
async def test_any_significant(
    open_tree: TreeOpener, autojump_clock: MockClock, restart: str, end: Finish | Crash
) -> None:
    """The end of one that is not restarted stops the rest in reverse; reason shutdown."""
    # A2
    journal = Journal()
    tree = SupervisorSpec(
        [
            *workers(journal, "a"),
            significant(journal, "b", restart),
            significant(journal, "c", restart),
            *workers(journal, "d"),
        ],
        auto_shutdown="any_significant",
    )
    supervisor = await open_tree(tree)
    journal.take()

    await supervisor["b"].cast(end)
    reason = await supervisor.wait_stopped()

    mark = "-b!" if isinstance(end, Crash) else "-b"
    assert journal.take() == f"{mark} -d -c -a"
    assert reason.kind is ExitKind.SHUTDOWN


async def test_restarted_child_does_not_count(
    open_tree: TreeOpener, autojump_clock: MockClock, event_log: EventLog
) -> None:
    """A transient significant child that crashes is restarted, and nothing else happens."""
    # A2
    journal = Journal()
    tree = SupervisorSpec(
        [*workers(journal, "a"), significant(journal, "b")], auto_shutdown="any_significant"
    )
    supervisor = await open_tree(tree, on_event=[event_log])

    await supervisor["b"].cast(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == "+a +b -b! +b"
    assert_tree(supervisor, {"a": "running", "b": "running"})
    assert len(event_log.of(ChildRestartingEvent)) == 1


async def test_insignificant_child_does_not_count(open_tree: TreeOpener) -> None:
    """The end of any other child is no concern of auto_shutdown."""
    journal = Journal()
    tree = SupervisorSpec(
        [worker(journal, "a", restart="transient"), significant(journal, "b")],
        auto_shutdown="any_significant",
    )
    supervisor = await open_tree(tree)

    await supervisor["a"].cast(Finish())
    await wait_all_tasks_blocked()

    assert_tree(supervisor, {"a": "terminated", "b": "running"})


async def test_terminated_child_does_not_count(open_tree: TreeOpener) -> None:
    """terminate_child never counts, and neither does restarting the child by hand."""
    journal = Journal()
    tree = SupervisorSpec(
        [*workers(journal, "a"), significant(journal, "b"), significant(journal, "c", "temporary")],
        auto_shutdown="any_significant",
    )
    supervisor = await open_tree(tree)

    await supervisor.terminate_child("b")
    await supervisor.terminate_child("c")
    assert_tree(supervisor, {"a": "running", "b": "terminated"})
    await supervisor.restart_child("b")

    assert_tree(supervisor, {"a": "running", "b": "running"})


@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_sibling_restart_does_not_count(open_tree: TreeOpener, restart: str) -> None:
    """A significant child that is stopped by a sibling's group restart does not count."""
    journal = Journal()
    tree = SupervisorSpec(
        [*workers(journal, "a"), significant(journal, "b", restart)],
        strategy="one_for_all",
        auto_shutdown="any_significant",
    )
    supervisor = await open_tree(tree)

    await supervisor["a"].cast(Crash())
    await wait_all_tasks_blocked()

    if restart == "transient":
        assert journal.take() == "+a +b -a! -b +a +b"
    else:
        assert journal.take() == "+a +b -a! -b +a"


async def test_all_significant(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """With all_significant the last of them that ends by itself ends the supervisor."""
    journal = Journal()
    tree = SupervisorSpec(
        [
            *workers(journal, "a"),
            significant(journal, "b"),
            significant(journal, "c", "temporary"),
            significant(journal, "d"),
        ],
        auto_shutdown="all_significant",
    )
    supervisor = await open_tree(tree)
    journal.take()

    await supervisor["c"].cast(Crash())
    await wait_all_tasks_blocked()
    await supervisor["b"].cast(Finish())
    await wait_all_tasks_blocked()
    assert_tree(supervisor, {"a": "running", "b": "terminated", "d": "running"})
    await supervisor["d"].cast(Finish())
    reason = await supervisor.wait_stopped()

    assert journal.take() == "-c! -b -d -a"
    assert reason.kind is ExitKind.SHUTDOWN


async def test_terminated_ones_are_no_longer_waited_for(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """all_significant: one terminated by hand does not end the supervisor, nor hold it up."""
    journal = Journal()
    tree = SupervisorSpec(
        [significant(journal, "a"), significant(journal, "b")], auto_shutdown="all_significant"
    )
    supervisor = await open_tree(tree)

    await supervisor["a"].cast(Finish())
    await wait_all_tasks_blocked()
    await supervisor.terminate_child("b")
    assert_tree(supervisor, {"a": "terminated", "b": "terminated"})
    await supervisor.restart_child("a")
    await supervisor["a"].cast(Finish())

    assert (await supervisor.wait_stopped()).kind is ExitKind.SHUTDOWN


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_auto_shutdown_of_a_child_supervisor(
    open_tree: TreeOpener, autojump_clock: MockClock, restart: str
) -> None:
    """Its end has reason shutdown: a permanent one is restarted, a transient one is not."""
    # A2
    journal = Journal()
    below = SupervisorSpec(
        [significant(journal, "x"), *workers(journal, "y")], auto_shutdown="any_significant"
    )
    tree = SupervisorSpec([*workers(journal, "a"), ChildSpec("sub", below, restart=restart)])
    supervisor = await open_tree(tree)
    journal.take()

    await supervisor.subtree("sub")["x"].cast(Finish())
    await wait_all_tasks_blocked()

    if restart == "permanent":
        assert journal.take() == "-x -y +x +y"
        assert_tree(supervisor, {"a": "running", "sub": {"x": "running", "y": "running"}})
    else:
        assert journal.take() == "-x -y"
        assert_tree(supervisor, {"a": "running", "sub": "terminated"})


async def test_significant_child_supervisor(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A supervisor that gave up ends with shutdown: being significant, it ends its parent."""
    journal = Journal()
    below = SupervisorSpec(workers(journal, "x"), max_restarts=0)
    sub = ChildSpec("sub", below, restart="transient", significant=True)
    tree = SupervisorSpec([*workers(journal, "a"), sub], auto_shutdown="any_significant")
    supervisor = await open_tree(tree)

    await supervisor.subtree("sub")["x"].cast(Crash())
    reason = await supervisor.wait_stopped()

    assert reason.kind is ExitKind.SHUTDOWN
    assert journal.take() == "+a +x -x! -a"


async def test_ignored_significant_child(open_tree: TreeOpener) -> None:
    """A significant child that ignores its start has not ended by itself."""
    journal = Journal()
    ignoring = worker(journal, "a", Plan(ignoring={1}), restart="transient", significant=True)
    tree = SupervisorSpec([ignoring, *workers(journal, "b")], auto_shutdown="any_significant")

    supervisor = await open_tree(tree)
    await wait_all_tasks_blocked()

    assert_tree(supervisor, {"a": "terminated", "b": "running"})
