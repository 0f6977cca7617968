"""Casts: told and not answered, with room waited for, refused, or never missing."""

import math
from functools import partial

import pytest
import trio
from messaging import Board, Desk, DoCast, Note, Say, UnknownCast, ask, begin, crash, occupy
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorError,
    ActorStopped,
    CastUnhandled,
    ChildSpec,
    MailboxFull,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog


async def test_a_cast_does_not_wait_for_its_handler() -> None:
    """It returns when the message is admitted."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, root["desk"])

        await root["desk"].cast(Note("told"))

        assert board.log == ["1:held"]
        occupied.release()
        await root["desk"].call(Say("after"))
        assert board.log == ["1:held", "1:told", "1:after"]


async def test_a_cast_waits_for_room_and_cast_nowait_refuses(autojump_clock: MockClock) -> None:
    """The capacity does not count the message in hand."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=2)])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        desk.cast_nowait(Note("a"))
        desk.cast_nowait(Note("b"))
        with pytest.raises(MailboxFull, match="desk has 2 messages waiting") as full:
            desk.cast_nowait(Note("refused"))
        waiting = await begin(nursery, lambda: desk.cast(Note("c")))
        assert waiting.pending

        occupied.release()

        assert await waiting.wait() is None
        await desk.call(Say("d"))
        assert isinstance(full.value, trio.WouldBlock)
        assert isinstance(full.value, ActorError)
        assert board.log == ["1:held", "1:a", "1:b", "1:c", "1:d"]


async def test_a_cast_cancelled_while_it_waits_for_room_is_not_sent() -> None:
    """Who is cancelled in `cast` knows that nothing was sent."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=0)])) as root,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, root["desk"])
        scope = trio.CancelScope()

        async def cast() -> None:
            with scope:
                await root["desk"].cast(Note("cancelled"))

        sender = await begin(nursery, cast)
        scope.cancel()
        await sender.wait()
        occupied.release()
        await root["desk"].call(Say("after"))

        assert scope.cancelled_caught
        assert board.log == ["1:held", "1:after"]


async def test_a_cancelled_sender_sends_nothing() -> None:
    """Also when there is room: `cast` is a checkpoint before it sends."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        with trio.CancelScope() as scope:
            scope.cancel()
            await root["desk"].cast(Note("cancelled"))

        await root["desk"].call(Say("after"))

    assert scope.cancelled_caught
    assert board.log == ["1:after"]


@pytest.mark.parametrize("end", ["terminate_child", "stop"])
async def test_casts_that_wait_for_room_fail_with_the_queue(
    end: str, autojump_clock: MockClock
) -> None:
    """They must not hang at an actor that will not take them."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=0)])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        start = trio.current_time()
        occupied = await occupy(nursery, desk)
        waiting = await begin(nursery, lambda: desk.cast(Note("waits")))

        async def stop() -> None:
            await (desk.stop() if end == "stop" else root.terminate_child("desk"))

        await begin(nursery, stop)

        assert isinstance(await waiting.error(), ActorStopped)
        assert waiting.at == start
        occupied.release()


async def test_casts_that_wait_for_room_are_kept_by_a_crash() -> None:
    """They wait for the next incarnation, in order."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=1)])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        await occupy(nursery, desk)
        for text in "abc":
            await begin(nursery, partial(desk.cast, Note(text)))

        desk.kill()
        await desk.call(Say("d"))

        assert board.log == ["1:held", "2:a", "2:b", "2:c", "2:d"]


async def test_a_cast_whose_handler_crashes_is_lost_alone() -> None:
    """The message in hand is not tried again: it may be what crashes."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        root["desk"].cast_nowait(DoCast(crash))

        await root["desk"].call(Say("after"))

    assert board.built == 2


async def test_a_mailbox_without_bound_takes_everything() -> None:
    """`math.inf` is a choice that the spec spells out."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=math.inf)])) as root,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, root["desk"])

        for number in range(5_000):
            root["desk"].cast_nowait(Note(str(number)))
        occupied.release()
        await root["desk"].call(Say("last"), timeout=60)

        assert len(board.log) == 5_002


async def test_an_unknown_cast_sent_before_the_class_was_known_is_an_event(
    event_log: EventLog,
) -> None:
    """Its sender has gone on: the tree's events tell, and the actor lives."""
    slow, board = Board(), Board()
    gate = trio.Event()

    async def wait_for_gate(_desk: Desk) -> None:
        await gate.wait()

    slow.on_init = wait_for_gate
    branch = SupervisorSpec([slow.spec("slow"), ChildSpec("desk", lambda: Desk(board))])
    async with (
        open_supervisor(SupervisorSpec([]), on_event=[event_log]) as root,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(root.start_child, ChildSpec("branch", branch))
        await wait_all_tasks_blocked()
        desk = root.whereis("branch/desk")
        assert desk is not None
        desk.cast_nowait(UnknownCast())

        gate.set()
        answered = await ask(nursery, desk, Say("well"))

        assert await answered.wait() == "well"
        assert [event.message for event in event_log.of(CastUnhandled)] == ["UnknownCast"]
        assert board.built == 1
