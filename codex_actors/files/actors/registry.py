"""Owns the manifest: the one door to it in this process.

Invariant: what was asked while a transaction ran is done together in the next one, so that many
callers share its cost; nobody is answered before the commit; what is owed is done, however long the
manifest is busy. Must not know what an operation does.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import outcome
from attrs import define, evolve, field, frozen

from codex_actors import (
    Actor,
    ActorStopped,
    Call,
    Cast,
    ExitKind,
    ExitReason,
    Reply,
    fault_point,
    handle_call,
    handle_cast,
)
from codex_actors.files import telemetry
from codex_actors.files.environment import Environment
from codex_actors.files.errors import ChecksumMismatch, FilesError
from codex_actors.files.index.leasing import ReleaseOwnLeases
from codex_actors.files.index.manifest import Manifest, Result
from codex_actors.files.index.recovery import Settled, advance, settling
from codex_actors.files.index.staging import Staged
from codex_actors.files.index.sweeping import Swept
from codex_actors.files.index.transaction import Operation
from codex_actors.files.index.verifying import Settlement
from codex_actors.files.model import Metrics
from codex_actors.files.store.claim import Claim, claim
from codex_actors.files.store.directory import opening, prepare_staging_dir

__all__ = ["AttachmentRegistry", "Describe", "GetClaim", "Owe", "Perform", "PerformAll"]

MAX_BATCH = 128  # more would keep other processes from the manifest for too long

T = TypeVar("T")


@frozen
class Perform(Call[T], Generic[T]):
    """Carry out an operation on the manifest."""

    operation: Operation[T]


@frozen
class PerformAll(Call[tuple[Result, ...]]):
    """Carry out operations that do not depend on each other; the answer is what each gave."""

    operations: tuple[Operation[Any], ...]


@frozen
class Owe(Cast):
    """Carry out an operation for somebody who has given up waiting for it.

    It joins every batch until one of them is committed. A call does not do: one that nobody waits
    for any more is not carried out.
    """

    operation: Operation[Any]


@frozen
class Describe(Call[Environment]):
    """Tell what this tree was given."""


@frozen
class GetClaim(Call[Claim]):
    """Tell who this process is in the staging directory."""


@frozen
class _Flush(Cast):
    """Carry out what has come in before this."""


@define(eq=False)
class _Several:
    """The reply to several operations, which is sent when all have been carried out."""

    reply: Reply[tuple[Result, ...]]
    count: int
    results: dict[int, Result] = field(factory=dict[int, Result])

    def part(self, place: int) -> "_Part":
        """Return what stands for the reply to one of them."""
        return _Part(self, place)


@frozen(eq=False)
class _Part:
    """What one of several operations is answered through."""

    several: _Several
    place: int

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits any more."""
        return self.several.reply.abandoned

    def send(self, value: Any) -> None:
        """Answer this one."""
        self._settle(outcome.Value(value))

    def error(self, error: Exception) -> None:
        """Refuse this one."""
        self._settle(outcome.Error(error))

    def _settle(self, result: Result) -> None:
        several = self.several
        several.results[self.place] = result
        if len(several.results) == several.count:
            several.reply.send(tuple(several.results[place] for place in range(several.count)))


class AttachmentRegistry(Actor):
    """Carries out operations on the manifest, in batches."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._waiting: list[tuple[Operation[Any], Reply[Any] | _Part]] = []
        # Kept until they are answered: when this actor is killed meanwhile, their callers are to
        # be told that, not that somebody forgot them.
        self._in_hand: list[tuple[Operation[Any], Reply[Any] | _Part]] = []
        self._owed: list[Operation[Any]] = []
        self._flush_is_queued = False
        self._hits = 0
        self._misses = 0

    async def init(self) -> None:
        """Prepare the staging directory and open its manifest."""
        environment = self._environment
        now = environment.clock.now()
        self._manifest, settled = await environment.blocking.run(_open, environment, now)
        if self._manifest.aside is not None or settled.adopted or settled.quarantined:
            environment.events.emit(telemetry.rebuilt(self._manifest.aside, settled))

    async def terminate(self, reason: ExitReason) -> None:
        """Close the manifest; after a crash, keep claim and debts for the next incarnation."""
        leaves = reason.kind in {ExitKind.NORMAL, ExitKind.SHUTDOWN}
        if not leaves:
            for operation in self._owed:
                with suppress(ActorStopped):
                    self.ref.cast_nowait(Owe(operation))
        now = self._environment.clock.now()
        await self._environment.blocking.run(_close, self._manifest, self._owed, leaves, now)

    @handle_call(Describe)
    async def describe(self, _message: Describe) -> Environment:
        """Answer what is the same for every incarnation."""
        return self._environment

    @handle_call(GetClaim)
    async def get_claim(self, _message: GetClaim) -> Claim:
        """Answer where partial files may be written."""
        return self._manifest.claim

    @handle_call(Perform, deferred=True)
    async def perform(self, message: Perform[Any], reply: Reply[Any]) -> None:
        """Take an operation into the batch, which ends behind what is already in the mailbox."""
        self._waiting.append((message.operation, reply))
        await self._flush_soon()

    @handle_call(PerformAll, deferred=True)
    async def perform_all(self, message: PerformAll, reply: Reply[tuple[Result, ...]]) -> None:
        """Take operations into the batch, together."""
        several = _Several(reply, len(message.operations))
        self._waiting += [
            (operation, several.part(place)) for place, operation in enumerate(message.operations)
        ]
        await self._flush_soon()

    @handle_cast(Owe)
    async def owe(self, message: Owe) -> None:
        """Take an operation into this and, until it is done, every later batch."""
        self._owed.append(message.operation)
        await self._flush_soon()

    @handle_cast(_Flush)
    async def flush(self, _message: _Flush) -> None:
        """End the batch."""
        self._flush_is_queued = False
        await self._flush()

    async def _flush_soon(self) -> None:
        if len(self._waiting) >= MAX_BATCH:
            await self._flush()
        elif not self._flush_is_queued:
            try:
                self.ref.cast_nowait(_Flush())
            except ActorStopped:
                await self._flush()  # draining: then the batch ends here
            else:
                self._flush_is_queued = True

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        batch = [(operation, reply) for operation, reply in waiting if not reply.abandoned]
        self._in_hand = batch
        owed = self._owed
        operations = [*owed, *(operation for operation, _ in batch)]
        if not operations:
            return
        environment = self._environment
        await fault_point("registry.committing")
        try:
            results = await environment.blocking.run(
                self._manifest.execute, operations, environment.clock.now()
            )
        except FilesError as error:
            # One error object per caller: raising one in many tasks would mix their tracebacks.
            results = [outcome.Error(_copy(error)) for _ in operations]
        await fault_point("registry.committed")
        self._owed = [
            operation
            for operation, result in zip(owed, results, strict=False)
            if not self._is_settled(result)
        ]
        for (_, reply), result in zip(batch, results[len(owed) :], strict=True):
            self._answer(reply, result)
        self._in_hand = []

    def _is_settled(self, result: Result) -> bool:
        if isinstance(result, outcome.Error):
            return False
        if isinstance(result.value, Swept):
            self._tell(result.value)
        return True

    def _answer(self, reply: Reply[Any] | _Part, result: Result) -> None:
        if isinstance(result, outcome.Error):
            if isinstance(result.error, ChecksumMismatch) and result.error.quarantined:
                self._tell_quarantined([result.error.quarantined])
            reply.error(cast("Exception", result.error))
            return
        value = result.value
        if isinstance(value, Metrics):
            value = evolve(value, hits=self._hits, misses=self._misses)
        elif isinstance(value, Staged):
            self._count(value)
        elif isinstance(value, Swept) and not value.dry_run:
            self._tell(value)
        elif isinstance(value, Settlement):
            self._tell_quarantined(value.quarantined)
        reply.send(value)

    def _count(self, staged: Staged) -> None:
        if staged.cached:
            self._hits += 1
        else:
            self._misses += 1
        self._tell_quarantined(staged.quarantined)
        events = self._environment.events
        for attachment in staged.evicted:
            events.emit(telemetry.cleaned(attachment))
        events.emit(telemetry.staged(staged.attachment, cached=staged.cached))

    def _tell_quarantined(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self._environment.events.emit(telemetry.quarantined(path))

    def _tell(self, swept: Swept) -> None:
        events = self._environment.events
        for attachment in swept.removed:
            events.emit(telemetry.cleaned(attachment))
        for attachment in swept.failed:
            events.emit(telemetry.not_removed(attachment))


def _open(environment: Environment, now: int) -> tuple[Manifest, Settled]:
    layout = prepare_staging_dir(environment.root, environment.disk)
    mine = claim(layout, environment.disk)
    try:
        with opening(layout):
            manifest = Manifest.open(layout, environment.disk, mine)
            if not manifest.new:
                return manifest, Settled()
            try:
                return manifest, _rebuild(manifest, environment, now)
            except BaseException:
                manifest.close()
                raise
    except BaseException:
        mine.release()
        raise


def _rebuild(manifest: Manifest, environment: Environment, now: int) -> Settled:
    """Enter what the directories hold into a manifest that is new."""
    steps = settling(manifest.layout, environment.disk, environment.config)
    step = advance(steps, None)
    while not isinstance(step, Settled):
        answer = None if step is None else manifest.execute([step], now)[0].unwrap()
        step = advance(steps, answer)
    return step


def _close(
    manifest: Manifest,
    owed: Sequence[Operation[Any]],
    leaves: bool,  # noqa: FBT001 - crosses a thread hop
    now: int,
) -> None:
    try:
        last = [ReleaseOwnLeases()] if manifest.claim.is_last else []
        if leaves and (owed or last):
            manifest.execute([*owed, *last], now)
    finally:
        manifest.close()
        if leaves:
            manifest.claim.release()
        else:
            manifest.claim.abandon()


def _copy(error: FilesError) -> FilesError:
    twin = copy(error)  # with the file's name, which is not among the arguments
    twin.__cause__ = error
    return twin
