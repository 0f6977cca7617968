"""Owns the carrying out of the end: operations first, then the tree, within one deadline.

Invariant: what was admitted is finished if the time allows, and cancelled when not; a harsher wish
is followed at once. Must not know signals' numbers, sockets or files.
"""

import math
from collections.abc import Callable
from typing import Any, final

import trio

from codex_actors import DynamicSupervisor, Supervisor
from codex_actors.control.operations import Operations
from codex_actors.control.process.countdown import Countdown, waited_for
from codex_actors.control.process.leaving import Leaving, Manner

__all__ = ["ProcessDeparture"]

_WORDS = {Manner.DRAIN: "draining", Manner.SHUT_DOWN: "shutting down", Manner.CANCEL: "cancelling"}


@final
class ProcessDeparture:
    """How the process ends; what control handlers and signals are given.

    Attributes:
        cancelling: The scope around the tree: cancelled, the tree ends by cancellation.
        leaving: What has been asked for.

    Args:
        operations: What clients have under way.
        timeout: Seconds for everything, before it is cancelled.
        countdown: Who is told.
        grace: Seconds for the cleanup of operations that were cancelled, before the tree that they
            use is stopped.
        on_change: Called with each manner that is harsher than the one before.
    """

    def __init__(
        self,
        operations: Operations,
        timeout: float,
        countdown: Countdown,
        *,
        grace: float,
        on_change: Callable[[Manner], object] = lambda _manner: None,
    ) -> None:
        self.cancelling = trio.CancelScope()
        self.leaving = Leaving()
        self._operations = operations
        self._timeout = timeout
        self._countdown = countdown
        self._grace = grace
        self._on_change = on_change
        self._due = math.inf
        self._wished = trio.Event()
        self._step = trio.CancelScope()
        self._name = ""
        self._supervisor: Supervisor | DynamicSupervisor | None = None

    def up(self, supervisor: Supervisor | DynamicSupervisor, name: str) -> None:
        """The tree has started: from now on there is something to drain."""
        self._supervisor, self._name = supervisor, name
        self.leaving = self.leaving.up()

    def drain(self, timeout: float | None = None) -> None:
        """See `Departure.drain`; a second one can only shorten the time."""
        if timeout is not None and self.leaving.manner is Manner.STAY:
            self._timeout = timeout
        elif timeout is not None and trio.current_time() + timeout < self._due:
            self._timeout = timeout
            self._due = self._step.deadline = trio.current_time() + timeout
        self._follow(self.leaving.asked(Manner.DRAIN))

    def shutdown(self) -> None:
        """See `Departure.shutdown`."""
        self._follow(self.leaving.asked(Manner.SHUT_DOWN))

    def cancel(self) -> None:
        """See `Departure.cancel`."""
        self._follow(self.leaving.asked(Manner.CANCEL))

    def report(self) -> dict[str, Any] | None:
        """See `Departure.report`."""
        if self.leaving.manner is Manner.STAY:
            return None
        left = self._due - trio.current_time()
        has_deadline = self.leaving.manner is not Manner.CANCEL and not math.isinf(left)
        return {
            "seconds_left": round(max(0.0, left), 3) if has_deadline else None,
            "waiting_for": self._waiting(),
        }

    def signal(self, number: int) -> None:
        """A signal came that asks for the end."""
        self._follow(self.leaving.signalled(number))

    async def run(self) -> None:
        """Wait for the first wish, then carry out what is wished, until cancelled."""
        await self._wished.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._count)
            while self.leaving.manner is not Manner.CANCEL:
                manner = self.leaving.manner
                with trio.CancelScope(deadline=self._due) as self._step:
                    await self._end(manner)
                    await trio.sleep_forever()  # the process ends with its tree
                if self.leaving.manner is manner:
                    self._countdown.overdue(_WORDS[manner], self._timeout)
                    self.cancel()
            # First those who use the tree: what they undo takes actors that are still there.
            with trio.move_on_after(self._grace):
                await self._operations.wait_empty()
            self.cancelling.cancel()

    def _follow(self, leaving: Leaving) -> None:
        before, self.leaving = self.leaving, leaving
        if leaving.manner is before.manner:
            return
        if not self._wished.is_set():
            self._due = trio.current_time() + self._timeout
            self._wished.set()
        self._operations.close()
        self._on_change(leaving.manner)
        self._countdown.begin(_WORDS[leaving.manner], self._left(), self._waiting())
        if leaving.manner is Manner.CANCEL:
            self._operations.cancel_all()
        self._step.cancel()

    async def _end(self, manner: Manner) -> None:
        supervisor = self._supervisor
        if supervisor is None:
            raise AssertionError("before the tree is up every wish is to cancel")
        if manner is Manner.DRAIN:
            await self._operations.wait_empty()
            await supervisor.ref.drain()
        else:
            self._operations.cancel_all()
            with trio.move_on_after(self._grace):
                await self._operations.wait_empty()
            await supervisor.stop()

    async def _count(self) -> None:
        while True:
            await trio.sleep(1)
            self._countdown.tick(_WORDS[self.leaving.manner], self._left(), self._waiting())

    def _left(self) -> float:
        if self.leaving.manner is Manner.CANCEL:
            return math.inf
        return self._due - trio.current_time()

    def _waiting(self) -> list[str]:
        """Name what is not done: operations, or else what of the tree is stopping."""
        running = [f"{each.kind} {each.what}" for each in self._operations.running()]
        if running or self._supervisor is None:
            return running
        return waited_for(self._supervisor.snapshot().to_dict(), self._name)
