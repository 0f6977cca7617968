"""Timers: infos after a time or again and again, for as long as their incarnation lives."""

import math
from collections.abc import Callable

import pytest
import trio
from messaging import Board, Desk, Do, DoCast, Note, Say, Tick, ask, begin, crash, occupy, pause
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Info,
    InfoDropped,
    SupervisorSpec,
    Timer,
    UnhandledMessage,
    open_supervisor,
)
from codex_actors.testing import EventLog


def _timing(start: Callable[[Desk], object]) -> Do:
    async def work(desk: Desk) -> None:
        start(desk)

    return Do(work)


async def test_send_after_tells_once_after_its_time(autojump_clock: MockClock) -> None:
    """Not earlier, and before messages that wait."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        await root["desk"].call(_timing(lambda desk: desk.send_after(2.0, Tick())))

        await trio.sleep(1.9)
        assert board.log == []
        await trio.sleep(10)

        assert board.log == ["1:tick"]


async def test_send_interval_ticks_without_drift(autojump_clock: MockClock) -> None:
    """From the due times, not from when they were handled."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        await root["desk"].call(_timing(lambda desk: desk.send_interval(2.0, Tick())))
        await trio.sleep(0.5)

        root["desk"].cast_nowait(DoCast(pause(1.8)))  # the first tick is handled at 2.3
        await trio.sleep(3.4)
        assert board.log == ["1:tick"]
        await trio.sleep(0.2)
        assert board.log == ["1:tick"] * 2
        await trio.sleep(2)

        assert board.log == ["1:tick"] * 3


async def test_timers_come_in_the_order_of_their_times(autojump_clock: MockClock) -> None:
    """Whatever the order in which they were set."""
    board = Board()

    def start(desk: Desk) -> None:
        for seconds in (3.0, 1.0, 2.0, 0.0):
            desk.send_after(seconds, Tick(f"{seconds:g}"))

    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        await root["desk"].call(_timing(start))
        await trio.sleep(5)

    assert board.log == ["1:0", "1:1", "1:2", "1:3"]


async def test_a_cancelled_timer_tells_nothing(autojump_clock: MockClock) -> None:
    """Before its time, between two ticks, and twice."""
    board = Board()
    timers: list[Timer] = []

    def start(desk: Desk) -> None:
        timers.append(desk.send_after(1.0, Tick("after")))
        timers.append(desk.send_interval(2.0, Tick("interval")))

    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        await root["desk"].call(_timing(start))
        timers[0].cancel()
        await trio.sleep(5)

        timers[1].cancel()
        timers[1].cancel()
        await trio.sleep(5)

    assert board.log == ["1:interval", "1:interval"]


async def test_cancelling_takes_a_queued_tick_back(autojump_clock: MockClock) -> None:
    """It has come, but was not handled."""
    board = Board()
    timers: list[Timer] = []

    def start(desk: Desk) -> None:
        timers.append(desk.send_after(1.0, Tick("after")))
        timers.append(desk.send_interval(1.0, Tick("interval")))

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        await root["desk"].call(_timing(start))
        occupied = await occupy(nursery, root["desk"])
        await trio.sleep(1.5)

        for timer in timers:
            timer.cancel()
        occupied.release()
        await trio.sleep(5)

        assert board.log == ["1:held"]


async def test_timers_with_one_info_between_them_are_two(autojump_clock: MockClock) -> None:
    """An info may be a constant: a timer takes back, and coalesces, only its own."""
    board = Board()
    timers: list[Timer] = []
    tick = Tick()

    def start(desk: Desk) -> None:
        timers.append(desk.send_after(1.0, tick))
        timers.append(desk.send_after(1.0, tick))

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        await root["desk"].call(_timing(start))
        occupied = await occupy(nursery, root["desk"])
        await trio.sleep(2)

        timers[0].cancel()
        occupied.release()
        await root["desk"].call(Say("after"))

        assert board.log == ["1:held", "1:tick", "1:after"]


async def test_ticks_that_a_busy_actor_misses_are_dropped(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """One waits, the others are told as `InfoDropped`."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")]), on_event=[event_log]) as root,
        trio.open_nursery() as nursery,
    ):
        await root["desk"].call(_timing(lambda desk: desk.send_interval(1.0, Tick())))
        occupied = await occupy(nursery, root["desk"])
        await trio.sleep(4.5)

        occupied.release()
        await root["desk"].call(Say("after"))

        assert board.log == ["1:held", "1:tick", "1:after"]
        dropped = event_log.of(InfoDropped, "desk")
        assert [event.info for event in dropped] == ["Tick"] * 3


@pytest.mark.parametrize("end", ["crash", "stop", "kill", "terminate_child"])
async def test_timers_end_with_their_incarnation(end: str, autojump_clock: MockClock) -> None:
    """The next incarnation is told nothing that it did not ask for."""
    # Q8
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:

        def start(desk: Desk) -> None:
            desk.send_after(1.0, Tick("after"))
            desk.send_interval(1.0, Tick("interval"))

        desk = root["desk"]
        await desk.call(_timing(start))
        if end == "crash":
            desk.cast_nowait(DoCast(crash))
        elif end == "kill":
            desk.kill()
        elif end == "stop":
            await desk.stop()
        else:
            await root.terminate_child("desk")
            await root.restart_child("desk")
        await wait_all_tasks_blocked()

        deadline = trio.lowlevel.current_statistics().seconds_to_next_deadline
        await trio.sleep(10)

        assert board.log == []
        assert board.built == 2
        assert deadline > 1


async def test_an_info_that_its_actor_did_not_live_to_see_is_told(event_log: EventLog) -> None:
    """A timer's message that was due, but not handled, when its actor ended."""
    # Q8
    board = Board()

    async def work(desk: Desk) -> None:
        desk.send_after(0.0, Tick())
        await wait_all_tasks_blocked()
        desk.stop()

    async with open_supervisor(SupervisorSpec([board.spec("desk")]), on_event=[event_log]) as root:
        await root["desk"].call(Do(work))
        await wait_all_tasks_blocked()

        assert [event.info for event in event_log.of(InfoDropped)] == ["Tick"]
        assert board.log == []


async def test_timers_tick_while_an_actor_is_idle_or_never_idle(autojump_clock: MockClock) -> None:
    """Neither an empty mailbox nor one that never empties keeps them waiting."""
    board = Board()

    async def again(desk: Desk) -> None:
        await trio.sleep(0.1)
        desk.ref.cast_nowait(DoCast(again))

    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        await root["desk"].call(_timing(lambda desk: desk.send_interval(1.0, Tick())))
        await trio.sleep(2.5)
        assert board.log == ["1:tick", "1:tick"]

        root["desk"].cast_nowait(DoCast(again))
        await trio.sleep(2)

        assert board.log == ["1:tick"] * 4


@pytest.mark.parametrize("seconds", [-1.0, math.nan])
async def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    """Where it is asked for."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        after = await ask(nursery, root["desk"], _timing(lambda d: d.send_after(seconds, Tick())))
        every = await ask(nursery, root["desk"], _timing(lambda d: d.send_interval(0, Tick())))

        assert isinstance((await after.error()).__cause__, ValueError)
        assert isinstance((await every.error()).__cause__, ValueError)


class Stranger(Info):
    """No desk handles it."""


async def test_an_info_without_a_handler_is_refused() -> None:
    """When the timer is set, not when it fires."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        call = await begin(
            nursery, lambda: root["desk"].call(_timing(lambda d: d.send_after(1, Stranger())))
        )

        assert isinstance((await call.error()).__cause__, UnhandledMessage)
        root["desk"].cast_nowait(Note("alive"))
