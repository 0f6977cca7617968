"""What ours is compared with: the floor, Trio by the book, pykka where it is installed.

Nobody supervises these: no restart, no timeout, no answer when an actor has died.
"""

import gc
import importlib
import importlib.util
import tracemalloc
from collections.abc import Callable
from typing import Any

import trio
import trio.testing
from attrs import frozen
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

__all__ = [
    "Clock",
    "floor_call",
    "pykka_samples",
    "textbook_call",
    "textbook_cast",
    "textbook_fan_out",
    "textbook_idle",
    "textbook_spawn",
]

# What a sample takes its time from, in seconds.
Clock = Callable[[], float]

_CAPACITY = 1024
_FAN = 1000


@frozen
class _Message:
    """What is sent, as with ours."""

    amount: int


# A call by the book: its message, and where its answer goes.
_Asked = tuple[_Message, trio.Event, list[int]]


def floor_call(count: int, clock: Clock) -> float:
    """Round trips per second of two tasks that do nothing but wake each other."""
    return count / trio.run(_floor, count, clock)


async def _floor(count: int, clock: Clock) -> float:
    server: Task | None = None

    def abort(_raise_cancel: object) -> Abort:
        return Abort.SUCCEEDED

    async def serve(client: Task) -> None:
        nonlocal server
        server = current_task()
        while True:
            await wait_task_rescheduled(abort)
            reschedule(client)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, current_task())
        await trio.testing.wait_all_tasks_blocked()
        assert server is not None
        start = clock()
        for _ in range(count):
            reschedule(server)
            await wait_task_rescheduled(abort)
        took = clock() - start
        nursery.cancel_scope.cancel()
    return took


def textbook_call(count: int, clock: Clock) -> float:
    """Calls per second over a channel, answered by an Event."""

    async def serve(receive: trio.MemoryReceiveChannel[_Asked]) -> None:
        total = 0
        async for message, answered, answer in receive:
            total += message.amount
            answer.append(total)
            answered.set()

    async def work() -> float:
        send, receive = trio.open_memory_channel[_Asked](_CAPACITY)
        async with trio.open_nursery() as nursery, send:
            nursery.start_soon(serve, receive)
            start = clock()
            for _ in range(count):
                answered = trio.Event()
                answer: list[int] = []
                await send.send((_Message(1), answered, answer))
                await answered.wait()
            return clock() - start

    return count / trio.run(work)


def textbook_cast(count: int, clock: Clock) -> float:
    """Sends per second over a channel, until the last has been received."""

    async def serve(receive: trio.MemoryReceiveChannel[_Message], over: trio.Event) -> None:
        total = 0
        async for message in receive:
            total += message.amount
            if total == count:
                over.set()

    async def work() -> float:
        send, receive = trio.open_memory_channel[_Message](_CAPACITY)
        over = trio.Event()
        async with trio.open_nursery() as nursery, send:
            nursery.start_soon(serve, receive, over)
            start = clock()
            for _ in range(count):
                await send.send(_Message(1))
            await over.wait()
            return clock() - start

    return count / trio.run(work)


def textbook_fan_out(count: int, clock: Clock) -> float:
    """Sends per second to 1000 idle tasks in turn, until all have received theirs."""
    left = 0
    over = trio.Event()

    async def serve(receive: trio.MemoryReceiveChannel[_Message]) -> None:
        nonlocal left
        async for message in receive:
            left -= message.amount
            if left == 0:
                over.set()

    async def work() -> float:
        nonlocal left, over
        async with trio.open_nursery() as nursery:
            sends: list[trio.MemorySendChannel[_Message]] = []
            for _ in range(_FAN):
                send, receive = trio.open_memory_channel[_Message](_CAPACITY)
                sends.append(send)
                nursery.start_soon(serve, receive)
            await trio.testing.wait_all_tasks_blocked()
            start = clock()
            for _ in range(count):
                left, over = _FAN, trio.Event()
                for send in sends:
                    await send.send(_Message(1))
                await over.wait()
            took = clock() - start
            nursery.cancel_scope.cancel()
            return took

    return count * _FAN / trio.run(work)


async def _live(receive: trio.MemoryReceiveChannel[_Message], gone: trio.Event) -> None:
    async for _ in receive:
        pass
    gone.set()


def textbook_spawn(count: int, clock: Clock) -> float:
    """Tasks per second: started with a channel, told to end by closing it, gone."""

    async def work() -> float:
        async with trio.open_nursery() as nursery:
            start = clock()
            for _ in range(count):
                send, receive = trio.open_memory_channel[_Message](_CAPACITY)
                gone = trio.Event()
                nursery.start_soon(_live, receive, gone)
                send.close()
                await gone.wait()
            return clock() - start

    return count / trio.run(work)


def textbook_idle(count: int, _clock: Clock) -> float:
    """Bytes that a task takes which waits at a channel."""

    async def work() -> float:
        sends: list[trio.MemorySendChannel[_Message]] = []
        async with trio.open_nursery() as nursery:
            gc.collect()
            tracemalloc.start()
            for _ in range(count):
                send, receive = trio.open_memory_channel[_Message](_CAPACITY)
                sends.append(send)
                nursery.start_soon(_live, receive, trio.Event())
            await trio.testing.wait_all_tasks_blocked()
            gc.collect()
            taken = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            nursery.cancel_scope.cancel()
        return taken

    return trio.run(work) / count


def pykka_samples() -> dict[str, tuple[Callable[[int, Clock], float], float]]:
    """The parts that pykka takes part in, and how many times as fast ours must be; maybe none.

    By its proxies, which have a method for each message, as ours have a handler.
    """
    if importlib.util.find_spec("pykka") is None:
        return {}
    pykka: Any = importlib.import_module("pykka")

    class Counter(pykka.ThreadingActor):  # type: ignore[misc] # it may not be installed
        total = 0

        def add(self, message: _Message) -> int:
            self.total += message.amount
            return self.total

    def call(count: int, clock: Clock) -> float:
        proxy = Counter.start().proxy()
        start = clock()
        for _ in range(count):
            proxy.add(_Message(1)).get()
        took = clock() - start
        proxy.stop().get()
        return count / took

    def cast(count: int, clock: Clock) -> float:
        proxy = Counter.start().proxy()
        start = clock()
        for _ in range(count):
            proxy.add.defer(_Message(1))
        assert proxy.add(_Message(0)).get() == count
        took = clock() - start
        proxy.stop().get()
        return count / took

    def spawn(count: int, clock: Clock) -> float:
        start = clock()
        for _ in range(count):
            Counter.start().proxy().actor_ref.stop()
        return count / (clock() - start)

    return {
        "call": (call, 5.0),
        "cast_nowait, drained": (cast, 5.0),
        "spawn and stop": (spawn, 4.0),
    }
