"""The deadlines of a tree: forgotten with what they were for, and slept to, never polled."""

import math

import trio
from messaging import Board, Desk, Do, DoCast, Say, Tick, ask, crash, pause
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import ActorDied, CallTimeout, SupervisorSpec, open_supervisor


async def _next_deadline() -> float:
    """Seconds to the next deadline of anybody in this run, when nothing moves."""
    await wait_all_tasks_blocked()
    return trio.lowlevel.current_statistics().seconds_to_next_deadline


async def test_an_answered_call_leaves_no_deadline(mock_clock: MockClock) -> None:
    """A test's clock would jump to it, and an idle program wake up for it."""
    # X9
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        for _ in range(100):
            await root["desk"].call(Say("hello"))

        assert await _next_deadline() == math.inf


async def test_calls_that_ended_otherwise_leave_none_either(mock_clock: MockClock) -> None:
    """Cancelled, timed out, refused, failed."""
    # X9
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="temporary")])) as root,
        trio.open_nursery() as nursery,
    ):
        timed = await ask(nursery, root["desk"], Do(pause(1)), timeout=0)
        assert isinstance(await timed.error(), CallTimeout)
        with trio.CancelScope() as scope:
            scope.cancel()
            await root["desk"].call(Say("cancelled"), timeout=60)
        failed = await ask(nursery, root["desk"], Say("queued"), timeout=60)
        root["desk"].kill()
        await failed.wait()

        assert await _next_deadline() == math.inf


async def test_a_deadline_behind_one_that_fired_is_forgotten_too(mock_clock: MockClock) -> None:
    """Cancelled while another was first, it must not become the first."""
    # X9
    board = Board()

    async def start(desk: Desk) -> None:
        desk.send_after(1.0, Tick())

    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        await root["desk"].call(Do(start))
        await root["desk"].call(Say("its deadline lies behind the timer's"), timeout=500)
        assert await _next_deadline() == 1.0

        mock_clock.jump(1.0)
        await wait_all_tasks_blocked()

        assert board.log[-1] == "1:tick"
        assert await _next_deadline() == math.inf


async def test_a_call_to_an_idle_actor_is_timed_from_its_sending(mock_clock: MockClock) -> None:
    """Not from the moment that it turned out to take longer than a step."""
    board = Board()

    async def think_long(_desk: Desk) -> None:
        mock_clock.jump(4.0)
        await trio.sleep_forever()

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", shutdown=0)])) as root,
        trio.open_nursery() as nursery,
    ):
        await wait_all_tasks_blocked()

        asked = await ask(nursery, root["desk"], Do(think_long), timeout=10)

        assert await _next_deadline() == 6.0
        root["desk"].kill()
        assert isinstance(await asked.error(), ActorDied)


async def test_a_thousand_open_calls_are_one_deadline(autojump_clock: MockClock) -> None:
    """Each times out at its own time, in order."""
    board = Board()
    ends: list[float] = []
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        start = trio.current_time()

        async def call(timeout: float) -> None:
            try:
                await root["desk"].call(Do(pause(10_000)), timeout=timeout)
            except (CallTimeout, ActorDied):
                ends.append(trio.current_time() - start)

        for number in range(1_000):
            nursery.start_soon(call, float(number * 7 % 1_000 + 1))
        await trio.sleep(1_001)
        root["desk"].kill()

    assert ends == [float(number) for number in range(1, 1_001)]


async def test_a_new_deadline_may_come_before_all_others(autojump_clock: MockClock) -> None:
    """Who sleeps to the first is woken for an earlier one."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        start = trio.current_time()
        patient = await ask(nursery, root["desk"], Do(pause(100)), timeout=50)
        impatient = await ask(nursery, root["desk"], Say("queued"), timeout=2)

        assert isinstance(await impatient.error(), CallTimeout)
        assert impatient.at == start + 2
        assert isinstance(await patient.error(), CallTimeout)
        assert patient.at == start + 50
        root["desk"].kill()


async def test_an_ended_actor_leaves_no_deadline(mock_clock: MockClock) -> None:
    """Neither its timers nor the time that its stop would have had."""
    # X9
    board = Board()

    async def start(desk: Desk) -> None:
        desk.send_after(100.0, Tick())
        desk.send_interval(100.0, Tick())

    async with open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root:
        await root["desk"].call(Do(start))

        await root["desk"].stop()

        assert await _next_deadline() == math.inf


async def test_the_restart_window_keeps_a_deadline_no_longer_than_it_lasts(
    mock_clock: MockClock,
) -> None:
    """The errors inside the window are let go when it has passed."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")], max_seconds=5)) as root:
        root["desk"].cast_nowait(DoCast(crash))
        assert await _next_deadline() <= 5.1

        mock_clock.jump(5.1)

        assert await _next_deadline() == math.inf
