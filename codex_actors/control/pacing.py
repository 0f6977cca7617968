"""Owns how often a client is told of one thing that changes all the time.

Invariant: at most once per interval, always the newest, and the last one in any case. Must not know
what is told.
"""

from typing import Any

import trio

from codex_actors.control.session import Notify

__all__ = ["Pace"]

INTERVAL = 0.1


class Pace:
    """Tells a client the newest of what it is given.

    Args:
        notify: Tells it.
        interval: Seconds from one time to the next.
    """

    def __init__(self, notify: Notify, interval: float = INTERVAL) -> None:
        self._notify = notify
        self._interval = interval
        self._newest: dict[str, Any] | None = None
        self._news = trio.Event()

    def tell(self, document: dict[str, Any]) -> None:
        """Have this told, unless a newer one comes before its time."""
        self._newest = document
        self._news.set()

    def tell_now(self, document: dict[str, Any]) -> None:
        """Tell this at once, after what has not been told yet."""
        self.flush()
        self._notify(document)

    def flush(self) -> None:
        """Tell what has not been told yet."""
        newest, self._newest = self._newest, None
        if newest is not None:
            self._notify(newest)

    async def run(self) -> None:
        """Tell, until cancelled."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            self.flush()
            await trio.sleep(self._interval)
