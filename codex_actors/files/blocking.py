"""Owns how work that blocks meets the event loop: the one seam between the two.

Invariant: work runs to its end or to the next step of its own choosing, never abandoned: when a
call here has returned or raised, its thread is done with everything that it was given. Must not
know what the work is.
"""

import math
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeVar, TypeVarTuple

import trio
from attrs import frozen

__all__ = ["CLEANUP_SECONDS", "Blocking", "Inline", "Threads", "run_steps"]

# How long what cleans up may wait for its turn: for a free thread, or for an actor to end. It does
# not cut short what a thread has begun, which is never abandoned.
CLEANUP_SECONDS = 5.0

# How far what follows may be behind, in whatever it counts: a few MiB are still in the cache.
MOST_BEHIND = 4 << 20

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar(
    "codex_actors.files.blocking"
)


def _unlimited() -> trio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(math.inf)
        _limiter.set(limiter)
        return limiter


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

    def follow(self, work: Callable[[int], None]) -> AbstractContextManager[Callable[[int], None]]:
        """Let work follow what `drive` is driving; called and left by its generator.

        It gives a function that tells the work how far it may go. That may raise what the work
        raised at an earlier place. At the end the work has got there, or raised; or it has stopped
        somewhere, when the block is left by an exception.
        """
        ...


@frozen
class Threads:
    """Worker threads: what a program uses."""

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a function in a worker thread, however many others run.

        The manifest must not wait for slow copies, nor for what else the program does in threads.
        How much runs at a time is limited where it is asked for.
        """
        return await trio.to_thread.run_sync(work, *args, limiter=_unlimited())

    async def drive(self, steps: Generator[None, None, T]) -> T:
        """Run a generator in one worker thread, in one hop for all its steps."""
        return await trio.to_thread.run_sync(run_steps, steps, trio.from_thread.check_cancelled)

    def follow(self, work: Callable[[int], None]) -> AbstractContextManager[Callable[[int], None]]:
        """Let work follow in a second thread, which ends with the block."""
        return _following(work)


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

    def follow(self, work: Callable[[int], None]) -> AbstractContextManager[Callable[[int], None]]:
        """Let work follow at once."""
        return nullcontext(work)


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


class _Follower:
    """Work in a thread of its own, which goes as far as it was told."""

    def __init__(self, work: Callable[[int], None]) -> None:
        self._work = work
        self._news = threading.Condition()
        self._allowed = 0
        self._reached = 0
        self._ended = False
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="codex-actors follower", daemon=True)

    def advance(self, position: int) -> None:
        """Let the work go on to a position; waits while it is too far behind."""
        with self._news:
            self._allowed = position
            self._news.notify_all()
            while self._error is None and self._allowed - self._reached > MOST_BEHIND:
                self._news.wait()
            if self._error is not None:
                raise self._error

    def end(self, *, early: bool) -> None:
        """Let the work get to where it may go, or only `early` end what it does, and join it."""
        with self._news:
            if early:
                self._allowed = self._reached
            self._ended = True
            self._news.notify_all()
        self.thread.join()
        if self._error is not None and not early:
            raise self._error

    def _run(self) -> None:
        while (position := self._next()) is not None:
            error: BaseException | None = None
            try:
                self._work(position)
            except BaseException as raised:  # noqa: BLE001 - passed on to the thread that waits
                error = raised
            with self._news:
                self._reached, self._error = position, error
                self._news.notify_all()
            if error is not None:
                return

    def _next(self) -> int | None:
        with self._news:
            while self._allowed <= self._reached and not self._ended:
                self._news.wait()
            return self._allowed if self._allowed > self._reached else None


@contextmanager
def _following(work: Callable[[int], None]) -> Generator[Callable[[int], None]]:
    follower = _Follower(work)
    try:
        follower.thread.start()
    except RuntimeError:
        # No more threads to be had: one does both.
        yield work
        return
    try:
        yield follower.advance
    except BaseException:
        follower.end(early=True)
        raise
    follower.end(early=False)
