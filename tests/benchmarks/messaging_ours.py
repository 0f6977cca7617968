"""Our samples of the messaging benchmark: real refs, under a supervisor, with the defaults."""

import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial

import trio
import trio.testing
from attrs import define, frozen

from codex_actors import (
    Actor,
    ActorRef,
    Call,
    Cast,
    ChildSpec,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    SupervisorSpec,
    handle_call,
    handle_cast,
    open_supervisor,
)

from .messaging_peers import Clock

__all__ = ["call", "cast", "cast_nowait", "fan_out", "idle", "spawn"]

_BURST = 1000  # casts that fit into a mailbox of the default capacity
_FAN = 1000


@frozen
class _Add(Call[int]):
    amount: int


@frozen
class _Put(Cast):
    amount: int


class _Counter(Actor):
    def __init__(self) -> None:
        self.total = 0

    @handle_call(_Add)
    async def add(self, message: _Add) -> int:
        self.total += message.amount
        return self.total

    @handle_cast(_Put)
    async def put(self, message: _Put) -> None:
        self.total += message.amount


@define
class _Race:
    """How many have still to arrive, and that all have."""

    left: int
    over: trio.Event


class _Runner(Actor):
    def __init__(self, race: _Race) -> None:
        self.race = race

    @handle_cast(_Put)
    async def put(self, message: _Put) -> None:
        self.race.left -= message.amount
        if self.race.left == 0:
            self.race.over.set()


def call(count: int, clock: Clock) -> float:
    """Calls per second, one after the other."""

    async def work(ref: ActorRef) -> None:
        for _ in range(count):
            await ref.call(_Add(1))

    return count / trio.run(_with_counter, work, clock)


def cast(count: int, clock: Clock) -> float:
    """Casts per second, each awaited, until the last has been handled."""

    async def work(ref: ActorRef) -> None:
        for _ in range(count):
            await ref.cast(_Put(1))
        assert await ref.call(_Add(0)) == count

    return count / trio.run(_with_counter, work, clock)


def cast_nowait(count: int, clock: Clock) -> float:
    """Casts per second in bursts that fit into the mailbox, each drained before the next."""
    bursts = max(count // _BURST, 1)

    async def work(ref: ActorRef) -> None:
        for _ in range(bursts):
            for _ in range(_BURST):
                ref.cast_nowait(_Put(1))
            await ref.call(_Add(0))
        assert await ref.call(_Add(0)) == bursts * _BURST

    return bursts * _BURST / trio.run(_with_counter, work, clock)


async def _with_counter(work: Callable[[ActorRef], Awaitable[None]], clock: Clock) -> float:
    async with open_supervisor(SupervisorSpec([ChildSpec("counter", _Counter)])) as supervisor:
        return await _timed(partial(work, supervisor["counter"]), clock)


def fan_out(count: int, clock: Clock) -> float:
    """Casts per second to 1000 idle actors in turn, until all have handled theirs."""
    return count * _FAN / trio.run(_fan_out, count, clock)


async def _fan_out(count: int, clock: Clock) -> float:
    race = _Race(0, trio.Event())
    spec = SupervisorSpec([ChildSpec(str(n), _Runner, args=(race,)) for n in range(_FAN)])
    async with open_supervisor(spec) as supervisor:
        refs = [supervisor[str(n)] for n in range(_FAN)]

        async def work() -> None:
            for _ in range(count):
                race.left, race.over = _FAN, trio.Event()
                for ref in refs:
                    await ref.cast(_Put(1))
                await race.over.wait()

        return await _timed(work, clock)


def spawn(count: int, clock: Clock) -> float:
    """Lives per second: started under a dynamic supervisor, stopped, gone."""

    async def work(supervisor: DynamicSupervisor) -> None:
        for _ in range(count):
            ref = await supervisor.start_child(ChildSpec(None, _Counter, restart="temporary"))
            await ref.stop()

    return count / trio.run(_with_dynamic, work, clock)


async def _with_dynamic(
    work: Callable[[DynamicSupervisor], Awaitable[None]], clock: Clock
) -> float:
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        return await _timed(partial(work, supervisor), clock)


def idle(count: int, _clock: Clock) -> float:
    """Bytes that one supervised actor takes which waits for messages."""
    return trio.run(_idle, count) / count


async def _idle(count: int) -> float:
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:

        async def start() -> None:
            await supervisor.start_child(ChildSpec(None, _Counter, restart="temporary"))

        await start()  # what there is only once is there
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(count):
                await start()
            await trio.testing.wait_all_tasks_blocked()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()


async def _timed(work: Callable[[], Awaitable[None]], clock: Clock) -> float:
    start = clock()
    await work()
    return clock() - start
