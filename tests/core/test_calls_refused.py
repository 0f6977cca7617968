"""Calls and casts that are refused in the sender, at once."""

import pytest
import trio
from messaging import (
    Board,
    Desk,
    Note,
    Say,
    Unknown,
    UnknownCast,
    ask,
    occupy,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorDied,
    ActorError,
    ActorStopped,
    ChildSpec,
    ExitKind,
    SupervisorSpec,
    UnhandledMessage,
    open_supervisor,
)


async def test_a_message_without_a_handler_is_refused_in_the_sender() -> None:
    """At once, for calls and both kinds of casts; the actor never sees it."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")], max_restarts=0)) as root:
        desk = root["desk"]

        with pytest.raises(UnhandledMessage, match=r"desk.*Unknown"):
            await desk.call(Unknown())
        with pytest.raises(TypeError):
            await desk.cast(UnknownCast())
        with pytest.raises(UnhandledMessage):
            desk.cast_nowait(UnknownCast())

        assert await desk.call(Say("well")) == "well"
    assert board.log == ["1:well"]


async def test_a_busy_or_full_actor_refuses_an_unknown_message_as_fast() -> None:
    """The check is the sender's: it waits for nothing."""
    board = Board()
    spec = board.spec("desk", mailbox_capacity=0)
    async with open_supervisor(SupervisorSpec([spec])) as root, trio.open_nursery() as nursery:
        occupied = await occupy(nursery, root["desk"])

        unknown = await ask(nursery, root["desk"], Unknown())

        assert isinstance(unknown.result, UnhandledMessage)
        occupied.release()


async def test_a_factory_s_actor_is_known_after_its_first_start() -> None:
    """A message that arrived before is refused by the framework, in the sender too."""
    slow, board = Board(), Board()
    gate = trio.Event()

    async def wait_for_gate(_desk: Desk) -> None:
        await gate.wait()

    slow.on_init = wait_for_gate
    branch = SupervisorSpec(
        [slow.spec("slow"), ChildSpec("desk", lambda: Desk(board))], max_restarts=0
    )
    async with open_supervisor(SupervisorSpec([])) as root, trio.open_nursery() as nursery:
        nursery.start_soon(root.start_child, ChildSpec("branch", branch))
        await wait_all_tasks_blocked()
        desk = root.whereis("branch/desk")
        assert desk is not None

        early = await ask(nursery, desk, Unknown())
        assert early.pending
        gate.set()

        assert isinstance(await early.error(), UnhandledMessage)
        with pytest.raises(UnhandledMessage):
            await desk.call(Unknown())
        assert board.built == 1


async def test_a_supervisor_and_a_task_take_no_messages() -> None:
    """Their refs are for their life, not for messages."""

    async def forever() -> None:
        await trio.sleep_forever()

    children = [ChildSpec("tree", SupervisorSpec([])), ChildSpec("task", forever)]
    async with open_supervisor(SupervisorSpec(children)) as root:
        for name in ("tree", "task"):
            with pytest.raises(UnhandledMessage, match=name):
                await root[name].call(Say("hello"))
            with pytest.raises(UnhandledMessage):
                root[name].cast_nowait(Note("hello"))


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_an_actor_that_will_not_run_again_refuses_at_once(
    restart: str, autojump_clock: MockClock
) -> None:
    """Calls and casts to a terminated child fail, in no time."""
    # C3
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk", restart=restart)])) as root:
        await root.terminate_child("desk")
        start = trio.current_time()
        desk = root["desk"]

        with pytest.raises(ActorStopped) as caught:
            await desk.call(Say("hello"), timeout=60)
        with pytest.raises(trio.ClosedResourceError):
            await desk.cast(Note("hello"))
        with pytest.raises(ActorStopped):
            desk.cast_nowait(Note("hello"))

        assert not isinstance(caught.value, ActorDied)
        assert caught.value.ref is desk
        assert caught.value.reason.kind is ExitKind.SHUTDOWN
        assert trio.current_time() == start


async def test_a_tree_that_ended_refuses_at_once(autojump_clock: MockClock) -> None:
    """A ref may outlive its tree: then it says so."""
    # C3
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        desk = root["desk"]

    with pytest.raises(ActorStopped, match="desk is not running"):
        await desk.call(Say("hello"))
    with pytest.raises(ActorError):
        desk.cast_nowait(Note("hello"))
