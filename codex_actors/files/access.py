"""Owns the way from the facade to the actors of one tree, and the queue of transfers before it.

Invariant: no caller is timed out by a default of ours; transfers begin in the order in which they
were asked for, `max_transfers` of them at a time; what was promised to be undone is undone or owed
when a block has been left. Must not know what is asked.
"""

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import trio

from codex_actors import ActorRef, ActorStopped, DynamicSupervisor, Supervisor
from codex_actors.files.actors.registry import Describe, Owe, Perform
from codex_actors.files.blocking import CLEANUP_SECONDS
from codex_actors.files.environment import Environment
from codex_actors.files.errors import FilesError, TransfersBusy
from codex_actors.files.index.transaction import Operation
from codex_actors.files.telemetry import Events

__all__ = ["Access"]

T = TypeVar("T")


class Access:
    """What the facade and its parts have in common."""

    def __init__(self, supervisor: Supervisor, events: Events | None) -> None:
        self.supervisor = supervisor
        self.events = events or Events()
        self._environment: Environment | None = None
        self._slots: trio.CapacityLimiter | None = None
        # Callers who wait together with one who waits for a slot.
        self.companions = 0

    @property
    def registry(self) -> ActorRef:
        """The one door to the manifest."""
        return self.supervisor["registry"]

    @property
    def sweeper(self) -> ActorRef:
        """Who removes what nobody wants."""
        return self.supervisor["sweeper"]

    @property
    def transfers(self) -> DynamicSupervisor:
        """Who has one child per transfer."""
        transfers = self.supervisor.subtree("transfers")
        assert isinstance(transfers, DynamicSupervisor)  # noqa: S101 - tells the type checkers
        return transfers

    async def perform(self, operation: Operation[T]) -> T:
        """Have the registry carry out an operation."""
        return await self.registry.call(Perform(operation), timeout=math.inf)

    async def environment(self) -> Environment:
        """Return what the tree was given; it is asked once."""
        return (await self._ready())[0]

    async def queue(self) -> trio.CapacityLimiterStatistics:
        """Return how many transfers run and how many callers wait."""
        return (await self._ready())[1].statistics()

    async def is_crowded(self) -> bool:
        """Tell whether the next transfer will have to wait for its turn."""
        return (await self._ready())[1].available_tokens <= 0

    async def refuse_when_busy(self) -> None:
        """Check that one more caller may wait.

        Raises:
            TransfersBusy: `max_queued` callers are waiting already.
        """
        environment, slots = await self._ready()
        config = environment.config
        waiting = slots.statistics().tasks_waiting + self.companions
        if slots.available_tokens <= 0 and waiting >= config.max_queued:
            raise TransfersBusy(
                f"{config.max_transfers} transfers are running and {config.max_queued} callers"
                " wait: try again later, or raise max_queued."
            )

    async def take_slot(self) -> Callable[[], None]:
        """Wait for the turn of a transfer; return what gives it back, to be called once.

        Raises:
            TransfersBusy: `max_queued` callers are waiting already.
        """
        await self.refuse_when_busy()
        slots = (await self._ready())[1]
        # Not on behalf of the task: an iterable that is being staged may stage something itself,
        # and who began a transfer need not be the one who ends it.
        borrower = object()
        await slots.acquire_on_behalf_of(borrower)
        return partial(slots.release_on_behalf_of, borrower)

    @asynccontextmanager
    async def undoing(self, operation: Operation[Any]) -> AsyncGenerator[None]:
        """Have an operation carried out at the end of the block, whatever ends it."""
        try:
            yield
        finally:
            done = False
            with trio.move_on_after(CLEANUP_SECONDS, shield=True):
                # A registry that died may have had it in hand; the next one is asked.
                with suppress(ActorStopped, FilesError):
                    await self.perform(operation)
                    done = True
            if not done:
                # The manifest is busy or has no room: the registry owes it now. A tree that is gone
                # has released its leases.
                with suppress(ActorStopped):
                    self.registry.cast_nowait(Owe(operation))

    async def _ready(self) -> tuple[Environment, trio.CapacityLimiter]:
        if self._environment is None or self._slots is None:
            environment = await self.registry.call(Describe(), timeout=math.inf)
            if self._environment is None:
                self._environment = environment
                self._slots = trio.CapacityLimiter(environment.config.max_transfers)
                if environment.events is not self.events:
                    environment.events.attach(self.events.emit)
            assert self._slots is not None  # noqa: S101 - set together, by whoever came first
        return self._environment, self._slots
