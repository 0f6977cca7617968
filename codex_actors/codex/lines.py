"""Owns reading a process's output in bounded memory: lines of one stream, the end of another.

Invariant: no more than the bound is ever held, whatever the process prints. Must not know what the
lines mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from trio.abc import ReceiveStream

__all__ = ["LineReader", "LineTooLong", "Tail"]

CHUNK = 65_536


class LineTooLong(Exception):
    """A line does not end within the bound."""


@final
class LineReader:
    """Reads a stream line by line; the last line may lack its newline."""

    def __init__(self, stream: ReceiveStream, *, max_line: int) -> None:
        self._stream = stream
        self._max_line = max_line
        self._buffer = bytearray()
        self._searched = 0
        self._ended = False

    async def next_line(self) -> bytes | None:
        """Return the next line without its newline, None at the end. Safe to cancel.

        Raises:
            LineTooLong: It has more than `max_line` bytes.
        """
        while True:
            end = self._buffer.find(b"\n", self._searched)
            if end >= 0 or (self._ended and self._buffer):
                return self._take(end if end >= 0 else len(self._buffer))
            if self._ended:
                return None
            self._searched = len(self._buffer)
            if self._searched > self._max_line:
                raise LineTooLong(f"a line of more than {self._max_line:,} bytes")
            chunk = await self._stream.receive_some(CHUNK)
            self._ended = not chunk
            self._buffer += chunk

    def _take(self, end: int) -> bytes:
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line


@final
class Tail:
    """Reads a stream to its end and keeps the last `size` bytes."""

    def __init__(self, *, size: int) -> None:
        self._size = size
        self._kept = bytearray()
        self.ended = trio.Event()

    async def pump(self, stream: ReceiveStream) -> None:
        """Read until the stream ends or breaks."""
        try:
            while chunk := await stream.receive_some(CHUNK):
                self._kept += chunk
                del self._kept[: -self._size]
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # what was read before is what there is
        finally:
            self.ended.set()

    def text(self) -> str:
        """Return what is kept, bytes that are no text replaced."""
        return self._kept.decode(errors="replace")
