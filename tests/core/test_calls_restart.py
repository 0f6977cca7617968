"""A restart keeps the mailbox: only the message in hand fails."""

import pytest
import trio
from messaging import (
    Board,
    Desk,
    Do,
    DoCast,
    Hold,
    Note,
    Say,
    Work,
    ask,
    ask_all,
    begin,
    crash,
    occupy,
    stop_self,
)
from trio.testing import MockClock

from codex_actors import (
    ActorDied,
    Backoff,
    ChildState,
    SupervisorSpec,
    open_supervisor,
)


@pytest.mark.parametrize("capacity", [1024, 1, 0])
@pytest.mark.parametrize("end", [crash, stop_self, None], ids=["crash", "self.stop", "kill"])
async def test_queued_calls_are_served_by_the_next_incarnation(
    end: Work | None, capacity: int
) -> None:
    """In order, whatever ended the one before, and also those that wait for room."""
    # C1
    board = Board()
    hold = Hold()

    async def work(desk: Desk) -> None:
        hold.begun.set()
        await hold.released.wait()
        if end is not None:
            await end(desk)

    spec = board.spec("desk", mailbox_capacity=capacity)
    async with (
        open_supervisor(SupervisorSpec([spec])) as root,
        trio.open_nursery() as nursery,
    ):
        in_hand = await ask(nursery, root["desk"], Do(work))
        queued = await ask_all(nursery, root["desk"], "b c d")

        if end is None:
            root["desk"].kill()
        hold.release()

        answers = [await call.wait() for call in queued]
        assert answers == ["b", "c", "d"]
        assert board.log == ["2:b", "2:c", "2:d"]
        if end is stop_self:
            assert in_hand.result is None
        else:
            assert isinstance(await in_hand.error(), ActorDied)


async def test_a_group_restart_keeps_the_mailboxes_of_the_group(
    autojump_clock: MockClock,
) -> None:
    """A bystander finishes what it has in hand; its queue waits for its next incarnation."""
    first, second = Board(), Board()
    spec = SupervisorSpec([first.spec("a"), second.spec("b")], strategy="rest_for_one")
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        occupied = await occupy(nursery, root["b"])
        queued = await ask_all(nursery, root["b"], "x y")

        await begin(nursery, lambda: root["a"].cast(DoCast(crash)))
        occupied.release()

        assert await occupied.call.wait() == "released"
        assert [await call.wait() for call in queued] == ["x", "y"]
        assert second.log == ["1:held", "2:x", "2:y"]


async def test_casts_survive_a_restart_too() -> None:
    """They are messages as calls are."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        desk = root["desk"]
        desk.cast_nowait(DoCast(crash))
        desk.cast_nowait(Note("kept"))
        desk.cast_nowait(Note("kept too"))

        await desk.call(Say("last"))

    assert board.log == ["2:kept", "2:kept too", "2:last"]


async def test_messages_wait_through_a_backoff(autojump_clock: MockClock) -> None:
    """Those sent during the pause are admitted, and kept."""
    # B7
    board = Board()
    spec = board.spec("desk", backoff=Backoff(base=8.0))
    async with open_supervisor(SupervisorSpec([spec])) as root, trio.open_nursery() as nursery:
        await begin(nursery, lambda: root["desk"].cast(DoCast(crash)))
        assert root.which_children()[0].state is ChildState.BACKOFF

        during = await ask(nursery, root["desk"], Say("during"), timeout=60)

        assert await during.wait() == "during"
        assert board.log == ["2:during"]
