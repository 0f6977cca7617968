"""Owns one staging that has to move bytes: source -> partial file -> published blob.

Invariant: whatever ends it, its own partial file is gone and nobody else's is touched. Must not
know how a hit is found, nor who waits for it.
"""

import math
from collections.abc import Sequence

import outcome
import trio
from attrs import frozen

from codex_actors import Actor, ActorRef, Call, fault_point, handle_call
from codex_actors.files.actors.registry import GetClaim, Perform
from codex_actors.files.blocking import CLEANUP_SECONDS
from codex_actors.files.environment import Environment
from codex_actors.files.errors import FilesError
from codex_actors.files.index.staging import Publish, Staged, StageRequest
from codex_actors.files.sources import ByteSource, PathSource, PumpedSource, Source
from codex_actors.files.store.partial import (
    CHUNK_BYTES,
    Copied,
    Partial,
    copy_bytes,
    copy_path,
)

__all__ = ["Collect", "StageActor", "StageJob", "stage"]


@frozen
class Collect(Call[Staged]):
    """Wait for the staging and tell how it went; ends the actor."""


@frozen
class StageJob:
    """What to stage.

    Attributes:
        request: As what.
        source: The bytes.
        verify: Put them in place of what is there, even if it is the same content.
    """

    request: StageRequest
    source: Source
    verify: bool = False


class StageActor(Actor):
    """Copies one source into the staging directory and has it published."""

    def __init__(self, environment: Environment, registry: ActorRef, job: StageJob) -> None:
        self._environment = environment
        self._registry = registry
        self._job = job
        self._result: outcome.Value[Staged] | outcome.Error | None = None

    async def handle_continue(self) -> None:
        """Do the work; the caller collects the result when it is done with its part."""
        try:
            self._result = outcome.Value(await self._stage())
        except FilesError as error:
            self._result = outcome.Error(error)
        except trio.EndOfChannel:
            self.stop()  # the caller has gone in the middle of its bytes: nobody will collect
        finally:
            if isinstance(self._job.source, PumpedSource):
                # Also when it never came to reading: the caller must not wait for room for ever.
                self._job.source.chunks.close()

    @handle_call(Collect, raises=(FilesError,))
    async def collect(self, _message: Collect) -> Staged:
        """Answer the result, and end."""
        self.stop()
        assert self._result is not None, "handle_continue comes first"  # noqa: S101 - ditto
        return self._result.unwrap()

    async def _stage(self) -> Staged:
        environment, job = self._environment, self._job
        claim = await self._registry.call(GetClaim(), timeout=math.inf)
        partial = Partial(
            claim.new_partial(),
            environment.disk,
            job.request.algorithm,
            environment.config.max_bytes,
        )
        published = False
        try:
            await fault_point("stage.started")
            copied = await self._fill(partial)
            await fault_point("stage.copied")
            publish = Publish(copied, job.request, environment.quota, job.verify)
            staged = await self._registry.call(Perform(publish), timeout=math.inf)
            published = True  # and the partial file was removed with the same commit
            await fault_point("stage.published")
        finally:
            if not published:
                with trio.move_on_after(CLEANUP_SECONDS, shield=True):
                    await environment.blocking.run(partial.discard)
        return staged

    async def _fill(self, partial: Partial) -> Copied:
        blocking = self._environment.blocking
        match self._job.source:
            case PathSource(path):
                return await blocking.drive(copy_path(partial, path, blocking.follow))
            case ByteSource(data):
                return await blocking.drive(copy_bytes(partial, data, blocking.follow))
            case PumpedSource(chunks):
                return await self._fill_from(partial, chunks)

    async def _fill_from(
        self, partial: Partial, chunks: trio.MemoryReceiveChannel[bytes | None]
    ) -> Copied:
        blocking = self._environment.blocking
        await blocking.run(partial.create)
        waiting: list[bytes] = []
        size = 0
        while (chunk := await chunks.receive()) is not None:
            waiting.append(chunk)
            size += len(chunk)
            if size >= CHUNK_BYTES:  # small chunks share a hop to the thread
                await blocking.run(_write, partial, waiting)
                waiting, size = [], 0
                await fault_point("stage.chunk")
        return await blocking.run(_finish, partial, waiting)


def stage(environment: Environment, registry: ActorRef, job: StageJob) -> StageActor:
    """Return the actor; as a factory it gives the children their name in the tree."""
    return StageActor(environment, registry, job)


def _write(partial: Partial, chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        partial.write(chunk)


def _finish(partial: Partial, chunks: Sequence[bytes]) -> Copied:
    _write(partial, chunks)
    return partial.finish()
