"""A caller's patience: timeouts and cancellation concern the caller, never the actor."""

import math

import pytest
import trio
from messaging import Board, Desk, Do, Say, ask, begin, occupy, pause
from trio.testing import MockClock

from codex_actors import ActorError, CallTimeout, SupervisorSpec, open_supervisor


async def test_a_timeout_is_the_caller_s_alone(autojump_clock: MockClock) -> None:
    """The actor goes on with the message, and its late answer is never seen."""
    # C4
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")], max_restarts=0)) as root,
        trio.open_nursery() as nursery,
    ):
        start = trio.current_time()
        occupied = await occupy(nursery, root["desk"], timeout=2.0)

        error = await occupied.call.error()

        assert isinstance(error, CallTimeout)
        assert isinstance(error, trio.TooSlowError)
        assert isinstance(error, ActorError)
        assert "desk did not answer Do within 2 s" in str(error)
        assert occupied.call.at == start + 2.0
        occupied.release()
        assert await root["desk"].call(Say("next")) == "next"
        assert board.built == 1


async def test_the_default_patience_is_five_seconds(autojump_clock: MockClock) -> None:
    """As in OTP."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        start = trio.current_time()

        with pytest.raises(CallTimeout):
            await root["desk"].call(Do(pause(7)))

        assert trio.current_time() == start + 5.0


async def test_a_late_answer_is_not_taken_for_the_next_call_s(autojump_clock: MockClock) -> None:
    """Also when the caller is waiting for its next answer just then."""
    # C4
    board = Board()

    async def late(desk: Desk) -> str:
        await trio.sleep(3)
        return "late"

    async def punctual(desk: Desk) -> str:
        await trio.sleep(3)
        return "punctual"

    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        with pytest.raises(CallTimeout):
            await root["desk"].call(Do(late), timeout=1)

        assert await root["desk"].call(Do(punctual), timeout=10) == "punctual"


async def test_an_abandoned_queued_call_is_skipped(autojump_clock: MockClock) -> None:
    """Its caller has given up: the actor never sees it."""
    # C5
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, root["desk"])
        impatient = await ask(nursery, root["desk"], Say("impatient"), timeout=1)
        patient = await ask(nursery, root["desk"], Say("patient"), timeout=50)

        assert isinstance(await impatient.error(), CallTimeout)
        occupied.release()

        assert await patient.wait() == "patient"
        assert board.log == ["1:held", "1:patient"]


async def test_a_cancelled_caller_s_queued_call_is_skipped() -> None:
    """Cancellation abandons a queued call as a timeout does."""
    # C5
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, root["desk"])
        with trio.CancelScope() as scope:
            scope.cancel()
            await root["desk"].call(Say("cancelled"))

        occupied.release()
        await root["desk"].call(Say("after"))

        assert scope.cancelled_caught
        assert board.log == ["1:held", "1:after"]


async def test_a_cancelled_caller_s_answer_is_dropped() -> None:
    """The message in hand is finished all the same."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")], max_restarts=0)) as root,
        trio.open_nursery() as nursery,
    ):
        scope = trio.CancelScope()
        work: list[str] = []
        gate = trio.Event()

        async def finish(_desk: Desk) -> str:
            await gate.wait()
            work.append("finished")
            return "never seen"

        async def call() -> None:
            with scope:
                await root["desk"].call(Do(finish))

        caller = await begin(nursery, call)
        scope.cancel()
        await caller.wait()
        gate.set()

        assert await root["desk"].call(Say("next")) == "next"
        assert work == ["finished"]


async def test_the_caller_s_own_fail_after_stays_its_own(autojump_clock: MockClock) -> None:
    """A scope of the caller that expires first is a plain `TooSlowError`."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        with pytest.raises(trio.TooSlowError) as caught, trio.fail_after(1):
            await root["desk"].call(Do(pause(3)))

        assert not isinstance(caught.value, CallTimeout)


async def test_a_call_may_wait_without_end(autojump_clock: MockClock) -> None:
    """`math.inf` is no timeout, and 0 is hardly one."""
    board = Board()

    async def year(_desk: Desk) -> str:
        await trio.sleep(365 * 86_400)
        return "at last"

    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        with pytest.raises(CallTimeout):
            await root["desk"].call(Do(year), timeout=0)
        root["desk"].kill()

        assert await root["desk"].call(Do(year), timeout=math.inf) == "at last"


@pytest.mark.parametrize("timeout", [-1.0, math.nan])
async def test_a_timeout_that_is_none_is_refused(timeout: float) -> None:
    """The error names it."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        with pytest.raises(ValueError, match="timeout"):
            await root["desk"].call(Say("hello"), timeout=timeout)

        assert board.log == []


async def test_waiting_for_room_counts_towards_the_timeout(autojump_clock: MockClock) -> None:
    """One timeout for all of a call; and a call that timed out there leaves no message."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=1)])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        start = trio.current_time()
        occupied = await occupy(nursery, desk)
        queued = await ask(nursery, desk, Say("queued"), timeout=60)
        impatient = await ask(nursery, desk, Say("impatient"), timeout=2)
        patient = await ask(nursery, desk, Say("patient"), timeout=60)

        assert isinstance(await impatient.error(), CallTimeout)
        assert impatient.at == start + 2
        occupied.release()

        assert [await queued.wait(), await patient.wait()] == ["queued", "patient"]
        assert board.log == ["1:held", "1:queued", "1:patient"]


async def test_room_that_comes_late_leaves_only_the_rest_of_the_time(
    autojump_clock: MockClock,
) -> None:
    """The time begins with the call, not with its admission."""
    board = Board()

    async def slow(_desk: Desk) -> None:
        await trio.sleep(4)

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=0)])) as root,
        trio.open_nursery() as nursery,
    ):
        start = trio.current_time()
        await ask(nursery, root["desk"], Do(slow))

        with pytest.raises(CallTimeout):
            await root["desk"].call(Do(slow), timeout=6)

        assert trio.current_time() == start + 6
