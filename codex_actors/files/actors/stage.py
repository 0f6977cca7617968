"""Owns one staging that has to move bytes: source -> partial file -> published blob.

Invariant: whatever ends it, its own partial file is gone and nobody else's is touched. It serves
whoever asks for these bytes until nobody waits any more. Must not know how a hit is found.
"""

import math
from collections.abc import Sequence
from copy import copy
from typing import TypeAlias

import outcome
import trio
from attrs import frozen

from codex_actors import (
    Actor,
    ActorRef,
    Call,
    ExitReason,
    Reply,
    fault_point,
    handle_call,
    handle_cast,
)
from codex_actors.files.actors.registry import GetClaim, Perform
from codex_actors.files.environment import Environment
from codex_actors.files.errors import FilesError
from codex_actors.files.flights import Land
from codex_actors.files.index.staging import Publish, Staged, StageRequest
from codex_actors.files.model import Algorithm
from codex_actors.files.sources import ByteSource, PathSource, PumpedSource, Source
from codex_actors.files.store.partial import (
    CHUNK_BYTES,
    Copied,
    Partial,
    copy_bytes,
    copy_path,
)
from codex_actors.files.store.seal import Verdict, examine
from codex_actors.files.store.source import SourceIdentity

__all__ = ["Collect", "Known", "StageActor", "StageJob", "stage"]


@frozen
class Known:
    """The content was published for somebody else already.

    Attributes:
        checksum: It.
    """

    checksum: str


Answer: TypeAlias = Staged | Known | None


@frozen
class Collect(Call[Answer]):
    """Wait for the bytes, and have them published as one asks; the first one who does pays.

    The answer is None when they are not those that somebody who joined had seen.

    Attributes:
        request: As what.
        joined: Somebody else began the staging.
    """

    request: StageRequest
    joined: bool = False


@frozen
class StageJob:
    """What to stage.

    Attributes:
        source: The bytes.
        algorithm: What addresses them.
        identity: Of the path, as those saw it who may join; None when nobody may.
        distrust: Have what is there of that content read, and mended where it is wrong.
    """

    source: Source
    algorithm: Algorithm
    identity: SourceIdentity | None = None
    distrust: bool = False


class StageActor(Actor):
    """Copies one source into the staging directory and has it published."""

    def __init__(self, environment: Environment, registry: ActorRef, job: StageJob) -> None:
        self._environment = environment
        self._registry = registry
        self._job = job
        self._partial: Partial | None = None
        self._copied: outcome.Value[Copied] | outcome.Error | None = None
        self._known: Known | None = None
        self._verdicts: tuple[Verdict, ...] = ()
        # Kept: a reply that is dropped does not tell how this actor has ended.
        self._asked: Reply[Answer] | None = None

    async def handle_continue(self) -> None:
        """Copy; those who wait collect the result."""
        try:
            self._copied = outcome.Value(await self._copy())
        except FilesError as error:
            self._copied = outcome.Error(error)
        except trio.EndOfChannel:
            self.stop()  # the caller has gone in the middle of its bytes: nobody will collect
        finally:
            if isinstance(self._job.source, PumpedSource):
                # Also when it never came to reading: the caller must not wait for room for ever.
                self._job.source.chunks.close()

    async def terminate(self, reason: ExitReason) -> None:  # noqa: ARG002 - whatever it was
        """Remove the partial file, unless it was published."""
        if self._partial is not None:
            await self._environment.blocking.run(self._partial.discard)

    @handle_call(Collect, deferred=True)
    async def collect(self, message: Collect, reply: Reply[Answer]) -> None:
        """Publish for the first, and tell the others that it was done."""
        self._asked = reply
        try:
            answer = await self._answer(message, reply)
        except FilesError as error:
            reply.error(error)
        else:
            reply.send(answer)

    @handle_cast(Land)
    async def land(self, _message: Land) -> None:
        """End: nobody waits any more."""
        self.stop()

    async def _answer(self, message: Collect, reply: Reply[Answer]) -> Answer:
        assert self._copied is not None, "handle_continue comes first"  # noqa: S101 - ditto
        if isinstance(self._copied, outcome.Error):
            # One error object per caller: raising one in many tasks would mix their tracebacks.
            raise copy(self._copied.error) from self._copied.error
        copied = self._copied.value
        if message.joined and copied.source != self._job.identity:
            return None
        if self._known is not None:
            return self._known
        staged = await self._publish(copied, message.request, reply)
        if staged is None:
            return None
        self._partial = None  # removed with the same commit
        self._known = Known(copied.checksum)
        await fault_point("stage.published")
        return staged

    async def _copy(self) -> Copied:
        environment, job = self._environment, self._job
        claim = await self._registry.call(GetClaim(), timeout=math.inf)
        self._partial = Partial(
            claim.new_partial(), environment.disk, job.algorithm, environment.config.max_bytes
        )
        await fault_point("stage.started")
        copied = await self._fill(self._partial)
        await fault_point("stage.copied")
        return copied

    async def _publish(
        self, copied: Copied, request: StageRequest, reply: Reply[Answer]
    ) -> Staged | None:
        """Have it published as one asks; None when that one has gone, who may have had a lease."""
        environment = self._environment
        # Who gives a lease back does so behind what was asked of the registry before he went.
        while not reply.abandoned:
            distrust, verdicts = self._job.distrust, self._verdicts
            publish = Publish(copied, request, environment.quota, distrust, verdicts)
            answer = await self._registry.call(Perform(publish), timeout=math.inf)
            if isinstance(answer, Staged):
                return answer
            reading = examine(environment.layout, environment.disk, answer.suspects)
            self._verdicts += await environment.blocking.drive(reading)
        return None

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
