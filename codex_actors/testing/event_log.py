"""Recording the events of a tree, and waiting for one of them."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import trio

from codex_actors import Event

E = TypeVar("E", bound=Event)


class EventLog:
    """An event handler that keeps every event: `open_supervisor(spec, on_event=[log])`."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._more = trio.Event()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._events.append(event)
        self._more.set()
        self._more = trio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(tuple(self._events))

    def of(self, kind: type[E], path: str | None = None) -> list[E]:
        """The events of one class, of one child if `path` is given, in order."""
        return [
            event
            for event in self._events
            if isinstance(event, kind) and (path is None or event.path == path)
        ]

    def lines(self) -> list[str]:
        """All events as text, one line each."""
        return [str(event) for event in self._events]

    def clear(self) -> None:
        """Forget what was recorded."""
        self._events.clear()

    async def wait_for(
        self, kind: type[E], path: str | None = None, where: Callable[[E], bool] | None = None
    ) -> E:
        """The first event that matches, recorded already or still to come.

        Waits without end: under a `MockClock` with autojump a missing event shows as a
        test that does not end, so bound it with `trio.fail_after` where that can happen.
        """
        while True:
            for event in self.of(kind, path):
                if where is None or where(event):
                    return event
            await self._more.wait()
