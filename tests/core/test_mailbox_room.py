"""How much fits into a mailbox, and what an idle actor does first when two things come at once."""

from functools import partial

import pytest
import trio
from messaging import Board, Desk, DoCast, Hold, Note, Say, begin, occupy
from trio.testing import wait_all_tasks_blocked

from codex_actors import ChildState, MailboxFull, SupervisorSpec, open_supervisor


async def test_what_an_idle_actor_will_take_does_not_wait() -> None:
    """One more than the capacity fits, though it has not had a step yet; no more than that."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=2)])) as root:
        desk = root["desk"]
        await wait_all_tasks_blocked()

        for text in "abc":
            desk.cast_nowait(Note(text))
        with pytest.raises(MailboxFull):
            desk.cast_nowait(Note("d"))

        await wait_all_tasks_blocked()
        assert board.log == ["1:a", "1:b", "1:c"]


async def test_those_who_wait_for_room_come_in_one_by_one() -> None:
    """In their order, one for each message that is taken out, and never more than fit."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=2)])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        casts = [await begin(nursery, partial(desk.cast, Note(text))) for text in "abcd"]
        assert [cast.pending for cast in casts] == [False, False, True, True]
        assert root.snapshot().children[0].mailbox == 2

        occupied.release()
        again = await occupy(nursery, desk)

        assert board.log == ["1:held", "1:a", "1:b", "1:c", "1:d", "1:held"]
        again.release()


async def test_an_interval_of_idleness_admits_no_more_than_before() -> None:
    """The extra room of an idle actor is gone when it has taken its message."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=1)])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        await wait_all_tasks_blocked()

        occupied = await occupy(nursery, desk)
        desk.cast_nowait(Note("a"))
        with pytest.raises(MailboxFull):
            desk.cast_nowait(Note("b"))

        occupied.release()


async def test_who_waits_at_an_idle_actor_waits_until_there_is_room() -> None:
    """The message that the actor takes first makes none: its room was extra."""
    board, hold = Board(), Hold()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=1)])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        await wait_all_tasks_blocked()

        async def send_three() -> None:
            desk.cast_nowait(DoCast(hold))
            desk.cast_nowait(Note("a"))
            await desk.cast(Note("b"))

        sent = await begin(nursery, send_three)

        assert hold.begun.is_set()
        assert sent.pending
        assert root.snapshot().children[0].mailbox == 1
        hold.release()
        await sent.wait()


async def test_a_call_from_a_cancelled_scope_is_not_sent() -> None:
    """Not even to an idle actor, who would answer it at once."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        await wait_all_tasks_blocked()

        with trio.CancelScope() as scope:
            scope.cancel()
            await root["desk"].call(Say("cancelled"))

        await wait_all_tasks_blocked()
        assert scope.cancelled_caught
        assert board.log == []


async def test_infos_come_before_the_message_that_woke_an_idle_actor() -> None:
    """They never queue behind messages, whichever came first."""
    board, other = Board(), Board()
    desks: list[Desk] = []

    async def init(desk: Desk) -> None:
        desks.append(desk)

    board.on_init = init
    spec = SupervisorSpec([board.spec("desk"), other.spec("other", restart="temporary")])
    async with open_supervisor(spec) as root:
        gone = root["other"]
        await gone.stop()
        await wait_all_tasks_blocked()

        root["desk"].cast_nowait(Note("message"))
        desks[0].monitor(gone)

        await wait_all_tasks_blocked()
        assert board.log == ["1:down", "1:message"]


async def test_a_message_to_an_idle_actor_that_is_killed_is_for_the_next() -> None:
    """It had not been in hand yet."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        await wait_all_tasks_blocked()

        root["desk"].cast_nowait(Note("message"))
        root["desk"].kill()

        await wait_all_tasks_blocked()
        assert root.which_children()[0].state is ChildState.RUNNING
        assert board.log == ["2:message"]
