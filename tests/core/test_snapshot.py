"""Snapshots: frozen, plain pictures of a tree with the right figures."""

import json
import math

import pytest
import trio
from actors import Crash, Hang, Journal, Note, Ping, Plan, task, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import Backoff, ChildSpec, DynamicSupervisorSpec, Snapshot, SupervisorSpec
from codex_actors.testing import TreeOpener


def _child(snapshot: Snapshot, path: str) -> Snapshot:
    found = [child for child in snapshot.children if child.path == path]
    return found[0]


async def test_shape(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Paths, kinds, states and nesting are those of the tree, in start order."""
    journal = Journal()
    inner = SupervisorSpec(workers(journal, "x y"))
    spec = SupervisorSpec(
        [
            worker(journal, "a"),
            ChildSpec("inner", inner),
            ChildSpec("pool", DynamicSupervisorSpec()),
            task(journal, "t"),
        ]
    )
    supervisor = await open_tree(spec)

    snapshot = supervisor.snapshot()

    assert (snapshot.path, snapshot.kind, snapshot.state) == ("", "supervisor", "running")
    assert [(child.path, child.kind) for child in snapshot.children] == [
        ("a", "worker"),
        ("inner", "supervisor"),
        ("pool", "supervisor"),
        ("t", "worker"),
    ]
    inner_children = _child(snapshot, "inner").children
    assert [child.path for child in inner_children] == ["inner/x", "inner/y"]
    assert [child.mailbox_capacity for child in snapshot.children] == [1024, None, None, None]


async def test_figures(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Uptime, mailbox, messages handled and in hand, restarts and the last error."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec([worker(journal, "a", mailbox_capacity=8)]))
    ref = supervisor["a"]
    await ref.call(Ping())
    await trio.sleep(2)
    ref.cast_nowait(Crash())
    await ref.call(Ping())
    await trio.sleep(3)
    ref.cast_nowait(Hang())
    for _ in range(3):
        ref.cast_nowait(Note("waits"))
    await trio.sleep(1)

    root = supervisor.snapshot()
    child = root.children[0]

    assert root.uptime == 6
    assert root.restarts_in_window == 1
    assert child.uptime == 4
    assert (child.restarts, child.handled) == (1, 2)
    assert (child.mailbox, child.mailbox_capacity) == (3, 8)
    assert (child.in_hand, child.in_hand_for) == ("Hang", 1)
    assert child.last_error == "crash: Boom"
    await trio.sleep(5)
    assert supervisor.snapshot().restarts_in_window == 0
    ref.kill()


async def test_a_child_that_does_not_run(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """A terminated child or one in backoff has a state, and no uptime."""
    journal = Journal()
    patient = Backoff(base=40_000, factor=1, max=40_000)
    spec = SupervisorSpec([worker(journal, "a"), worker(journal, "b", backoff=patient)])
    supervisor = await open_tree(spec)
    await supervisor.terminate_child("a")
    supervisor["b"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    children = supervisor.snapshot().children

    assert [child.state for child in children] == ["terminated", "backoff"]
    assert [child.uptime for child in children] == [None, None]
    assert [child.last_error for child in children] == [None, "crash: Boom"]


async def test_frozen(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """A snapshot is a picture: it does not change when the tree does, nor by hand."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))
    before = supervisor.snapshot()

    await supervisor.terminate_child("a")

    assert before.children[0].state == "running"
    assert supervisor.snapshot().children[0].state == "terminated"
    with pytest.raises(AttributeError):
        before.state = "stopped"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue] - that is the test


async def test_serialisable(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """`to_dict` is a JSON document, an unbounded mailbox's capacity included."""
    journal = Journal()
    spec = SupervisorSpec(
        [worker(journal, "a", mailbox_capacity=math.inf), worker(journal, "b", Plan())]
    )
    supervisor = await open_tree(spec)
    supervisor["b"].cast_nowait(Crash())
    await wait_all_tasks_blocked()

    document = supervisor.snapshot().to_dict()

    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert [child["path"] for child in document["children"]] == ["a", "b"]


async def test_of_a_stopped_tree(autojump_clock: MockClock, open_tree: TreeOpener) -> None:
    """The picture of a tree that has ended is that of one terminated supervisor."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))

    await supervisor.stop()

    snapshot = supervisor.snapshot()
    assert (snapshot.state, snapshot.uptime, snapshot.children) == ("terminated", None, ())
