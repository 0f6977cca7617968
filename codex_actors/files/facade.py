"""Owns the public face of the files: checks what callers ask, queues them, and asks the actors.

Invariant: wrong input is refused before anything is touched; no caller is timed out by a default of
ours; a caller that goes takes its transfer with it. Must not know SQL or the disk.
"""

import math
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, final

import attrs
import trio

from codex_actors import (
    ActorDied,
    ActorRef,
    ActorStopped,
    Supervisor,
)
from codex_actors.files import telemetry
from codex_actors.files.actors.registry import Describe, Owe, Perform
from codex_actors.files.actors.stage import Collect, StageJob
from codex_actors.files.actors.sweeper import Reset, RunSweep
from codex_actors.files.attaching import HasAttachments, attach, detach
from codex_actors.files.blocking import CLEANUP_SECONDS
from codex_actors.files.content_type import validate_content_type
from codex_actors.files.environment import Environment
from codex_actors.files.errors import FilesError, InvalidName, TransfersBusy
from codex_actors.files.index.leasing import ReleaseLease, TakeLease, not_found
from codex_actors.files.index.queries import Count, Find, ListStaged
from codex_actors.files.index.staging import FindStaged, Staged, StageRequest
from codex_actors.files.index.sweeping import EndTemporary, Remove
from codex_actors.files.index.transaction import Operation
from codex_actors.files.model import Attachment, CleanupReport, FilesConfig, Metrics
from codex_actors.files.names import validate_name
from codex_actors.files.sources import Feed, PathSource, StageSource, classify, open_feed
from codex_actors.files.telemetry import Events
from codex_actors.files.tree import stage_spec
from codex_actors.files.ttl import validate_ttl

__all__ = ["Files"]

O = TypeVar("O", bound=HasAttachments)  # noqa: E741 - the options
T = TypeVar("T")


@final
class Files:
    """Attachments in one staging directory; got from `open_files` or `files_from`.

    All methods may be called from any task. Cancelled, they leave nothing half done: what had been
    asked of the manifest may still be done, as if the caller had been cancelled a moment later.
    """

    def __init__(self, supervisor: Supervisor, events: Events | None = None) -> None:
        self._supervisor = supervisor
        self._events = events or Events()
        self._environment: Environment | None = None
        self._slots: trio.CapacityLimiter | None = None

    @property
    def supervisor(self) -> Supervisor:
        """The handle of the tree: its events, its snapshot."""
        return self._supervisor

    @property
    def events(self) -> Events:
        """Where handlers for `codex.attachment.*` and `codex.sweep.*` are attached.

        Over a tree of one's own (`files_from`) it tells of what happens after the first use of this
        object; `files_spec(on_event=...)` of everything.
        """
        return self._events

    async def stage(
        self,
        source: StageSource,
        *,
        name: str | None = None,
        ttl: float | None = None,
        persist: bool = False,
        content_type: str | None = None,
        verify: bool = False,
    ) -> Attachment:
        """Copy bytes into the staging directory, or find that they are there.

        Args:
            source: A path (symlinks are followed), bytes, a binary file object, an async iterable
                of bytes or a Trio ReceiveStream. The last three are read in the calling task.
            name: What to call it; needed unless the source is a path.
            ttl: Seconds to live, `math.inf` for ever, None for the default of the settings. Staging
                again never shortens a life.
            persist: Never expires, whatever `ttl` says.
            content_type: Media type, None to detect it.
            verify: Read a path again even if it seems unchanged, and put the bytes read in place of
                those that were there. Without it, a path whose device, inode, size and times are
                those of an earlier staging is not read; a write through a mapping that was dirty
                already changes none of them.

        Returns:
            The attachment; its file is on disk, complete, under `path`.

        Raises:
            SourceNotFound, SourceNotReadable, NotARegularFile, SourceChanged: The path cannot be
                staged, or was written to meanwhile.
            InvalidName, InvalidTTL, InvalidContentType, TypeError: The arguments make no sense.
            StagingFull, StagingIOError, QuotaExceeded: There is no room, or no way to write.
            TransfersBusy: `max_queued` callers are waiting already.
            ActorDied: The transfer crashed, or the registry did and took it along.
            ActorStopped: The tree is gone.
            Exception: Whatever an iterable, stream or file object of the caller's raises.

        Checkpoints. Cancelled, it removes its partial file before it returns; a file object's
        `read` that blocks is waited for.
        """
        staged = await self._staging(
            source, name, ttl, persist=persist, content_type=content_type, verify=verify
        )
        return staged.attachment

    async def list_staged(self) -> tuple[Attachment, ...]:
        """Return all attachments, the least recently staged first."""
        return await self._perform(ListStaged())

    async def get(self, checksum: str, name: str | None = None) -> Attachment:
        """Return one attachment; without a name, the most recently staged one of that content.

        Raises:
            AttachmentNotFound: There is none, or its file is gone.
        """
        for text in (checksum, name or ""):
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise not_found(checksum, name)  # no Unicode: neither SQLite nor anybody has it
        return await self._perform(Find(checksum, name))

    async def remove(self, attachment: Attachment) -> None:
        """Remove an attachment, and its content with the last name.

        Raises:
            AttachmentNotFound: It is not there (any more).
            AttachmentLeased: It is in use.
            StagingIOError: Its file could not be deleted; it is still listed.
        """
        await self._perform(Remove(attachment.checksum, attachment.name))

    async def metrics(self) -> Metrics:
        """Return what is staged and under way; equals a walk of the disk when nothing is."""
        counted = await self._perform(Count())
        slots = (await self._ready())[1].statistics()
        return attrs.evolve(
            counted,
            transfers_running=slots.borrowed_tokens,
            transfers_queued=slots.tasks_waiting,
        )

    async def force_cleanup(
        self,
        dry_run: bool = False,  # noqa: FBT001, FBT002 - the interface by design: `force_cleanup(True)`
    ) -> CleanupReport:
        """Remove what has expired and is not in use, now.

        Args:
            dry_run: Only tell what would go.
        """
        return await self._sweeper.call(RunSweep(dry_run), timeout=math.inf)

    async def reset(
        self,
        force: bool = False,  # noqa: FBT001, FBT002 - the interface by design: `reset(True)`
    ) -> CleanupReport:
        """Remove every attachment, persistent ones and those of other processes too.

        Args:
            force: Also those that are in use.

        Raises:
            AttachmentLeased: Some are in use, and `force` is not given; nothing was removed.
        """
        return await self._sweeper.call(Reset(force), timeout=math.inf)

    @asynccontextmanager
    async def lease(self, attachment: Attachment) -> AsyncGenerator[Attachment]:
        """Keep an attachment from being removed while the block runs.

        Raises:
            AttachmentNotFound: It is not there (any more).
        """
        lease = _new_lease()
        async with self._finally(ReleaseLease(lease)):
            await self._perform(TakeLease(lease, attachment.checksum, attachment.name))
            yield attachment

    @asynccontextmanager
    async def temporary(
        self,
        source: StageSource,
        *,
        name: str | None = None,
        content_type: str | None = None,
        verify: bool = False,
    ) -> AsyncGenerator[Attachment]:
        """Stage for the duration of a block; gone at its end unless somebody else wants it too.

        Somebody else is whoever holds a lease of it, or has staged the same content and name with a
        time to live that has not passed. Arguments and errors are those of `stage`.
        """
        lease = _new_lease()
        async with self._finally(EndTemporary(lease)):
            staged = await self._staging(
                source, name, 0.0, content_type=content_type, verify=verify, lease=lease
            )
            yield staged.attachment

    def attach(self, options: O, attachment: Attachment) -> O:
        """Return options with one more attachment; attaching again keeps its place. Pure."""
        return attach(options, attachment)

    def detach(self, options: O, attachment: Attachment) -> O:
        """Return options without an attachment. Pure."""
        return detach(options, attachment)

    @property
    def _registry(self) -> ActorRef:
        return self._supervisor["registry"]

    @property
    def _sweeper(self) -> ActorRef:
        return self._supervisor["sweeper"]

    async def _perform(self, operation: Operation[T]) -> T:
        return await self._registry.call(Perform(operation), timeout=math.inf)

    async def _ready(self) -> tuple[Environment, trio.CapacityLimiter]:
        if self._environment is None or self._slots is None:
            environment = await self._registry.call(Describe(), timeout=math.inf)
            if self._environment is None:
                self._environment = environment
                self._slots = trio.CapacityLimiter(environment.config.max_transfers)
                if environment.events is not self._events:
                    environment.events.attach(self._events.emit)
            assert self._slots is not None  # noqa: S101 - set together, by whoever came first
        return self._environment, self._slots

    async def _staging(
        self,
        source: StageSource,
        name: str | None,
        ttl: float | None,
        *,
        persist: bool = False,
        content_type: str | None = None,
        verify: bool = False,
        lease: str | None = None,
    ) -> Staged:
        environment, slots = await self._ready()
        try:
            ready = classify(source)
            if name is None:
                name = _name_of(ready)
            request = StageRequest(
                name=validate_name(name),
                ttl=validate_ttl(environment.config.default_ttl if ttl is None else ttl),
                persist=persist,
                content_type=None if content_type is None else validate_content_type(content_type),
                algorithm=environment.config.algorithm,
                lease=lease,
            )
            if isinstance(ready, PathSource) and not verify:
                found = await self._perform(FindStaged(ready.path, request, environment.quota))
                if found is not None:
                    return found
            async with _slot(slots, environment.config):
                if ready is not None:
                    return await self._transfer(StageJob(request, ready, verify))
                feed = open_feed(source, environment.blocking)
                return await self._transfer(StageJob(request, feed.source, verify), feed)
        except FilesError as error:
            environment.events.emit(telemetry.failed("stage", error, name=name or ""))
            raise

    async def _transfer(self, job: StageJob, feed: Feed | None = None) -> Staged:
        environment, _ = await self._ready()
        transfers = self._supervisor.subtree("transfers")
        actor = await transfers.start_child(stage_spec(environment, self._registry, job))
        try:
            if feed is not None:
                await feed.pump()
            return await actor.call(Collect(), timeout=math.inf)
        except BaseException as error:
            actor.kill()
            with trio.move_on_after(CLEANUP_SECONDS, shield=True):
                await actor.wait_stopped()  # its partial file is gone then
            if not isinstance(error, ActorStopped) or error.ref.path != actor.path:
                raise
            # Whether it died before or after it was asked is no matter to the caller.
            died = ActorDied(error.ref, error.reason)
            raise died from died.__cause__  # noqa: ASYNC104 - in place of an ActorStopped only

    @asynccontextmanager
    async def _finally(self, operation: Operation[Any]) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            done = False
            with trio.move_on_after(CLEANUP_SECONDS, shield=True):
                # A registry that died may have had it in hand; the next one is asked.
                with suppress(ActorStopped, FilesError):
                    await self._perform(operation)
                    done = True
            if not done:
                # The manifest is busy or has no room: the registry owes it now. A tree that is gone
                # has released its leases.
                with suppress(ActorStopped):
                    self._registry.cast_nowait(Owe(operation))


@asynccontextmanager
async def _slot(slots: trio.CapacityLimiter, config: FilesConfig) -> AsyncGenerator[None]:
    if slots.available_tokens <= 0 and slots.statistics().tasks_waiting >= config.max_queued:
        raise TransfersBusy(
            f"{config.max_transfers} transfers are running and {config.max_queued} callers wait:"
            " try again later, or raise max_queued."
        )
    # Not on behalf of the task: an iterable that is being staged may stage something itself.
    borrower = object()
    await slots.acquire_on_behalf_of(borrower)
    try:
        yield
    finally:
        slots.release_on_behalf_of(borrower)


def _name_of(source: object) -> str:
    if isinstance(source, PathSource):
        return source.path.name
    raise InvalidName("Only a path has a name of its own: give what is staged a name (name=).")


def _new_lease() -> str:
    return secrets.token_hex(16)
