"""Restart intensity: has this supervisor restarted too much, too fast?

The arithmetic of OTP's `supervisor:add_restart/1`.  Pure: time is an argument.
"""

from collections import deque


class RestartWindow:
    """The restarts of one supervisor within its sliding window.

    Every entry keeps the error that led to the restart, as long as it counts.

    Args:
        max_restarts: how many restarts the window tolerates.
        max_seconds: the length of the window in seconds.
    """

    __slots__ = ("_entries", "max_restarts", "max_seconds")

    def __init__(self, max_restarts: int, max_seconds: float) -> None:
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self._entries: deque[tuple[float, BaseException | None]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def charge(self, now: float, error: BaseException | None) -> bool:
        """Count one restart attempt; False when the supervisor must give up.

        An entry exactly `max_seconds` old still counts, as in OTP.
        """
        self.prune(now)
        self._entries.append((now, error))
        return len(self._entries) <= self.max_restarts

    def prune(self, now: float) -> None:
        """Forget what lies before the window, and with it the errors."""
        oldest = now - self.max_seconds
        while self._entries and self._entries[0][0] < oldest:
            self._entries.popleft()

    def next_expiry(self) -> float | None:
        """When the oldest entry leaves the window, or None when there is none."""
        return self._entries[0][0] + self.max_seconds if self._entries else None

    def crashes(self) -> tuple[BaseException, ...]:
        """The errors inside the window, in order."""
        return tuple(error for _, error in self._entries if error is not None)
