"""Whoever is cancelled at every step in turn leaves a connection that works, and nothing behind."""

from pathlib import Path
from typing import Any

import trio
import trio.lowlevel
from wire_support import Ask, Desk, serving, stranger

from codex_actors.control.client import open_client
from codex_actors.control.session import Notify


class After(trio.abc.Instrument):
    """Cancels a scope when so many steps have been taken, by whichever task."""

    def __init__(self, steps: int, scope: trio.CancelScope) -> None:
        self._left = steps
        self._scope = scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count."""
        if self._left == 0:
            self._scope.cancel()
        self._left -= 1


def descriptors() -> set[str]:
    """What is open."""
    return {each.name for each in Path("/proc/self/fd").iterdir()}


async def test_a_client_may_be_cancelled_anywhere() -> None:
    """While it connects, asks, hears notes, leaves: what it asked for ends, no descriptor leaks."""

    async def chatty(_params: object, notify: Notify) -> object:
        notify({"n": 1})
        await trio.lowlevel.checkpoint()
        return {}

    desk = Desk(chatty=chatty)
    finished = False
    steps = 0
    async with serving(desk.answer) as path, stranger(path) as other:
        await other.ask()
        before = len(descriptors())
        while not finished:
            notes: list[Any] = []
            with trio.CancelScope() as scope:
                after = After(steps, scope)
                trio.lowlevel.add_instrument(after)
                try:
                    async with open_client(path) as client:
                        await client.request(Ask(name="chatty"), on_note=notes.append)
                        await client.request(Ask(value="x" * 300_000))
                finally:
                    trio.lowlevel.remove_instrument(after)
            finished = not scope.cancelled_caught
            steps += 1
            assert "result" in await other.ask()
        for _ in range(100):
            await other.ask()
        left = len(descriptors())

    assert steps > 20
    assert left == before


async def test_a_server_may_be_cancelled_anywhere() -> None:
    """With requests under way, answers being written and clients being refused: it ends, bare."""
    desk = Desk(big=lambda _params, _notify: "x" * 300_000)
    before: int | None = None
    for steps in range(60):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                started = trio.Event()

                async def run(started: trio.Event = started) -> None:
                    async with serving(desk.answer) as path:
                        started.set()
                        async with stranger(path) as client, stranger(path):
                            for number in range(3):
                                await client.ask("big", id_=number)
                            await trio.sleep_forever()

                nursery.start_soon(run)
                await started.wait()
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        if steps == 5:
            before = len(descriptors())

    assert before == len(descriptors())
