"""Children that do not let themselves be cancelled: reported in time, and waited for."""

import pytest
import trio
from actors import Journal, Plan, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    Cast,
    ChildExited,
    ChildSpec,
    ChildUnresponsive,
    ExitReason,
    SupervisorSpec,
    handle_cast,
    open_supervisor,
)
from codex_actors.testing import EventLog


class Spin(Cast):
    """Begin to swallow cancellations."""


class Switch:
    """Ends a spinning child."""

    def __init__(self) -> None:
        self.off = False
        self.spins = 0

    async def spin(self) -> None:
        """Swallow Cancelled in a loop: never do this."""
        while not self.off:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                self.spins += 1


class SpinningActor(Actor):
    """Swallows Cancelled in its handler."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch

    @handle_cast(Spin)
    async def spin(self, message: Spin) -> None:
        """See `Spin`."""
        await self.switch.spin()


async def spinning_task(switch: Switch) -> None:
    """Swallows Cancelled in an async function."""
    await switch.spin()


async def _turns(count: int) -> None:
    """Let the loop turn: nothing blocks while a child spins, so nothing can be waited for."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("kind", ["actor", "task"])
@pytest.mark.parametrize("way", ["stop", "cancel", "kill"])
async def test_spinning_child(
    mock_clock: MockClock, event_log: EventLog, kind: str, way: str
) -> None:
    """A child that swallows Cancelled in a loop is reported within the bound; the end waits."""
    # T12 X1 X9
    journal, switch = Journal(), Switch()
    start = SpinningActor if kind == "actor" else spinning_task
    spinning = ChildSpec("b", start, args=(switch,), shutdown=2.0, cleanup_timeout=3.0)
    tree = SupervisorSpec([*workers(journal, "a"), spinning, *workers(journal, "c")])
    left = False

    async def run(task_status: "trio.TaskStatus[trio.CancelScope]") -> None:
        nonlocal left
        with trio.CancelScope() as outer:
            async with open_supervisor(tree, on_event=[event_log]) as supervisor:
                if kind == "actor":
                    await supervisor["b"].cast(Spin())
                await wait_all_tasks_blocked()
                task_status.started(outer)
                if way == "kill":
                    supervisor.ref.kill()
                    await supervisor.wait_stopped()
                elif way == "cancel":
                    await trio.sleep_forever()
        left = True

    async with trio.open_nursery() as nursery:
        outer: trio.CancelScope = await nursery.start(run)
        if way == "cancel":
            outer.cancel()
        try:
            await _turns(20)
            for _ in range(8):
                mock_clock.jump(1.0)
                await _turns(20)

            assert switch.spins > 0
            [reported] = event_log.of(ChildUnresponsive)
            assert reported.path == "b"
            assert "spin" in reported.stack
            assert reported.waited <= 5.0
            assert not left
            assert [event.path for event in event_log.of(ChildExited)] == ["c"]
        finally:
            switch.off = True

    assert left
    assert [event.path for event in event_log.of(ChildExited)] == ["c", "b", "a"]
    assert journal.take() == "+a +c -c -a"


async def test_shielding_child_under_cancellation(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """A child that shields itself: reported within the bound, waited for, the others stop."""
    # T12 X1
    journal, gate = Journal(), trio.Event()

    async def shielding() -> None:
        with trio.CancelScope(shield=True):
            await gate.wait()

    child = ChildSpec("b", shielding, shutdown=3.0)
    tree = SupervisorSpec([*workers(journal, "a"), child, *workers(journal, "c")])
    began = trio.current_time()

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as outer:
            async with open_supervisor(tree, on_event=[event_log]):

                async def watch() -> None:
                    outer.cancel()
                    try:
                        reported = await event_log.wait_for(ChildUnresponsive)
                        assert trio.current_time() == began + 3
                        assert "shielding" in reported.stack
                        assert journal.take() == "+a +c -c"
                        await trio.sleep(1000)
                        assert event_log.of(ChildExited, "b") == []
                    finally:
                        gate.set()

                nursery.start_soon(watch)
                await trio.sleep_forever()

    # The grace was over while b was waited for, so a was cancelled meanwhile.
    assert [event.path for event in event_log.of(ChildExited)] == ["c", "a", "b"]
    assert journal.time_of("-a") == began + 10


async def test_hanging_cleanup_under_cancellation(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """A cleanup that awaits forever is cut at `cleanup_timeout`, and the next one begins."""
    # X1 X3
    journal = Journal()
    hanging = worker(journal, "b", Plan(stop_gate=trio.Event()), cleanup_timeout=2.0)
    tree = SupervisorSpec([*workers(journal, "a"), hanging, *workers(journal, "c")])
    began = trio.current_time()

    with trio.CancelScope() as outer:
        async with open_supervisor(tree, on_event=[event_log]):
            outer.cancel()

    assert trio.current_time() == began + 2
    assert journal.take() == "+a +b +c -c -a"
    assert event_log.of(ChildUnresponsive) == []


async def test_cleanup_that_shields_itself_under_cancellation(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """A `terminate` that shields itself is reported at its bound, and waited for."""
    # T12 X1
    journal = Journal()

    class Stubborn(Actor):
        async def terminate(self, reason: ExitReason) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(500)

    child = ChildSpec("b", Stubborn, cleanup_timeout=2.0)
    tree = SupervisorSpec([*workers(journal, "a"), child])
    began = trio.current_time()

    with trio.CancelScope() as outer:
        async with open_supervisor(tree, on_event=[event_log]):
            outer.cancel()

    assert trio.current_time() == began + 500
    [reported] = event_log.of(ChildUnresponsive)
    assert reported.path == "b"
    assert "terminate" in reported.stack
    assert reported.waited == pytest.approx(2, abs=0.1)
    assert journal.take() == "+a -a"
