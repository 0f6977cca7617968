"""The carrying out of the end, on the clock and in memory."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from attrs import frozen

from codex_actors import Actor, Call, ChildSpec, SupervisorSpec, handle_call, open_supervisor
from codex_actors.control.errors import Leaving, OperationCancelled
from codex_actors.control.operations import Operations
from codex_actors.control.process.countdown import Countdown
from codex_actors.control.process.departure import ProcessDeparture
from codex_actors.control.process.leaving import Manner
from codex_actors.telemetry.log import Log

Clock = trio.testing.MockClock


@frozen
class Work(Call[str]):
    """Take so many seconds."""

    seconds: float


class Worker(Actor):
    """Works."""

    @handle_call(Work)
    async def work(self, message: Work) -> str:
        """Take the time."""
        await trio.sleep(message.seconds)
        return "done"


class _Scene:
    """A tree with a worker, operations, and a departure with ten seconds."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.manners: list[Manner] = []
        self.operations = Operations()
        log = Log(self.lines.append, clock=lambda: 0.0)
        self.departure = ProcessDeparture(
            self.operations,
            10.0,
            Countdown(log, None),
            grace=4.0,
            on_change=self.manners.append,
        )
        self.ended_at = 0.0

    async def run(self, body: Callable[[trio.Nursery, Any], Awaitable[None]]) -> None:
        """Run the tree to its end, with a body beside it."""
        spec = SupervisorSpec([ChildSpec("worker", Worker, shutdown=60.0)])
        async with trio.open_nursery() as background:
            background.start_soon(self.departure.run)
            with self.departure.cancelling:
                async with open_supervisor(spec) as supervisor, trio.open_nursery() as nursery:
                    self.departure.up(supervisor, "root")
                    await body(nursery, supervisor)
                    await supervisor.wait_stopped()
                    nursery.cancel_scope.cancel()
            self.ended_at = trio.current_time()
            background.cancel_scope.cancel()

    async def operate(self, seconds: float, ends: list[str]) -> None:
        """Be an operation for so long; note how it ended."""
        try:
            with self.operations.admit("upload", "a.bin"):
                await trio.sleep(seconds)
                ends.append("done")
        except OperationCancelled:
            ends.append("cancelled")


async def test_a_drain_waits_for_operations_then_for_the_tree(autojump_clock: Clock) -> None:
    """What was admitted ends well; nothing more is admitted; what is waited for is named."""
    scene = _Scene()
    ends: list[str] = []

    async def body(nursery: trio.Nursery, supervisor: Any) -> None:
        async def ask() -> None:
            ends.append(await supervisor["worker"].call(Work(3.0), timeout=100.0))

        nursery.start_soon(scene.operate, 6.0, ends)
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        scene.departure.drain()
        with pytest.raises(Leaving), scene.operations.admit("stage", "late.txt"):
            pass

    await scene.run(body)

    assert ends == ["done", "done"]
    assert scene.ended_at == pytest.approx(6.0)
    assert scene.manners == [Manner.DRAIN]
    assert "draining: at most 10 s, waiting for upload a.bin" in scene.lines[0]
    assert "draining: 5 s left, waiting for upload a.bin" in scene.lines[1]


async def test_one_deadline_for_both(autojump_clock: Clock) -> None:
    """What an operation has used up, the tree has not."""
    scene = _Scene()
    ends: list[str] = []

    async def body(nursery: trio.Nursery, supervisor: Any) -> None:
        nursery.start_soon(scene.operate, 8.0, ends)
        nursery.start_soon(_swallow, supervisor["worker"].call, Work(30.0))
        await trio.testing.wait_all_tasks_blocked()
        scene.departure.drain()

    await scene.run(body)

    assert ends == ["done"]
    assert scene.ended_at == pytest.approx(10.0)
    assert scene.manners == [Manner.DRAIN, Manner.CANCEL]
    assert "draining: not done within 10 s" in scene.lines[-2]
    assert "cancelling, waiting for worker" in scene.lines[-1]


async def test_a_shutdown_cancels_operations_only(
    autojump_clock: Clock,
) -> None:
    """Clients are told; the actors end kindly."""
    scene = _Scene()
    ends: list[str] = []

    async def body(nursery: trio.Nursery, supervisor: Any) -> None:
        async def ask() -> None:
            ends.append(await supervisor["worker"].call(Work(3.0), timeout=100.0))

        nursery.start_soon(scene.operate, 8.0, ends)
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        scene.departure.shutdown()

    await scene.run(body)

    assert ends == ["cancelled", "done"]
    assert scene.ended_at == pytest.approx(3.0)


async def test_a_harsher_wish_is_followed_at_once(autojump_clock: Clock) -> None:
    """From draining to shutting down to cancelling."""
    scene = _Scene()
    ends: list[str] = []

    async def body(nursery: trio.Nursery, supervisor: Any) -> None:
        nursery.start_soon(scene.operate, 60.0, ends)
        nursery.start_soon(_swallow, supervisor["worker"].call, Work(30.0))
        await trio.testing.wait_all_tasks_blocked()
        scene.departure.drain()
        await trio.sleep(1)
        scene.departure.shutdown()
        await trio.sleep(1)
        assert ends == ["cancelled"]
        scene.departure.cancel()
        scene.departure.drain()

    await scene.run(body)

    assert scene.ended_at == pytest.approx(2.0)
    assert scene.manners == [Manner.DRAIN, Manner.SHUT_DOWN, Manner.CANCEL]


async def test_a_second_drain_can_only_shorten_the_time(autojump_clock: Clock) -> None:
    """The nearer deadline holds."""
    scene = _Scene()

    async def body(nursery: trio.Nursery, supervisor: Any) -> None:
        nursery.start_soon(_swallow, supervisor["worker"].call, Work(30.0))
        await trio.testing.wait_all_tasks_blocked()
        scene.departure.drain(timeout=8.0)
        scene.departure.drain(timeout=20.0)
        await trio.sleep(1)
        scene.departure.drain(timeout=3.0)

    await scene.run(body)

    assert scene.ended_at == pytest.approx(4.0)


@pytest.mark.parametrize(("cleanup", "ended_at"), [(3.0, 3.0), (60.0, 4.0)])
@pytest.mark.parametrize("manner", [Manner.SHUT_DOWN, Manner.CANCEL])
async def test_cleanup_of_operations_has_the_tree_for_the_grace(
    autojump_clock: Clock, manner: Manner, cleanup: float, ended_at: float
) -> None:
    """What they undo takes actors; what takes longer than the grace is not waited for."""
    scene = _Scene()
    stopped_at: list[float] = []

    async def body(nursery: trio.Nursery, supervisor: Any) -> None:
        async def operate() -> None:
            with suppress(OperationCancelled), scene.operations.admit("upload", "a.txt"):
                try:
                    await trio.sleep_forever()
                finally:
                    with trio.move_on_after(cleanup, shield=True):
                        await supervisor.wait_stopped()
                    stopped_at.append(trio.current_time())

        nursery.start_soon(operate)
        await trio.testing.wait_all_tasks_blocked()
        (scene.departure.shutdown if manner is Manner.SHUT_DOWN else scene.departure.cancel)()

    await scene.run(body)

    assert stopped_at == [pytest.approx(ended_at)]


async def _swallow(call: Callable[..., Awaitable[object]], message: Work) -> None:
    """Ask, and do not mind what becomes of it."""
    try:
        await call(message, timeout=100.0)
    except Exception:  # noqa: BLE001 - the actor is cancelled under it
        return
