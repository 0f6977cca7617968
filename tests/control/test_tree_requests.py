"""Requests about the tree, as a supervisor process handles them; on a clock of their own."""

import pytest
import trio
from steering_support import Work, open_desk
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import ChildSpec, ChildStartError, DynamicSupervisor
from codex_actors.control.errors import (
    Leaving,
    NotFound,
    OperationCancelled,
    RequestFailed,
    Starting,
)
from codex_actors.control.local import LocalSession
from codex_actors.control.messages import Cancel, RestartChild, StartChild, StopChild, Tree
from codex_actors.control.service import Service


@pytest.mark.parametrize("path", [None, "", "/", "top"])
async def test_the_root_has_several_names(path: str | None) -> None:
    """Its own, and those of who has none for it."""
    async with open_desk() as desk:
        answer = await desk.ask(Tree(path=path))

        assert (answer["root"], answer["tree"]["path"]) == ("top", "")
        assert [child["path"] for child in answer["tree"]["children"]] == [
            *("idle", "inner", "pool", "brief")
        ]


async def test_a_part_of_the_tree() -> None:
    """What is below an actor, and it itself."""
    async with open_desk() as desk:
        answer = await desk.ask(Tree(path="inner"))

        assert answer["tree"]["path"] == "inner"
        assert [child["path"] for child in answer["tree"]["children"]] == ["inner/planned"]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("iddle", "did you mean idle?"),
        ("planned", "did you mean inner/planned?"),
        ("inner/plan", "did you mean inner/planned?"),
        ("idle/below", "see `ps`"),
        ("inner//planned", "did you mean inner/planned?"),
        ("\x00", "see `ps`"),
    ],
)
async def test_who_is_not_there(path: str, hint: str) -> None:
    """The nearest is named, for looking as for steering."""
    async with open_desk() as desk:
        for request in (Tree(path=path), StopChild(path=path)):
            with pytest.raises(NotFound) as caught:
                await desk.ask(request)

            assert f"there is no actor {path!r}" in str(caught.value)
            assert hint in str(caught.value)


async def test_stop_waits_for_the_message_in_hand(autojump_clock: MockClock) -> None:
    """Answered when it is gone; a second one changes nothing; a start brings it back."""
    async with open_desk() as desk:
        await desk.supervisor.subtree("inner")["planned"].cast(Work(20.0))
        await wait_all_tasks_blocked()
        began = trio.current_time()

        stopped = await desk.ask(StopChild(path="inner/planned"))

        assert trio.current_time() - began == pytest.approx(20.0)
        assert desk.plan.ended == ["shutdown"]
        assert (stopped["was"], stopped["actor"]["state"]) == ("running", "terminated")
        again = await desk.ask(StopChild(path="inner/planned"))
        assert (again["was"], again["actor"]["state"]) == ("terminated", "terminated")
        started = await desk.ask(StartChild(path="inner/planned"))
        assert (started["was"], started["actor"]["state"]) == ("terminated", "running")
        with pytest.raises(RequestFailed, match="`restart` stops it and starts it again"):
            await desk.ask(StartChild(path="inner/planned"))


async def test_restart_is_no_restart_of_a_supervisor(autojump_clock: MockClock) -> None:
    """A new life, which counts towards no intensity; also for what was stopped."""
    async with open_desk() as desk:
        for _ in range(10):
            await desk.ask(RestartChild(path="inner/planned"))
        await desk.ask(StopChild(path="inner/planned"))
        answer = await desk.ask(RestartChild(path="inner/planned"))

        assert (answer["was"], answer["actor"]["state"]) == ("terminated", "running")
        assert desk.plan.lives == 12
        assert (await desk.ask(Tree(path="inner")))["tree"]["restarts_in_window"] == 0


async def test_a_start_that_fails_is_told_with_its_cause() -> None:
    """The child stays stopped, and is in the table of operations as failed."""
    async with open_desk() as desk:
        desk.plan.start_error = ValueError("no disk")

        with pytest.raises(ChildStartError, match="no disk"):
            await desk.ask(RestartChild(path="inner/planned"))

        assert desk.state("inner/planned") == "terminated"
        (operation,) = desk.service.operations.ended()
        assert (operation.kind, operation.what, operation.state) == (
            *("restart", "inner/planned"),
            "failed",
        )


async def test_a_restart_goes_on_when_its_client_goes(autojump_clock: MockClock) -> None:
    """Between its stop and its start a child would stay away."""
    async with open_desk() as desk:
        desk.plan.start_delay = 5.0
        with trio.move_on_after(1.0) as patience:
            await desk.ask(RestartChild(path="inner/planned"))
        assert patience.cancelled_caught
        assert desk.state("inner/planned") == "starting"
        assert len(desk.service.operations) == 1

        await desk.service.operations.wait_empty()

        assert desk.state("inner/planned") == "running"


async def test_without_a_nursery_it_ends_with_its_client(autojump_clock: MockClock) -> None:
    """Nobody is there who could go on with it."""
    async with open_desk(background=False) as desk:
        desk.plan.start_delay = 5.0
        with trio.move_on_after(1.0):
            await desk.ask(RestartChild(path="inner/planned"))

        assert len(desk.service.operations) == 0
        assert desk.state("inner/planned") == "terminated"


async def test_it_can_be_given_up(autojump_clock: MockClock) -> None:
    """As any operation; who waits for it is told."""
    async with open_desk() as desk, trio.open_nursery() as nursery:
        desk.plan.start_delay = 60.0

        async def restart() -> None:
            with pytest.raises(OperationCancelled):
                await desk.ask(RestartChild(path="inner/planned"))

        nursery.start_soon(restart)
        await wait_all_tasks_blocked()
        answer = await desk.ask(Cancel(operation=1))

        assert (answer["operation"]["kind"], answer["operation"]["state"]) == ("restart", "running")
        await desk.service.operations.wait_empty()
        assert desk.state("inner/planned") == "terminated"


async def test_children_that_come_and_go() -> None:
    """They are stopped, which is their end; nobody but who started them can start them."""
    async with open_desk() as desk:
        pool = desk.supervisor.subtree("pool")
        assert isinstance(pool, DynamicSupervisor)
        await pool.start_child(ChildSpec("guest", trio.sleep_forever))

        for request in (RestartChild(path="pool/guest"), StartChild(path="pool/guest")):
            with pytest.raises(RequestFailed, match="its supervisor is dynamic"):
                await desk.ask(request)
        with pytest.raises(RequestFailed, match="temporary"):
            await desk.ask(RestartChild(path="brief"))
        assert (desk.state("pool/guest"), desk.state("brief")) == ("running", "running")
        for path in ("pool/guest", "brief"):
            answer = await desk.ask(StopChild(path=path))
            assert (answer["was"], answer["actor"]) == ("running", None)
            assert desk.state(path) is None


@pytest.mark.parametrize("path", ["", "/", "top"])
async def test_the_root_has_no_supervisor(path: str) -> None:
    """It is ended by other means, which are named."""
    async with open_desk() as desk:
        for request in (StopChild(path=path), StartChild(path=path), RestartChild(path=path)):
            with pytest.raises(RequestFailed, match="`drain` or `shutdown`") as caught:
                await desk.ask(request)
            assert caught.value.kind == "IsRoot"


async def test_while_draining_nothing_is_begun() -> None:
    """What is under way may finish, nothing new."""
    async with open_desk() as desk:
        desk.service.operations.close()

        with pytest.raises(Leaving):
            await desk.ask(StopChild(path="idle"))

        assert desk.state("idle") == "running"


async def test_before_and_after_there_is_no_tree() -> None:
    """Both are told apart."""
    service = Service()
    with pytest.raises(Starting):
        await LocalSession(service).request(Tree())
    service.close()

    with pytest.raises(Leaving):
        await LocalSession(service).request(StopChild(path="a"))
