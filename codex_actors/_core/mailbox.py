"""A bounded mailbox: a queue, the one reader who parks at it, and those who wait for room.

Invariant: it belongs to a place, so a crash loses nothing that waits in it, and a message
leaves it only when it is handled next.  Control (stop, monitors, timers) never goes
through the queue, where it would wait behind messages; it wakes the reader, who looks at
what is beside the queue first.  Whether messages are admitted is for the place to know.

Not a memory channel, which costs twice the memory and time, loses what it holds when its
receiver closes, and hands a message over before the reader has seen the wish to end.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import outcome
import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled


class Mailbox:
    """What waits for one place, oldest first.

    Args:
        capacity: how many messages wait before senders must.
    """

    __slots__ = ("_items", "_limit", "_reader", "_senders", "capacity")

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self._items: deque[Any] = deque()
        # The capacity, and one more for an idle reader: what it will take does not wait.
        self._limit = capacity
        self._reader: Task | None = None
        # Who waits for room, with their messages; while anybody does, the queue is full.
        self._senders: OrderedDict[Task, Any] | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def has_reader(self) -> bool:
        """Whether somebody is parked here, who will take the next message at once."""
        return self._reader is not None

    def offer(self, item: object) -> bool:
        """Admit one message, unless there is no room."""
        if len(self._items) >= self._limit:
            return False
        self._items.append(item)
        reader = self._reader
        if reader is not None:
            self._reader = None
            reschedule(reader)
        return True

    async def post(self, item: object) -> None:
        """Admit one message, for which there was no room, as soon as there is.

        Raises:
            trio.ClosedResourceError: the place stopped admitting messages meanwhile.
        """
        if self._senders is None:
            self._senders = OrderedDict()
        senders, task = self._senders, current_task()
        senders[task] = item

        def give_up(_raise_cancel: Callable[[], Any]) -> Abort:
            del senders[task]
            return Abort.SUCCEEDED

        await wait_task_rescheduled(give_up)

    def take(self) -> object | None:
        """Take out the oldest message; None when there is none."""
        items = self._items
        self._limit = self.capacity
        if self._senders and len(items) <= self.capacity:
            task, item = self._senders.popitem(last=False)
            reschedule(task)
            items.append(item)
        return items.popleft() if items else None

    def seat(self) -> Callable[[Callable[[], Any]], Abort]:
        """Make the current task the reader: `await wait_task_rescheduled(mailbox.seat())`.

        It is woken when there is something to look at: a message, the end of them, control.
        """
        self._reader = current_task()
        self._limit = self.capacity + 1
        return self._leave

    def _leave(self, _raise_cancel: Callable[[], Any]) -> Abort:
        self._reader = None
        self._limit = self.capacity
        return Abort.SUCCEEDED

    def wake(self) -> None:
        """Make a parked reader look around."""
        if self._reader is not None:
            reschedule(self._reader)
            self._reader = None

    def close(self) -> None:
        """Turn away those who wait for room; the reader may find that nothing more will come."""
        if self._senders:
            for task in self._senders:
                reschedule(task, outcome.Error(trio.ClosedResourceError()))
            self._senders = None
        self.wake()

    def empty(self) -> list[Any]:
        """Turn away those who wait for room, and take out all that waits."""
        self.close()
        taken = list(self._items)
        self._items.clear()
        return taken
