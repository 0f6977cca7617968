"""Every operation on a child in every state, through the public handle.

Rows and columns are those of the specification's table of administration.
"""

from collections.abc import Awaitable

import pytest
import trio
from actors import Ping
from attrs import frozen
from scenes import ENDLESS, WAYS, Scene, answer_of, scene_in
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorRef,
    ActorStopped,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartError,
)

OK = "ok"


@frozen
class Cell:
    """What an operation answers, and the state of the child afterwards."""

    answer: object
    then: str


TABLE: dict[str, dict[str, Cell]] = {
    "running": {
        "start": Cell(ChildAlreadyStarted, "running"),
        "terminate": Cell(OK, "terminated"),
        "restart": Cell(ChildRunning, "running"),
        "delete": Cell(ChildRunning, "running"),
    },
    "terminated": {
        "start": Cell(ChildAlreadyPresent, "terminated"),
        "terminate": Cell(OK, "terminated"),
        "restart": Cell(OK, "running"),
        "delete": Cell(OK, "unknown"),
    },
    "restarting": {
        "start": Cell(ChildAlreadyPresent, "restarting"),
        "terminate": Cell(OK, "terminated"),
        "restart": Cell(ChildRestarting, "restarting"),
        "delete": Cell(ChildRestarting, "restarting"),
    },
    "backoff": {
        "start": Cell(ChildAlreadyPresent, "backoff"),
        "terminate": Cell(OK, "terminated"),
        "restart": Cell(ChildRestarting, "backoff"),
        "delete": Cell(ChildRestarting, "backoff"),
    },
    "unknown": {
        "start": Cell(OK, "running"),
        "terminate": Cell(ChildNotFound, "unknown"),
        "restart": Cell(ChildNotFound, "unknown"),
        "delete": Cell(ChildNotFound, "unknown"),
    },
    "starting": {
        "start": Cell(ChildAlreadyStarted, "starting"),
        "terminate": Cell(OK, "terminated"),
        "restart": Cell(ChildRunning, "starting"),
        "delete": Cell(ChildRunning, "starting"),
    },
    # Asked while it stops, answered as for terminated when it has.
    "stopping": {
        "start": Cell(ChildAlreadyPresent, "terminated"),
        "terminate": Cell(OK, "terminated"),
        "restart": Cell(OK, "running"),
        "delete": Cell(OK, "unknown"),
    },
}

CELLS = [
    pytest.param(state, operation, cell, id=f"{state}-{operation}")
    for state, row in TABLE.items()
    for operation, cell in row.items()
]


def ask(scene: Scene, operation: str) -> Awaitable[object]:
    """One of the four operations on the child."""
    if operation == "start":
        return scene.supervisor.start_child(scene.spec())
    if operation == "terminate":
        return scene.supervisor.terminate_child("c")
    if operation == "restart":
        return scene.supervisor.restart_child("c")
    return scene.supervisor.delete_child("c")


def test_table_is_total() -> None:
    """Every state is brought about, and has a row of four operations."""
    assert set(TABLE) == set(WAYS)
    assert all(len(row) == 4 for row in TABLE.values())


@pytest.mark.parametrize(("state", "operation", "cell"), CELLS)
async def test_answer(autojump_clock: MockClock, state: str, operation: str, cell: Cell) -> None:
    """Each cell: the answer, when it comes, and the state afterwards."""
    # S6 S7 S8 S9 S10 S11 G10 B7
    async with scene_in(state) as scene:
        asked = trio.current_time()

        if state == "stopping":
            box: list[object] = []

            async def wait_for_it() -> None:
                box.append(await answer_of(ask(scene, operation)))

            scene.nursery.start_soon(wait_for_it)
            await wait_all_tasks_blocked()
            assert box == []
            scene.let_go()
            await wait_all_tasks_blocked()
            answer = box.pop()
        else:
            answer = await answer_of(ask(scene, operation))

        expected = {None, scene.supervisor.whereis("c")} if cell.answer == OK else {cell.answer}
        assert answer in expected
        assert isinstance(answer, ActorRef) == (
            cell.answer == OK and operation in {"start", "restart"}
        )
        assert scene.state() == cell.then
        assert trio.current_time() == asked
        if cell.then == "terminated":
            scene.let_go()
            autojump_clock.jump(ENDLESS.max)
            await wait_all_tasks_blocked()
            assert scene.state() == "terminated"


async def test_already_started_carries_the_ref(autojump_clock: MockClock) -> None:
    """The error for a child that runs, or is being started, carries its ref."""
    # S6
    for state in ("running", "starting"):
        async with scene_in(state) as scene:
            with pytest.raises(ChildAlreadyStarted) as raised:
                await scene.supervisor.start_child(scene.spec())

            assert raised.value.ref is scene.supervisor["c"]


@pytest.mark.parametrize("state", ["running", "starting", "stopping"])
async def test_terminated_temporary_child_is_forgotten(
    autojump_clock: MockClock, state: str
) -> None:
    """In whatever state a temporary child is terminated, nothing is kept of it."""
    # S15
    async with scene_in(state, restart="temporary") as scene:
        if state == "stopping":
            scene.let_go()

        await scene.supervisor.terminate_child("c")

        scene.let_go()
        assert scene.state() == "unknown"
        await scene.supervisor.start_child(scene.spec())
        assert scene.state() == "running"


async def test_cancelled_start_tells_its_starter(autojump_clock: MockClock) -> None:
    """Who waits in start_child for a start that terminate_child cancels is told so."""
    async with scene_in("starting") as scene:
        await scene.supervisor.terminate_child("c")
        await wait_all_tasks_blocked()

        assert scene.answers == [ChildStartError]
        assert scene.journal.take() == "+c✗"


@pytest.mark.parametrize("state", ["restarting", "backoff"])
async def test_cancelled_retry_can_be_restarted(autojump_clock: MockClock, state: str) -> None:
    """After terminate_child has ended the retries, restart_child works again."""
    # G10
    async with scene_in(state) as scene:
        await scene.supervisor.terminate_child("c")
        scene.let_go()

        ref = await scene.supervisor.restart_child("c")

        assert scene.state() == "running"
        assert await ref.call(Ping()) == scene.plan.starts


@pytest.mark.parametrize("state", ["starting", "stopping", "restarting"])
async def test_others_are_answered_meanwhile(autojump_clock: MockClock, state: str) -> None:
    """While a slow child starts, stops or restarts, operations on others are done at once."""
    # T10 G11
    async with scene_in(state) as scene:
        supervisor, asked = scene.supervisor, trio.current_time()

        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")
        await supervisor.terminate_child("z")
        await supervisor.delete_child("z")
        assert await supervisor["a"].call(Ping()) == 2

        assert trio.current_time() == asked
        assert scene.state() == state
        assert supervisor.count_children().specs == 2


@pytest.mark.parametrize("state", ["starting", "stopping", "restarting", "backoff"])
async def test_stop_comes_through(autojump_clock: MockClock, state: str) -> None:
    """A supervisor is stopped promptly whatever a child is doing; those waiting are told."""
    # G11 B7
    async with scene_in(state) as scene:
        asked = trio.current_time()
        if state == "stopping":
            scene.in_background(scene.supervisor.restart_child("c"))
            await wait_all_tasks_blocked()
            scene.let_go()

        await scene.supervisor.stop()

        await wait_all_tasks_blocked()
        assert trio.current_time() == asked
        assert scene.journal.take().replace("+c✗", "").split() == (
            ["-c", "-z", "-a"] if state == "stopping" else ["-z", "-a"]
        )
        if state == "starting":
            assert scene.answers == [ActorStopped]
