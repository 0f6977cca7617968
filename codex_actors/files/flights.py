"""Owns the sharing of transfers: callers who want the same at the same time wait for one of them.

Invariant: a transfer lives as long as anybody waits for it, whoever began it; the last one who
leaves ends it, and when he leaves without what he wanted, nothing is left of it when he is told.
Must not know what is transferred.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager, suppress

import trio
from attrs import define, field, frozen

from codex_actors import ActorRef, ActorStopped, Cast
from codex_actors.files.blocking import CLEANUP_SECONDS

__all__ = ["Boarded", "Flights", "Land", "Launched"]


@frozen
class Land(Cast):
    """Tell a transfer that nobody waits for it any more; it ends."""


@frozen
class Launched:
    """A transfer under way.

    Attributes:
        actor: Who carries it out; takes `Land`.
        release: Gives back what it was granted; called once, when nobody waits any more.
    """

    actor: ActorRef
    release: Callable[[], None]


@frozen
class Boarded:
    """What one who waits is told.

    Attributes:
        actor: Who carries it out.
        joined: Somebody else began it.
    """

    actor: ActorRef
    joined: bool


@define(eq=False)
class _Flight:
    """One transfer and those who wait; without `launched` once `decided`, it came to nothing."""

    aboard: int = 0
    launched: Launched | None = None
    decided: trio.Event = field(factory=trio.Event)


class Flights:
    """The transfers under way that others may join.

    Args:
        grace: Seconds that the end of a transfer that is given up is waited for.
    """

    def __init__(self, *, grace: float = CLEANUP_SECONDS) -> None:
        self._grace = grace
        self._under_way: dict[Hashable, _Flight] = {}

    def is_under_way(self, key: Hashable) -> bool:
        """Tell whether there is a transfer to join."""
        return key in self._under_way

    @asynccontextmanager
    async def board(
        self, key: Hashable | None, launch: Callable[[], Awaitable[Launched]]
    ) -> AsyncGenerator[Boarded]:
        """Join the transfer of that key for the block, or begin it.

        Args:
            key: What is transferred; None for a transfer that nobody may join.
            launch: Begins it. What it raises goes to who began; the others begin anew.
        """
        while True:
            flight = self._under_way.get(key) if key is not None else None
            joined = flight is not None
            if flight is None:
                flight = _Flight()
                if key is not None:
                    self._under_way[key] = flight
            flight.aboard += 1
            try:
                if joined:
                    await flight.decided.wait()
                else:
                    await self._launch(key, flight, launch)
                if flight.launched is not None:
                    yield Boarded(flight.launched.actor, joined)
                    break
            except BaseException:
                await self._leave(key, flight, in_vain=True)  # noqa: ASYNC102 - what it awaits is shielded and bounded
                raise
            flight.aboard -= 1  # it came to nothing
        await self._leave(key, flight, in_vain=False)

    async def _launch(
        self, key: Hashable | None, flight: _Flight, launch: Callable[[], Awaitable[Launched]]
    ) -> None:
        try:
            flight.launched = await launch()
        finally:
            if flight.launched is None:
                self._forget(key, flight)
            flight.decided.set()

    async def _leave(self, key: Hashable | None, flight: _Flight, *, in_vain: bool) -> None:
        flight.aboard -= 1
        if flight.aboard > 0:
            return
        self._forget(key, flight)
        if flight.launched is None:
            return
        actor = flight.launched.actor
        try:
            if in_vain:
                actor.kill()
                with trio.move_on_after(self._grace, shield=True):
                    await actor.wait_stopped()  # what it had on disk is gone then
            else:
                with suppress(ActorStopped):
                    actor.cast_nowait(Land())
        finally:
            flight.launched.release()

    def _forget(self, key: Hashable | None, flight: _Flight) -> None:
        if key is not None and self._under_way.get(key) is flight:
            del self._under_way[key]
