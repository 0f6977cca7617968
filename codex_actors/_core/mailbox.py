"""A bounded mailbox: a memory channel, the one reader who parks beside it, and its next message.

Invariant: it belongs to a place, so a crash loses nothing that waits in it, and a message
leaves it only when it is handled next.  Control (stop, monitors, timers) never goes
through the channel, where it would wait behind messages; it wakes the reader, who looks at
what is beside the channel first.  Whether messages are admitted is for the place to know.

The reader never waits in `receive`: that would take a message out before it has seen the
wish to end.  It parks here, and takes what is there without waiting.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trio
from trio.lowlevel import Abort, Task, current_task, reschedule


class Mailbox:
    """What waits for one place, oldest first.

    Args:
        capacity: how many messages wait before senders must.
    """

    __slots__ = ("_next", "_posting", "_reader", "_receive", "_send", "_waiting", "capacity")

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self._send, self._receive = trio.open_memory_channel[Any](capacity)
        # What a parked reader was woken with: it does not wait, so it takes no room.
        self._next: object | None = None
        self._reader: Task | None = None
        self._waiting = 0  # in the channel, or before it
        self._posting = 0  # before it, for want of room

    def __len__(self) -> int:
        return self._receive.statistics().current_buffer_used + (self._next is not None)

    @property
    def has_reader(self) -> bool:
        """Whether somebody is parked here, who will take the next message at once."""
        return self._reader is not None

    def offer(self, item: object) -> bool:
        """Admit one message, unless there is no room."""
        reader = self._reader
        if reader is not None:
            self._reader = None
            self._next = item
            reschedule(reader)
            return True
        try:
            self._send.send_nowait(item)
        except trio.WouldBlock:
            return False
        self._waiting += 1
        return True

    async def post(self, item: object) -> None:
        """Admit one message, for which there was no room, as soon as there is.

        Raises:
            trio.ClosedResourceError: the place stopped admitting messages meanwhile.
        """
        self._waiting += 1
        self._posting += 1
        try:
            await self._send.send(item)
        except BaseException:
            self._waiting -= 1
            raise
        finally:
            self._posting -= 1

    def take(self) -> object | None:
        """Take out the oldest message; None when there is none."""
        item: object | None = self._next
        if item is not None:
            self._next = None
        elif self._waiting:
            try:
                item = self._receive.receive_nowait()
            except trio.WouldBlock:
                return None  # those before it were turned away just now
            self._waiting -= 1
        return item

    def seat(self) -> Callable[[Callable[[], Any]], Abort]:
        """Make the current task the reader: `await wait_task_rescheduled(mailbox.seat())`.

        It is woken when there is something to look at: a message, the end of them, control.
        """
        self._reader = current_task()
        return self._leave

    def _leave(self, _raise_cancel: Callable[[], Any]) -> Abort:
        self._reader = None
        return Abort.SUCCEEDED

    def wake(self) -> None:
        """Make a parked reader look around."""
        if self._reader is not None:
            reschedule(self._reader)
            self._reader = None

    def close(self) -> None:
        """Turn away those who wait for room; the reader may find that nothing more will come."""
        if self._posting:
            self._send.close()
            kept = self._drain()
            self._send, self._receive = trio.open_memory_channel[Any](self.capacity)
            for item in kept:
                self._send.send_nowait(item)
        self.wake()

    def empty(self) -> list[Any]:
        """Turn away those who wait for room, and take out all that waits."""
        self.close()
        taken = self._drain() if self._next is None else [self._next, *self._drain()]
        self._next = None
        self._waiting = self._posting
        return taken

    def _drain(self) -> list[Any]:
        """Take out what is in the channel."""
        taken: list[Any] = []
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                taken.append(self._receive.receive_nowait())
        return taken
