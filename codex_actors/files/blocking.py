"""Owns how work that blocks meets the event loop: the one seam between the two.

Invariant: work runs to its end or to the next step of its own choosing, never abandoned: when a
call here has returned or raised, its thread is done with everything that it was given. Must not
know what the work is.
"""

from collections.abc import Callable, Generator
from typing import Protocol, TypeVar, TypeVarTuple

import trio
from attrs import frozen

__all__ = ["CLEANUP_SECONDS", "Blocking", "Inline", "Threads", "run_steps"]

# How long what cleans up may wait for its turn: for a free thread, or for an actor to end. It does
# not cut short what a thread has begun, which is never abandoned.
CLEANUP_SECONDS = 5.0

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Blocking(Protocol):
    """A way to run work that blocks."""

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a function to its end. A cancellation is seen before it starts, or after it ended."""
        ...

    async def drive(self, steps: Generator[None, None, T]) -> T:
        """Run a generator to its end and return what it returns.

        A cancellation is seen at its next `yield`; the generator is closed then.
        """
        ...


@frozen
class Threads:
    """Worker threads: what a program uses."""

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a function in a worker thread."""
        return await trio.to_thread.run_sync(work, *args)

    async def drive(self, steps: Generator[None, None, T]) -> T:
        """Run a generator in one worker thread, in one hop for all its steps."""
        return await trio.to_thread.run_sync(run_steps, steps, trio.from_thread.check_cancelled)


@frozen
class Inline:
    """The event loop itself: for tests under a virtual clock, which must not wait for threads."""

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a function here and now, after one checkpoint."""
        await trio.lowlevel.checkpoint()
        return work(*args)

    async def drive(self, steps: Generator[None, None, T]) -> T:
        """Run a generator here, with a checkpoint before every step."""
        try:
            while True:
                await trio.lowlevel.checkpoint()
                try:
                    next(steps)
                except StopIteration as stop:
                    value: T = stop.value
                    return value
        finally:
            steps.close()


def run_steps(steps: Generator[None, None, T], between: Callable[[], object]) -> T:
    """Run a generator to its end, calling `between` after every step; return what it returns."""
    try:
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                value: T = stop.value
                return value
            between()
    finally:
        steps.close()
