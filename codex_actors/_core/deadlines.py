"""One heap of deadlines for a whole tree, and the one task that sleeps to the first.

A cancel scope per call would halve the call rate; an entry here costs a tenth of
that.  A cancelled entry is forgotten at once when it is the first, so that nobody,
a test's clock least of all, ever waits for the timeout of a call that was answered.
"""

import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count

import trio

_WORTH_COMPACTING = 64


class Deadline:
    """One entry: `fire` is called once when `when` has come, unless it was cancelled."""

    __slots__ = ("_owner", "fire", "when")

    def __init__(self, owner: "Deadlines", when: float, fire: Callable[[], None]) -> None:
        self._owner = owner
        self.when = when
        self.fire: Callable[[], None] | None = fire

    def cancel(self) -> None:
        """Forget the entry; calling it twice, or after it fired, does nothing."""
        if self.fire is not None:
            self.fire = None
            self._owner.forget()


class Deadlines:
    """The deadlines of one tree, on Trio's clock."""

    __slots__ = ("_dead", "_heap", "_order", "_sleep")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Deadline]] = []
        self._order = count()
        self._dead = 0
        self._sleep: trio.CancelScope | None = None

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def add(self, when: float, fire: Callable[[], None]) -> Deadline:
        """Have `fire` called at `when` (seconds of `trio.current_time`)."""
        entry = Deadline(self, when, fire)
        heap = self._heap
        heappush(heap, (when, next(self._order), entry))
        if heap[0][2] is entry and self._sleep is not None:
            self._sleep.deadline = when
        return entry

    def forget(self) -> None:
        """One entry has been cancelled: drop it if it is the first, else soon."""
        self._dead += 1
        first = self._heap[0][2]
        self._prune()
        heap = self._heap
        if self._dead > _WORTH_COMPACTING and self._dead > len(heap) // 2:
            self._heap = heap = [item for item in heap if item[2].fire is not None]
            heapify(heap)
            self._dead = 0
        if self._sleep is not None and not (heap and heap[0][2] is first):
            self._sleep.deadline = heap[0][0] if heap else math.inf

    def _prune(self) -> None:
        """The first entry is always a live one."""
        heap = self._heap
        while heap and heap[0][2].fire is None:
            heappop(heap)
            self._dead -= 1

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Sleep to the first deadline and fire what is due, until cancelled."""
        while True:
            deadline = self._heap[0][0] if self._heap else math.inf
            with trio.CancelScope(deadline=deadline) as self._sleep:
                await trio.sleep_forever()
            self._fire(trio.current_time())

    def _fire(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            entry = heappop(self._heap)[2]
            fire, entry.fire = entry.fire, None
            if fire is None:
                self._dead -= 1
            else:
                fire()
        self._prune()
