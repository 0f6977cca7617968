"""A bounded mailbox on a Trio memory channel, which outlives the incarnations that read it.

Invariant: it belongs to a place, so a crash loses nothing that waits in it.  Control
(stop, monitors, timers) never goes through the channel, where it would queue behind
messages; it only wakes a parked reader with `WAKE`, for which there is always room,
because a reader parks only at an empty channel.
"""

from collections.abc import Awaitable
from typing import Any, Final

import trio

WAKE: Final = object()


class Mailbox:
    """What waits for one place, oldest first.

    Args:
        capacity: how many messages wait before senders must.
    """

    __slots__ = ("_kept", "_receive", "_send", "capacity")

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self._kept: Any = None
        self._send, self._receive = trio.open_memory_channel[Any](capacity)

    def __len__(self) -> int:
        return self._receive.statistics().current_buffer_used + (self._kept is not None)

    def post_nowait(self, item: object) -> None:
        """Admit one message; `trio.WouldBlock` when there is no room."""
        self._send.send_nowait(item)

    async def post(self, item: object) -> None:
        """Admit one message when there is room.

        Raises:
            trio.ClosedResourceError: admission closed meanwhile.
            trio.BrokenResourceError: the place was given up meanwhile.
        """
        await self._send.send(item)

    def next_nowait(self) -> Any:
        """The oldest message; `trio.WouldBlock` or `trio.EndOfChannel` when there is none."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept
        return self._receive.receive_nowait()

    def next(self) -> Awaitable[Any]:
        """The oldest message, or `WAKE`; to be awaited until there is one of them.

        Raises:
            trio.EndOfChannel: admission is closed and nothing is left.
        """
        return self._receive.receive()

    def keep(self, item: object) -> None:
        """Take back what `next` gave out but nobody began to handle: it is the oldest again."""
        if item is not WAKE:
            self._kept = item

    def wake(self) -> None:
        """Make a parked reader look at what is beside the channel."""
        statistics = self._receive.statistics()
        if statistics.tasks_waiting_receive and statistics.open_send_channels:
            self._send.send_nowait(WAKE)

    def close(self) -> None:
        """Close admission, also to those who wait for room; what waits can still be read."""
        self._send.close()

    def empty(self) -> list[Any]:
        """Close, and take out all that waits."""
        self._send.close()
        taken: list[Any] = []
        while True:
            try:
                taken.append(self.next_nowait())
            except (trio.EndOfChannel, trio.ClosedResourceError):
                break
        self._receive.close()
        return [item for item in taken if item is not WAKE]

    def reopen(self) -> None:
        """Admit again, into a new channel."""
        self._send.close()
        self._receive.close()
        self._send, self._receive = trio.open_memory_channel[Any](self.capacity)
