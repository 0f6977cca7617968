"""Owns the dialogue of one upload with its target.

Invariant: nothing is sent before the file on disk was seen to be what was staged; what the target
has acknowledged is recorded before it counts; what an earlier upload has left is used, or given up.
Must not know who waits for it, nor what becomes of it when it ends half-way.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import trio
from attrs import define

from codex_actors import fault_point
from codex_actors.files.body import BlobBody, Watch
from codex_actors.files.environment import Environment
from codex_actors.files.errors import UploadError, UploadOutcomeUnknown, UploadRejected
from codex_actors.files.index.uploads import Busy, Pending
from codex_actors.files.insisting import insist
from codex_actors.files.making import abort, make, settle, undo
from codex_actors.files.model import UploadedFile
from codex_actors.files.parts import Parts, parts_of, send_parts
from codex_actors.files.progress import Meter, Progress
from codex_actors.files.recording import Recorder
from codex_actors.files.requests import Patience, Requests
from codex_actors.files.store.reading import open_blob
from codex_actors.files.targets.protocol import Finished, Part, Receipt, Remote, Session
from codex_actors.files.ttl import from_milliseconds
from codex_actors.files.undertaking import Undertaking, UploadJob

__all__ = ["Sending"]

# How long an upload that is given up while it begins waits for the answer.
_ANSWER_SECONDS = 2.0
# How often the record of an upload by another process is looked at again.
_BUSY_SECONDS = 1.0


@define(eq=False)
class Sending:
    """One upload.

    Attributes:
        environment: What the tree was given.
        job: What to upload.
        records: What the manifest is told.
        requests: How the target is asked.
        meter: How far it is.
        tell: Told how far it is.
        undertaking: What would have to be given up now; None for nothing.
        cached: The file was there from an earlier upload.
    """

    environment: Environment
    job: UploadJob
    records: Recorder
    requests: Requests
    meter: Meter
    tell: Callable[[Progress], object]
    undertaking: Undertaking | None = None
    cached: bool = False

    async def upload(self) -> UploadedFile:
        """Send the file, or find that it is there.

        Raises:
            UploadError: It failed; what has begun is still there, see `give_up`.
            ChecksumMismatch: It is not what was staged.
            FilesError: It cannot be read, or the manifest not be written.
        """
        blocking = self.environment.blocking
        attachment = self.job.attachment
        await fault_point("upload.started")
        blob = await blocking.run(open_blob, self.environment.disk, attachment)
        try:
            watch = Watch(blob, blocking, self.records.is_sealed)
            await watch.check()
            await fault_point("upload.checked")
            async with self.job.target.open_session() as session:
                return await self._send(session, watch)
        finally:
            # Closing a file that was only read does not block.
            blob.close()

    async def _send(self, session: Session, watch: Watch) -> UploadedFile:
        claimed = await self._claim(
            session, await self.records.md5(watch.blob, self.environment.blocking)
        )
        if isinstance(claimed, UploadedFile):
            self.cached = True
            self.meter.resume(claimed.size)
            self._told()
            return claimed
        self.undertaking = undertaking = claimed
        await fault_point("upload.claimed")
        if self.job.goes_whole:
            finished = await self._send_whole(session, undertaking, watch)
        else:
            finished = await self._send_parts(session, undertaking, watch)
        await fault_point("upload.finished")
        uploaded = await self.records.finished(undertaking, finished)
        self.undertaking = None
        self.meter.acknowledged = undertaking.file.size
        self._told()
        return uploaded

    async def _claim(self, session: Session, md5: str | None) -> UploadedFile | Undertaking:
        file = self.job.outgoing(md5, self._now())
        while True:
            claimed = await self.records.claim(file)
            if isinstance(claimed, Busy):
                await trio.sleep(_BUSY_SECONDS)
            elif isinstance(claimed, Pending):
                return Undertaking.of(claimed, file)
            elif await self._is_there(session, claimed):
                return claimed
            else:
                await self.records.gone(claimed)

    async def _is_there(self, session: Session, uploaded: UploadedFile) -> bool:
        return await self.requests.ask("confirm", lambda _: session.confirm(uploaded.file_id))

    async def _send_whole(
        self, session: Session, undertaking: Undertaking, watch: Watch
    ) -> Finished:
        left = await self._take_over(session, undertaking)
        if isinstance(left, Finished):
            return left
        if undertaking.pending.taken_over:
            await self.records.making(undertaking)

        def request(patience: Patience) -> Awaitable[Finished]:
            body = BlobBody(watch, 0, undertaking.file.size, patience.touch)
            return session.send_whole(undertaking.file, body)

        return await make(self.requests, session, undertaking, "send", request)

    async def _send_parts(
        self, session: Session, undertaking: Undertaking, watch: Watch
    ) -> Finished:
        left = await self._take_over(session, undertaking)
        if isinstance(left, Finished):
            return left
        if left is not None:
            try:
                return await self._finish_parts(session, undertaking, watch)
            except UploadRejected:
                # What an earlier process began, the server knows no more.
                await self._abandon(session, undertaking)
                self.meter.start_over()
                self._told()
        await self._begin(session, undertaking)
        await fault_point("upload.begun")
        await self.records.remote(undertaking)
        return await self._finish_parts(session, undertaking, watch)

    async def _begin(self, session: Session, undertaking: Undertaking) -> None:
        def request(_patience: Patience) -> Awaitable[Remote]:
            return session.begin(undertaking.file)

        def keep(remote: Remote) -> None:
            undertaking.remote = remote

        async def attempt() -> None:
            # Only the answer names what would have to be given up.
            await insist(lambda: self.requests.once(request), keep, _ANSWER_SECONDS)

        await self.requests.repeat("begin", attempt)

    async def _finish_parts(
        self, session: Session, undertaking: Undertaking, watch: Watch
    ) -> Finished:
        remote = undertaking.remote
        assert remote is not None  # noqa: S101 - it has begun
        parts = parts_of(undertaking.file.size, self.job.target.limits.part_size)
        missing = [part for part in parts if part.number not in undertaking.receipts]
        self.meter.resume(sum(part.size for part in parts if part not in missing))
        self._told()
        await send_parts(
            self.requests,
            session,
            Parts(undertaking.file, remote, watch, tuple(missing), len(parts)),
            lambda part, receipt: self._acknowledge(undertaking, part, receipt, len(parts)),
            parallel=self.job.target.limits.parallel,
        )
        await fault_point("upload.sent")
        await watch.check()
        if not self.job.target.limits.resumable:
            # What is resumable has been recorded with the last part.
            await self.records.making(undertaking)
        receipts = undertaking.in_order
        return await make(
            self.requests,
            session,
            undertaking,
            "complete",
            lambda _: session.complete(undertaking.file, remote, receipts),
        )

    async def _acknowledge(
        self, undertaking: Undertaking, part: Part, receipt: Receipt, count: int
    ) -> None:
        undertaking.receipts[part.number] = receipt
        await fault_point("upload.part")
        await self.records.part(undertaking, receipt, last=len(undertaking.receipts) == count)
        self.meter.add(part.size)
        self._told()

    # What was there before

    async def _take_over(
        self, session: Session, undertaking: Undertaking
    ) -> Remote | Finished | None:
        """Return what an earlier upload left: its file, or a remote upload to go on with."""
        pending, limits = undertaking.pending, self.job.target.limits
        doubtful = undertaking.making
        if doubtful:
            fate = await settle(self.requests, session, undertaking)
            if isinstance(fate, Finished):
                return fate
        remote = undertaking.remote
        if remote is None:
            return None
        now = self._now()
        if (
            limits.resumable
            and not self.job.goes_whole
            and pending.part_size == limits.part_size
            and (remote.expires_at is None or remote.expires_at > now)
        ):
            return remote
        await self._abandon(session, undertaking, doubtful=doubtful)
        return None

    async def _abandon(
        self, session: Session, undertaking: Undertaking, *, doubtful: bool = False
    ) -> None:
        """Give up what an earlier upload began; what the server does not know is given up."""
        try:
            await abort(self.requests, session, undertaking, doubtful=doubtful)
        except UploadOutcomeUnknown:
            raise
        except UploadError:
            pass  # the server forgets it by itself
        undertaking.remote = None
        undertaking.receipts = {}
        await self.records.remote(undertaking)

    async def give_up(self, undertaking: Undertaking) -> Finished | None:
        """Leave nothing at the target; return the file if it turns out to be there."""
        async with self.job.target.open_session() as session:
            return await undo(self.requests, session, undertaking)

    def _now(self) -> datetime:
        return from_milliseconds(self.environment.clock.now())

    def _told(self) -> None:
        self.tell(self.meter.read(trio.current_time()))
