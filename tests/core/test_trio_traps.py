"""Trio's traps: threads, moments that coincide, and whose cancellation is whose."""

import threading
from collections.abc import Callable

import pytest
import trio
from messaging import (
    Board,
    Desk,
    Do,
    DoCast,
    Note,
    Outcome,
    Say,
    ask,
    hang,
    occupy,
    stop_self,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorDied,
    ActorRef,
    CallCycle,
    ChildState,
    ExitKind,
    SupervisorSpec,
    open_supervisor,
)


@pytest.mark.parametrize("end", [ActorRef.kill, ActorRef.stop], ids=["kill", "stop"])
async def test_a_caller_never_sees_a_cancelled_that_is_not_its_own(
    end: Callable[[ActorRef], object], autojump_clock: MockClock
) -> None:
    """Whatever happens to the actor, in hand or queued."""
    # X4
    board = Board()
    spec = board.spec("desk", restart="temporary", shutdown=1)
    async with open_supervisor(SupervisorSpec([spec])) as root, trio.open_nursery() as nursery:
        desk = root["desk"]
        in_hand = await ask(nursery, desk, Do(hang), timeout=60)
        queued = await ask(nursery, desk, Say("queued"), timeout=60)

        if end is ActorRef.kill:
            desk.kill()
        else:
            await desk.stop()

        assert isinstance(await in_hand.error(), ActorDied)
        assert isinstance(await queued.error(), ActorDied)


async def test_a_worker_thread_is_waited_for() -> None:
    """It cannot be cancelled: its actor is not reported as gone while it lives."""
    board = Board()
    release = threading.Event()

    async def in_a_thread(_desk: Desk) -> None:
        await trio.to_thread.run_sync(release.wait)

    spec = SupervisorSpec([board.spec("desk", restart="transient")])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        call = await ask(nursery, root["desk"], Do(in_a_thread))
        root["desk"].kill()
        await wait_all_tasks_blocked()
        assert root.which_children()[0].state is ChildState.STOPPING
        assert call.pending

        release.set()

        await call.wait()
        assert await root["desk"].call(Say("restarted")) == "restarted"
        assert [reason.kind for reason in board.reasons] == [ExitKind.KILLED]


async def test_a_thread_of_a_handler_may_call_but_not_its_own_actor() -> None:
    """It runs on behalf of the handler, which waits for it."""
    # C6
    board, sibling = Board(), Board()
    to_self, to_sibling = Outcome(), Outcome()

    async def in_a_thread(desk: Desk) -> None:
        def call() -> None:
            trio.from_thread.run(to_sibling.run, lambda: desk.supervisor["b"].call(Say("x")))
            trio.from_thread.run(to_self.run, lambda: desk.ref.call(Say("x")))

        await trio.to_thread.run_sync(call)

    async with open_supervisor(SupervisorSpec([board.spec("a"), sibling.spec("b")])) as root:
        await root["a"].call(Do(in_a_thread))

        assert to_sibling.result == "x"
        assert isinstance(to_self.result, CallCycle)


async def test_a_kill_and_a_message_at_the_same_moment_lose_no_message() -> None:
    """The parked actor was given the message just before it was cancelled: it is kept."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        await wait_all_tasks_blocked()

        root["desk"].cast_nowait(Note("kept"))
        root["desk"].kill()
        await root["desk"].call(Say("after"))

        assert board.log == ["2:kept", "2:after"]


async def test_an_end_and_an_answer_at_the_same_moment_are_one_answer() -> None:
    """Answered is answered: the stop that follows at once changes nothing."""
    board = Board()

    async def answer_and_stop(desk: Desk) -> str:
        await stop_self(desk)
        return "answered"

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="temporary")])) as root,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, root["desk"])
        call = await ask(nursery, root["desk"], Do(answer_and_stop))
        root["desk"].cast_nowait(DoCast(stop_self))

        occupied.release()

        assert await call.wait() == "answered"
