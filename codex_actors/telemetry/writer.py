"""Owns the way of lines to a descriptor that may not be read: a terminal, a pipe, a full disk.

Invariant: `write` never blocks, and what waits is bounded; lines that find no room are dropped and
counted, and the next line that gets out is preceded by how many they were. A descriptor that takes
nothing any more is left alone. Must not know what a line means.

The thread is a daemon, for a write to a pipe that nobody reads cannot be taken back: whoever closes
waits for it for a bounded time only.
"""

import os
import select
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["LineWriter"]

_CAPACITY = 4 << 20
_ERASE = "\r\x1b[K"


def _dropped(count: int) -> str:
    return f"[{count} lines were dropped: nobody read them in time]\n"


class LineWriter:
    """A queue of text, written by a thread of its own.

    Args:
        descriptor: Where to; not closed, and not used any more once `close` has returned True.
        capacity: How many characters may wait.

    Attributes:
        on_dropped: Makes the line that tells how many were dropped.
    """

    def __init__(self, descriptor: int, *, capacity: int = _CAPACITY) -> None:
        self._descriptor = descriptor
        self._capacity = capacity
        self.on_dropped: Callable[[int], str] = _dropped
        self._news = threading.Condition()
        self._lines: deque[str] = deque()
        self._size = 0
        self._dropped = 0
        self._status = ""
        self._shown = ""
        self._busy = False
        self._closed = False
        self._broken = False
        self._thread = threading.Thread(
            target=self._run, name="codex-actors line writer", daemon=True
        )
        self._thread.start()

    def write(self, text: str) -> None:
        """Have text written, whole lines, after all before it; or drop it, if there is no room.

        Any thread; never blocks.
        """
        with self._news:
            if self._closed or self._broken:
                return
            if self._lines and self._size + len(text) > self._capacity:
                self._dropped += 1
                return
            if self._dropped:
                told = self.on_dropped(self._dropped)
                self._dropped = 0
                self._put(told)
            self._put(text)
            self._news.notify_all()

    def show(self, status: str) -> None:
        """Keep a line at the end of a terminal, in place of the one before; "" for none.

        Only for terminals: it is erased and written again around the lines that are written.
        """
        with self._news:
            self._status = status
            self._news.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until all is written, for so many seconds at most; tell whether it is. Blocking."""
        due = time.monotonic() + timeout
        with self._news:
            while self._lines or self._busy or self._status != self._shown:
                left = due - time.monotonic()
                if self._broken or left <= 0 or not self._news.wait(left):
                    return False
        return True

    def close(self, timeout: float = 1.0) -> bool:
        """Write what waits, for so many seconds at most, and end; tell whether all was written.

        Blocking. What is written afterwards is dropped.
        """
        with self._news:
            if self._dropped:
                self._put(self.on_dropped(self._dropped))
                self._dropped = 0
            self._status = ""
            self._news.notify_all()
        flushed = self.flush(timeout)
        with self._news:
            self._closed = True
            self._news.notify_all()
        return flushed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        self.close()

    def _put(self, text: str) -> None:
        self._lines.append(text)
        self._size += len(text)

    def _run(self) -> None:
        while (text := self._next()) is not None:
            try:
                self._send(text.encode("utf-8", "backslashreplace"))
            except OSError:
                # Closed, or its reader has gone: nobody is left to tell.
                with self._news:
                    self._broken = True
                    self._lines.clear()
                    self._news.notify_all()
                return

    def _next(self) -> str | None:
        """Return all that is to be written now, None at the end; waits for it."""
        with self._news:
            self._busy = False
            self._news.notify_all()
            while not self._lines and self._status == self._shown:
                if self._closed:
                    return None
                self._news.wait()
            erase = _ERASE if self._shown else ""
            text = "".join([erase, *self._lines, self._status])
            self._lines.clear()
            self._size = 0
            self._shown = self._status
            self._busy = True
            return text

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                # The description, and with it this flag, is shared with whoever started us.
                select.select([], [self._descriptor], [])
