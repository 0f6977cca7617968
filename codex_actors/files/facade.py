"""Owns the public face of the files: what can be asked of them.

Invariant: every method is one request to the actors, or one of the modules that make several; it
keeps nothing of its own. Must not know SQL or the disk.
"""

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar, final

import attrs

from codex_actors import Supervisor
from codex_actors.files.access import Access
from codex_actors.files.actors.sweeper import Reset, RunSweep
from codex_actors.files.attaching import HasAttachments, attach, detach
from codex_actors.files.handles import UploadHandle, start_handle
from codex_actors.files.index.leasing import ReleaseLease, check_key, key_of
from codex_actors.files.index.queries import Count, Find, ListStaged
from codex_actors.files.index.sweeping import EndTemporary, Remove
from codex_actors.files.leases import new_lease, take_lease
from codex_actors.files.model import Attachment, CleanupReport, Metrics, UploadedFile, VerifyReport
from codex_actors.files.progress import Progress
from codex_actors.files.retry import Retry
from codex_actors.files.sources import StageSource, classify
from codex_actors.files.staging import Stager, Wanted
from codex_actors.files.targets.protocol import Target
from codex_actors.files.telemetry import Events
from codex_actors.files.uploading import Uploader, UploadRequest, Verify, Watcher
from codex_actors.files.verifying import verify_all

__all__ = ["Files"]

_RETRY = Retry()

O = TypeVar("O", bound=HasAttachments)  # noqa: E741 - the options


@final
class Files:
    """Attachments in one staging directory; got from `open_files` or `files_from`.

    All methods may be called from any task. Cancelled, they leave nothing half done: what had been
    asked of the manifest may still be done, as if the caller had been cancelled a moment later.
    """

    def __init__(self, supervisor: Supervisor, events: Events | None = None) -> None:
        self._access = Access(supervisor, events)
        self._stager = Stager(self._access)
        self._uploader = Uploader(self._access)

    @property
    def supervisor(self) -> Supervisor:
        """The handle of the tree: its events, its snapshot."""
        return self._access.supervisor

    @property
    def events(self) -> Events:
        """Where handlers for `codex.attachment.*` and `codex.sweep.*` are attached.

        Over a tree of one's own (`files_from`) it tells of what happens after the first use of this
        object; `files_spec(on_event=...)` of everything.
        """
        return self._access.events

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
            verify: Read a path again even if it seems unchanged, read what is staged of its content
                again too, and mend that where it is wrong. Without it, a path whose device, inode,
                size and times are those of an earlier staging is not read; a write through a
                mapping that was dirty already changes none of them.

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
        `read` that blocks is waited for. An iterable that itself stages something needs a second
        transfer for that: with `max_transfers=1` it would wait for ever.
        """
        wanted = Wanted(
            name=name, ttl=ttl, persist=persist, content_type=content_type, verify=verify
        )
        return (await self._stager.stage(source, wanted)).attachment

    async def list_staged(self) -> tuple[Attachment, ...]:
        """Return all attachments, the least recently staged first."""
        return await self._access.perform(ListStaged())

    async def get(self, checksum: str, name: str | None = None) -> Attachment:
        """Return one attachment; without a name, the most recently staged one of that content.

        Raises:
            AttachmentNotFound: There is none, or its file is gone.
        """
        check_key(checksum, name)
        return await self._access.perform(Find(checksum, name))

    async def remove(self, attachment: Attachment) -> None:
        """Remove an attachment, and its content with the last name.

        Raises:
            AttachmentNotFound: It is not there (any more).
            AttachmentLeased: It is in use.
            StagingIOError: Its file could not be deleted; it is still listed.
        """
        await self._access.perform(Remove(*key_of(attachment)))

    async def metrics(self) -> Metrics:
        """Return what is staged and under way; equals a walk of the disk when nothing is."""
        counted = await self._access.perform(Count())
        queue = await self._access.queue()
        return attrs.evolve(
            counted,
            transfers_running=queue.borrowed_tokens,
            transfers_queued=queue.tasks_waiting + self._access.companions,
        )

    async def force_cleanup(
        self,
        dry_run: bool = False,  # noqa: FBT001, FBT002 - the interface by design: `force_cleanup(True)`
    ) -> CleanupReport:
        """Remove what has expired and is not in use, now.

        Args:
            dry_run: Only tell what would go.
        """
        return await self._access.sweeper.call(RunSweep(dry_run), timeout=math.inf)

    async def verify(self) -> VerifyReport:
        """Read everything that is staged, and look for files that nobody knows of.

        What holds other bytes than were staged goes into quarantine; its attachments are not listed
        any more, and are again when their content is staged again. Staging goes on meanwhile.

        Raises:
            StagingIOError: Something cannot be read.

        Checkpoints. Cancelled, it has settled what it had read until then.
        """
        return await verify_all(await self._access.environment(), self._access.registry)

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
        return await self._access.sweeper.call(Reset(force), timeout=math.inf)

    @asynccontextmanager
    async def lease(self, attachment: Attachment) -> AsyncGenerator[Attachment]:
        """Keep an attachment from being removed while the block runs.

        A file that was touched since it was staged is read first.

        Raises:
            AttachmentNotFound: It is not there (any more).
            ChecksumMismatch: It holds other bytes than were staged; it is in quarantine now, and
                listed again when its content is staged again.
        """
        lease = new_lease()
        async with self._access.undoing(ReleaseLease(lease)):
            await take_lease(self._access, lease, attachment)
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
        lease = new_lease()
        async with self._access.undoing(EndTemporary(lease)):
            wanted = Wanted(
                name=name, ttl=0.0, content_type=content_type, verify=verify, lease=lease
            )
            yield (await self._stager.stage(source, wanted)).attachment

    async def upload(
        self,
        source: Attachment | StageSource,
        *,
        target: Target,
        retry: Retry = _RETRY,
        progress: Watcher | None = None,
        verify: Verify = "quick",
        name: str | None = None,
        content_type: str | None = None,
    ) -> UploadedFile:
        """Send a file to a target, or return the file that is there from an earlier upload.

        Uploads of one content to one target and account are one: who comes later waits for the
        first, and a file that has not expired is given out again, also after a restart. What was
        acknowledged before a crash of the process is not sent again, if the target allows that.

        Args:
            source: An attachment; or what `stage` takes, which is then staged as by `temporary`:
                the copy is gone afterwards unless somebody else wants it.
            target: Where to.
            retry: How often, and for how long, requests are tried.
            progress: Called on the event loop with every progress; it must not block. What it
                raises ends this call.
            verify: "quick" reads the file before it is sent only if it was touched since it was
                staged; "full" always.
            name: Of a source that is no attachment; see `stage`.
            content_type: Ditto.

        Raises:
            TargetLimitExceeded, MissingCredentials: Nothing was sent.
            ChecksumMismatch: The file is not what was staged, or was changed while it was sent.
            AttachmentNotFound: It is not staged here (any more).
            UploadRejected, UploadTimeout, UploadError: It failed; nothing is left at the target,
                unless the event `codex.upload.exception` says what.
            UploadOutcomeUnknown: It may have succeeded, and nobody can tell.
            TransfersBusy: `max_queued` callers are waiting already.
            ActorDied: The upload crashed, or the registry did and took it along.
            Exception: See `stage`; whatever `progress` raises.

        Checkpoints. Cancelled, it gives up the remote upload before it returns, unless others wait
        for it.
        """
        request = UploadRequest(target=target, retry=retry, verify=verify)
        if isinstance(source, Attachment):
            return await self._uploader.upload(source, request, progress)
        target.account()  # raises before anything is staged
        async with self.temporary(source, name=name, content_type=content_type) as attachment:
            return await self._uploader.upload(attachment, request, progress)

    def start_upload(
        self,
        source: Attachment | StageSource,
        *,
        target: Target,
        retry: Retry = _RETRY,
        progress: Watcher | None = None,
        verify: Verify = "quick",
        name: str | None = None,
        content_type: str | None = None,
    ) -> UploadHandle:
        """Begin an upload in the background; arguments as of `upload`.

        It runs in the tree, not in the task of the caller: it goes on when the caller goes.

        Raises:
            TypeError: The source can only be read in the calling task: stage it first. Or the
                target or `retry` is none.
            InvalidConfig: `verify` is neither "quick" nor "full".
            ActorStopped: The tree is not running.
        """
        if not isinstance(source, Attachment) and classify(source) is None:
            raise TypeError(
                "An iterable, stream or file object is read in the calling task, which start_upload"
                " does not keep: await stage(...) first, or use upload(...)."
            )

        UploadRequest(target=target, retry=retry, verify=verify)  # wrong ones raise here

        async def work(tell: Watcher) -> UploadedFile:
            def both(news: Progress) -> None:
                tell(news)
                if progress is not None:
                    progress(news)

            return await self.upload(
                source,
                target=target,
                retry=retry,
                progress=both,
                verify=verify,
                name=name,
                content_type=content_type,
            )

        total = source.size if isinstance(source, Attachment) else 0
        return start_handle(self._access.transfers, total, work)

    def attach(self, options: O, attachment: Attachment) -> O:
        """Return options with one more attachment; attaching again keeps its place. Pure."""
        return attach(options, attachment)

    def detach(self, options: O, attachment: Attachment) -> O:
        """Return options without an attachment. Pure."""
        return detach(options, attachment)
