"""Owns what waits to be read by one client.

Invariant: an answer is never dropped, a note that finds no room always is; so answers wait to be
made until there is room. Must not know what the lines say.
"""

from collections import deque
from typing import final

import trio

__all__ = ["Outbox"]


@final
class Outbox:
    """Lines that wait to be written, in order.

    Args:
        notes: How many notes may wait.
        room: Bytes beyond which there is no room, except for an answer that is made already.
    """

    def __init__(self, *, notes: int, room: int) -> None:
        self._notes = notes
        self._room = room
        self._lines: deque[tuple[bytes, bool]] = deque()
        self._size = 0
        self._notes_waiting = 0
        self._writing = False
        self._closed = False
        self._writer = trio.lowlevel.ParkingLot()
        self._makers = trio.lowlevel.ParkingLot()

    @property
    def is_empty(self) -> bool:
        """Whether all has been written."""
        return not self._lines and not self._writing

    @property
    def has_room(self) -> bool:
        """Whether an answer may be made."""
        return self._size < self._room

    async def wait_room(self) -> None:
        """Wait until an answer may be made; does not checkpoint where there is room."""
        while not self.has_room:
            await self._makers.park()

    def put(self, line: bytes) -> None:
        """Add an answer."""
        self._add(line, is_note=False)

    def put_note(self, line: bytes) -> bool:
        """Add a note, if there is room for it; tell whether there was."""
        fits = self._notes_waiting < self._notes and self._size + len(line) <= self._room
        if fits:
            self._notes_waiting += 1
            self._add(line, is_note=True)
        return fits

    def _add(self, line: bytes, *, is_note: bool) -> None:
        self._lines.append((line, is_note))
        self._size += len(line)
        self._writer.unpark_all()

    def close(self) -> None:
        """Have `take` return None when all has been taken."""
        self._closed = True
        self._writer.unpark_all()

    async def take(self, size: int) -> bytes | None:
        """Wait for lines, and return as many as have together about `size` bytes, at least one.

        What was taken before counts as written then. None: there will be no more.
        """
        self._writing = False
        while not self._lines:
            if self._closed:
                return None
            await self._writer.park()
        taken: list[bytes] = []
        while self._lines and size > 0:
            line, is_note = self._lines.popleft()
            taken.append(line)
            size -= len(line)
            self._size -= len(line)
            self._notes_waiting -= is_note
        self._writing = True
        if self.has_room:
            self._makers.unpark_all()
        return taken[0] if len(taken) == 1 else b"".join(taken)
