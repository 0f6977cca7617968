"""Owns the removal of what nobody wants any more: expired attachments, and what the dead left.

Invariant: it decides nothing by itself; every chunk is one operation of the registry, so stagings
go on between chunks. A failed sweep is reported and tried again at the next tick.
"""

import math
from collections.abc import Awaitable, Callable

from attrs import frozen

from codex_actors import (
    Actor,
    ActorRef,
    ActorStopped,
    Call,
    Info,
    Supervisor,
    fault_point,
    handle_call,
    handle_info,
)
from codex_actors.files import telemetry
from codex_actors.files.actors.registry import GetClaim, Perform
from codex_actors.files.environment import Environment
from codex_actors.files.errors import FilesError
from codex_actors.files.index.leasing import ForgetDeadLeases
from codex_actors.files.index.recovery import RestoreRemoved
from codex_actors.files.index.sweeping import START, RequireNoLeases, Scope, Sweep
from codex_actors.files.index.uploads import ForgetOldUploads
from codex_actors.files.model import Attachment, CleanupReport
from codex_actors.files.store.claim import is_dead, owners, remove_dead
from codex_actors.files.store.layout import Layout
from codex_actors.files.verifying import settle_strays

__all__ = ["Reset", "RunSweep", "Sweeper"]


@frozen
class RunSweep(Call[CleanupReport]):
    """Remove what has expired now, or tell what would go."""

    dry_run: bool = False


@frozen
class Reset(Call[CleanupReport]):
    """Remove everything that is not in use; with `force` also what is."""

    force: bool = False


@frozen
class _Tick(Info):
    """The sweep interval has passed."""


class Sweeper(Actor):
    """Sweeps at every interval and on request; collects what the dead left at start too."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @property
    def _registry(self) -> ActorRef:
        assert isinstance(self.supervisor, Supervisor)  # noqa: S101 - tells the type checkers
        return self.supervisor["registry"]

    async def init(self) -> None:
        """Start the clock."""
        self.send_interval(self._environment.config.sweep_interval, _Tick())

    async def handle_continue(self) -> None:
        """Collect what processes left that died before this one started.

        What has expired waits for the first interval: opening the files only to look at them, or
        for a dry run, must not remove any.
        """
        await self._try(self._collect_the_dead, "start")
        await self._try(lambda: settle_strays(self._environment, self._registry), "start")

    @handle_info(_Tick)
    async def tick(self, _message: _Tick) -> None:
        """Sweep because it is time."""
        await self._try(lambda: self._sweep(Scope.EXPIRED, "interval"), "interval")

    # A registry that died in between is an answer: the supervisor is about to replace both.
    @handle_call(RunSweep, raises=(FilesError, ActorStopped))
    async def run(self, message: RunSweep) -> CleanupReport:
        """Sweep because somebody asks."""
        return await self._sweep(Scope.EXPIRED, "request", dry_run=message.dry_run)

    @handle_call(Reset, raises=(FilesError, ActorStopped))
    async def reset(self, message: Reset) -> CleanupReport:
        """Remove everything, unless leases are held."""
        if message.force:
            return await self._sweep(Scope.ALL, "reset")
        await self._registry.call(Perform(RequireNoLeases()), timeout=math.inf)
        return await self._sweep(Scope.UNLEASED, "reset")

    async def _try(self, work: Callable[[], Awaitable[object]], occasion: str) -> None:
        try:
            await work()
        except FilesError as error:
            self._environment.events.emit(telemetry.failed("sweep", error, name=occasion))
        except ActorStopped:
            # The registry has crashed, and the supervisor is about to replace this actor with it.
            return

    async def _sweep(self, scope: Scope, occasion: str, *, dry_run: bool = False) -> CleanupReport:
        if not dry_run:
            await self._collect_the_dead()
        removed: list[Attachment] = []
        failed: list[Attachment] = []
        after = START
        while True:
            await fault_point("sweeper.sweeping")
            operation = Sweep(scope, after, dry_run)
            swept = await self._registry.call(Perform(operation), timeout=math.inf)
            removed += swept.removed
            failed += swept.failed
            if swept.cursor is None:
                break
            after = swept.cursor
        size = sum(attachment.size for attachment in removed)
        report = CleanupReport(
            count=len(removed), bytes=size, attachments=tuple(removed), failed=tuple(failed)
        )
        if not dry_run:
            self._environment.events.emit(telemetry.swept(report, reason=occasion))
        return report

    async def _collect_the_dead(self) -> None:
        registry, blocking = self._registry, self._environment.blocking
        mine = await registry.call(GetClaim(), timeout=math.inf)
        dead = await blocking.run(_dead_owners, mine.layout, mine.owner)
        for owner in dead:
            await registry.call(Perform(RestoreRemoved(owner)), timeout=math.inf)
        await registry.call(Perform(ForgetDeadLeases()), timeout=math.inf)
        await registry.call(Perform(ForgetOldUploads()), timeout=math.inf)
        if dead:
            await blocking.run(_remove_folders, mine.layout, dead)


def _dead_owners(layout: Layout, mine: str) -> list[str]:
    return [owner for owner in owners(layout) if owner != mine and is_dead(layout, owner)]


def _remove_folders(layout: Layout, dead: list[str]) -> None:
    for owner in dead:
        remove_dead(layout, owner)
