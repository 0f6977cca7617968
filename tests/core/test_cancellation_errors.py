"""What comes out when several things end a tree at once: no error is lost, none hangs."""

import signal
from collections.abc import Generator
from types import FrameType

import pytest
import trio
from actors import Crash, Hang, Journal, Plan, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Event,
    RestartIntensityExceeded,
    SupervisorSpec,
    open_supervisor,
)


@pytest.fixture
def watchdog() -> Generator[None, None, None]:
    """Break a test that hangs in a shield, where no deadline of Trio reaches."""

    def bark(number: int, frame: FrameType | None) -> None:
        raise RuntimeError("the tree never ended")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, 5.0)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", ["supervisor_stopping", "child_exited"])
def test_control_c_while_stopping(scheduling_order: str, watchdog: None, kind: str) -> None:
    """Ctrl-C while the tree stops: the stop goes on in order, the interrupt comes out bare."""
    # X1 X5
    journal, pressed = Journal(), list[Event]()
    children = [worker(journal, name, Plan(stop_seconds=1)) for name in "abc"]

    def press(event: Event) -> None:
        if event.kind == kind and not pressed:
            pressed.append(event)
            signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        async with open_supervisor(SupervisorSpec(children), on_event=[press]):
            journal.take()

    with pytest.raises(KeyboardInterrupt):
        trio.run(main, clock=MockClock(autojump_threshold=0.0))

    assert journal.take() == "-c -b -a"


@pytest.mark.parametrize("kind", ["supervisor_stopping", "child_exited"])
def test_control_c_twice(scheduling_order: str, watchdog: None, kind: str) -> None:
    """A second Ctrl-C, while the first one's stop is under way, changes nothing."""
    # X1 X5
    journal, pressed = Journal(), list[Event]()
    children = [worker(journal, name, Plan(stop_seconds=1)) for name in "abc"]

    def press(event: Event) -> None:
        if event.kind == kind and not pressed:
            pressed.append(event)
            signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        async with open_supervisor(SupervisorSpec(children), on_event=[press]):
            journal.take()
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trio.run(main, clock=MockClock(autojump_threshold=0.0))

    assert journal.take() == "-c -b -a"


async def test_body_error_survives_an_outer_cancellation(autojump_clock: MockClock) -> None:
    """A body that fails while it is cancelled from outside: its error passes, as in Trio."""
    journal = Journal()

    async def body() -> None:
        with trio.CancelScope() as outer:
            async with open_supervisor(SupervisorSpec(workers(journal, "a b"))):
                outer.cancel()
                try:
                    await trio.sleep_forever()
                finally:
                    raise ValueError("the body's own")

    with pytest.raises(ValueError, match="own"):
        await body()

    assert journal.take() == "+a +b -b -a"


async def test_fatal_error_survives_an_outer_cancellation(autojump_clock: MockClock) -> None:
    """A KeyboardInterrupt of a child's cleanup passes, though the tree is being cancelled."""
    # X5
    journal = Journal()
    children = [worker(journal, "a", Plan(stop_error=KeyboardInterrupt)), *workers(journal, "b")]

    async def body() -> None:
        with trio.CancelScope() as outer:
            async with open_supervisor(SupervisorSpec(children)):
                outer.cancel()

    with pytest.raises(KeyboardInterrupt):
        await body()

    assert journal.take() == "+a +b -b -a"


async def test_giving_up_survives_an_outer_cancellation(autojump_clock: MockClock) -> None:
    """A tree that gave up before it was cancelled says so."""
    journal = Journal()

    async def body() -> None:
        with trio.CancelScope() as outer:
            tree = SupervisorSpec(workers(journal, "a b"), max_restarts=0)
            async with open_supervisor(tree) as supervisor:
                await supervisor["a"].cast(Crash())
                with trio.CancelScope(shield=True):
                    await supervisor.wait_stopped()
                outer.cancel()
                await trio.sleep_forever()

    with pytest.raises(RestartIntensityExceeded):
        await body()

    assert journal.take() == "+a +b -a! -b"


@pytest.mark.parametrize("how", ["kill", "cancel"])
async def test_harsher_end_overtakes_a_kind_one(autojump_clock: MockClock, how: str) -> None:
    """A stop without limit that is under way is cut short by a kill or a cancellation."""
    # X1 T11
    journal = Journal()
    children = workers(journal, "a b c", shutdown=float("inf"))

    with trio.CancelScope() as outer:
        async with open_supervisor(SupervisorSpec(children)) as supervisor:
            await supervisor["b"].cast(Hang())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(supervisor.stop)
                await wait_all_tasks_blocked()
                assert journal.take() == "+a +b +c -c"
                if how == "kill":
                    supervisor.ref.kill()
                else:
                    outer.cancel()

    assert journal.take() == "-b -a"
