"""Owns the staging of several small files at once: one actor, one thread hop, one transaction.

Invariant: each is copied, judged and answered as if it were alone; whatever ends the actor, the
partial files of all of them are gone. Must not know who waits, nor why they share.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import outcome
from attrs import frozen

from codex_actors import (
    Actor,
    ActorRef,
    Call,
    ExitReason,
    fault_point,
    handle_call,
    handle_cast,
)
from codex_actors.files.actors.registry import GetClaim, PerformAll
from codex_actors.files.environment import Environment
from codex_actors.files.errors import FilesError
from codex_actors.files.flights import Land
from codex_actors.files.index.staging import Publish, Staged, StageRequest
from codex_actors.files.sources import ByteSource, PathSource
from codex_actors.files.store.partial import Copied, Partial, fill_from_bytes, fill_from_path
from codex_actors.files.store.source import SourceIdentity

__all__ = ["SMALL_BYTES", "CollectSmall", "SmallJob", "SmallStageActor", "stages"]

SMALL_BYTES = 1 << 16  # as long to copy as a thread hop takes

Result = outcome.Value[Any] | outcome.Error


@frozen
class SmallJob:
    """One of the files.

    Attributes:
        source: It.
        request: As what.
    """

    source: PathSource | ByteSource
    request: StageRequest


@frozen
class CollectSmall(Call[Staged | None]):
    """Wait for one of the stagings; None when it has to be done alone.

    Attributes:
        place: Which one.
    """

    place: int


class SmallStageActor(Actor):
    """Copies small files into the staging directory and has them published."""

    def __init__(
        self, environment: Environment, registry: ActorRef, jobs: Mapping[int, SmallJob]
    ) -> None:
        self._environment = environment
        self._registry = registry
        self._jobs = jobs
        self._partials: dict[int, Partial] = {}
        self._results: dict[int, Result] = {}

    async def handle_continue(self) -> None:
        """Do the work; those who wait collect the results."""
        environment = self._environment
        claim = await self._registry.call(GetClaim(), timeout=math.inf)
        self._partials = {
            place: Partial(
                claim.new_partial(),
                environment.disk,
                job.request.algorithm,
                environment.config.max_bytes,
            )
            for place, job in self._jobs.items()
        }
        await fault_point("small.started")
        copying = _copy_all(self._partials, self._jobs)
        self._results = await environment.blocking.drive(copying)
        await fault_point("small.copied")
        await self._publish()

    async def terminate(self, reason: ExitReason) -> None:  # noqa: ARG002 - whatever it was
        """Remove the partial files that were not published."""
        await self._discard()

    @handle_call(CollectSmall, raises=(FilesError,))
    async def collect(self, message: CollectSmall) -> Staged | None:
        """Answer the result of one."""
        result = self._results[message.place].unwrap()
        return result if isinstance(result, Staged) else None  # else its blob has to be read first

    @handle_cast(Land)
    async def land(self, _message: Land) -> None:
        """End: nobody waits any more."""
        self.stop()

    async def _publish(self) -> None:
        quota = self._environment.quota
        copied = {
            place: result.value
            for place, result in self._results.items()
            if isinstance(result, outcome.Value)
        }
        if not copied:
            return
        operations = (
            Publish(value, self._jobs[place].request, quota) for place, value in copied.items()
        )
        answers = await self._registry.call(PerformAll(tuple(operations)), timeout=math.inf)
        published: set[int] = set()
        for place, answer in zip(copied, answers, strict=True):
            self._results[place] = answer
            if isinstance(answer, outcome.Value) and isinstance(answer.value, Staged):
                published.add(place)
        # Theirs were removed with the commit.
        self._partials = {p: part for p, part in self._partials.items() if p not in published}
        await self._discard()

    async def _discard(self) -> None:
        if self._partials:
            partials = tuple(self._partials.values())
            await self._environment.blocking.run(_discard_all, partials)


def stages(
    environment: Environment, registry: ActorRef, jobs: Mapping[int, SmallJob]
) -> SmallStageActor:
    """Return the actor; as a factory it gives the children their name in the tree."""
    return SmallStageActor(environment, registry, jobs)


def _copy_all(
    partials: Mapping[int, Partial], jobs: Mapping[int, SmallJob]
) -> Generator[None, None, dict[int, Result]]:
    """Copy every file; yields between them. All are written before the first is synced.

    A file system with a journal has then little left to do for all but the first.
    """
    filled: dict[int, SourceIdentity | FilesError | None] = {}
    for place, partial in partials.items():
        try:
            filled[place] = yield from _fill(partial, jobs[place].source)
        except FilesError as error:
            filled[place] = error
        yield
    results: dict[int, Result] = {}
    for place, partial in partials.items():
        results[place] = _finish(partial, filled[place])
        yield
    return results


def _fill(
    partial: Partial, source: PathSource | ByteSource
) -> Generator[None, None, SourceIdentity | None]:
    if isinstance(source, PathSource):
        return (yield from fill_from_path(partial, source.path))
    yield from fill_from_bytes(partial, source.data)
    return None


def _finish(partial: Partial, source: SourceIdentity | FilesError | None) -> Result:
    try:
        if isinstance(source, FilesError):
            raise source
        copied: Copied = partial.finish(source)
    except FilesError as error:
        partial.discard()  # its caller may be told at once
        return outcome.Error(error)
    return outcome.Value(copied)


def _discard_all(partials: Sequence[Partial]) -> None:
    for partial in partials:
        partial.discard()
