"""Owns one upload: blob -> parts -> remote file.

Invariant: nothing is sent before the file on disk was seen to be what was staged; whatever ends the
upload, but for the death of the process, its parts in flight end first, then the remote upload is
given up and its record forgotten. Must not know who waits for it.
"""

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from datetime import datetime
from typing import Any, TypeVar

import outcome
import trio
from attrs import define, field, frozen

from codex_actors import (
    Actor,
    ActorRef,
    ActorStopped,
    Call,
    ExitReason,
    fault_point,
    handle_call,
    handle_cast,
)
from codex_actors.files import telemetry
from codex_actors.files.actors.registry import Owe, Perform
from codex_actors.files.body import BlobBody, Watch
from codex_actors.files.environment import Environment
from codex_actors.files.errors import (
    ChecksumMismatch,
    FilesError,
    UploadError,
    UploadOutcomeUnknown,
    UploadRejected,
    UploadTimeout,
)
from codex_actors.files.flights import Land
from codex_actors.files.index.transaction import Operation
from codex_actors.files.index.uploads import (
    Busy,
    ClaimUpload,
    FindMD5,
    FinishUpload,
    ForgetFile,
    ForgetUpload,
    IsSealed,
    Pending,
    RecordMaking,
    RecordMD5,
    RecordPart,
    RecordRemote,
    UploadKey,
    dismiss,
    enlist,
)
from codex_actors.files.index.verifying import SettleVerdicts
from codex_actors.files.insisting import insist
from codex_actors.files.model import Attachment, UploadedFile
from codex_actors.files.progress import Broadcast, Meter
from codex_actors.files.requests import Patience, Requests, Retrying
from codex_actors.files.retry import Retry
from codex_actors.files.store.reading import Blob, open_blob
from codex_actors.files.store.seal import Seal, Suspect, examine
from codex_actors.files.targets.protocol import (
    Body,
    Fate,
    Finished,
    OutcomeUnknown,
    Outgoing,
    Part,
    Receipt,
    Remote,
    Retryable,
    Session,
    Target,
    TargetFailure,
)
from codex_actors.files.ttl import from_milliseconds

__all__ = ["CLEANUP_SECONDS", "CollectUpload", "UploadActor", "UploadJob", "parts_of", "upload"]

# How long `terminate` may take, and the giving up of the remote upload within it.
CLEANUP_SECONDS = 9.0  # less than a tree that is cancelled gives its children
_GIVE_UP_SECONDS = 8.0
# How long an upload that is given up while it begins waits for the answer.
_ANSWER_SECONDS = 2.0
# How often the record of an upload by another process is looked at again.
_BUSY_SECONDS = 1.0

T = TypeVar("T")


@frozen
class CollectUpload(Call[UploadedFile]):
    """Wait for the upload and tell how it went."""


@frozen
class UploadJob:
    """What to upload.

    Attributes:
        key: For whom else it is the same.
        attachment: The file; whoever waits holds a lease of it.
        target: Where it goes; it is within its limits.
        retry: How often, how long.
        news: Where its progress is told.
    """

    key: UploadKey
    attachment: Attachment
    target: Target
    retry: Retry
    news: Broadcast


@define(eq=False)
class _State:
    """What must be made good if the upload ends now."""

    pending: Pending
    file: Outgoing
    remote: Remote | None = None
    receipts: dict[int, Receipt] = field(factory=dict[int, Receipt])
    # The request that makes the file has been sent, and no answer has come.
    making: bool = False

    @property
    def in_order(self) -> tuple[Receipt, ...]:
        """The receipts in file order."""
        return tuple(self.receipts[number] for number in sorted(self.receipts))


class UploadActor(Actor):
    """Sends one file to one target."""

    def __init__(self, environment: Environment, registry: ActorRef, job: UploadJob) -> None:
        self._environment = environment
        self._registry = registry
        self._job = job
        self._target = job.target
        self._holder = enlist()
        self._state: _State | None = None
        self._step = "check"
        self._cached = False
        self._result: outcome.Value[UploadedFile] | outcome.Error | None = None
        self._left: Exception | None = None
        self._told_end = False
        self._started_at = trio.current_time()
        self._meter = Meter(job.attachment.size, self._started_at)
        self._requests = Requests(
            f"Uploading {job.attachment.name!r} to {job.target.name}",
            job.retry,
            environment.draw,
            self._retrying,
        )

    async def handle_continue(self) -> None:
        """Do the work; those who wait collect the result."""
        self._emit(telemetry.upload_started)
        try:
            self._result = outcome.Value(await self._within_deadline())
        except FilesError as error:
            self._result = outcome.Error(error)
        if self._state is not None:
            await self._give_up(self._state)
        if isinstance(self._result, outcome.Error):
            await self._quarantine_if_wrong(self._result.error)
        self._tell_end()

    @handle_call(CollectUpload, raises=(FilesError,))
    async def collect(self, _message: CollectUpload) -> UploadedFile:
        """Answer the result."""
        assert self._result is not None, "handle_continue comes first"  # noqa: S101 - ditto
        if isinstance(self._result, outcome.Value):
            return self._result.value
        # One error object per caller: raising one in many tasks would mix their tracebacks.
        raise copy(self._result.error) from self._result.error

    @handle_cast(Land)
    async def land(self, _message: Land) -> None:
        """End: nobody waits any more."""
        self.stop()

    async def terminate(self, reason: ExitReason) -> None:  # noqa: ARG002 - whatever it was
        """Give up what was begun and is not finished."""
        try:
            if self._state is not None:
                await self._give_up(self._state)
        finally:
            dismiss(self._holder)
            if not self._told_end:
                self._tell_end()

    # The way of a file

    async def _within_deadline(self) -> UploadedFile:
        deadline = self._job.retry.deadline
        with trio.move_on_after(math.inf if deadline is None else deadline):
            return await self._upload()
        raise UploadTimeout(
            f"{self._requests.what} took longer than its deadline of {deadline:g} s, and was at"
            f" {self._step}: upload it again with a later one.",
            step=self._step,
            can_retry=True,
        )

    async def _upload(self) -> UploadedFile:
        blocking = self._environment.blocking
        attachment = self._job.attachment
        await fault_point("upload.started")
        blob = await blocking.run(open_blob, self._environment.disk, attachment)
        try:
            watch = Watch(blob, blocking, self._is_sealed)
            await watch.check()
            await fault_point("upload.checked")
            async with self._target.open_session() as session:
                return await self._send(session, watch)
        finally:
            # Closing a file that was only read does not block.
            blob.close()

    async def _send(self, session: Session, watch: Watch) -> UploadedFile:
        claimed = await self._claim(session, await self._md5(watch.blob))
        if isinstance(claimed, UploadedFile):
            self._cached = True
            self._meter.resume(claimed.size)
            self._told()
            return claimed
        self._state = state = claimed
        await fault_point("upload.claimed")
        if self._goes_whole:
            finished = await self._send_whole(session, state, watch)
        else:
            finished = await self._send_parts(session, state, watch)
        await fault_point("upload.finished")
        uploaded = await self._finish(state, finished)
        self._meter.acknowledged = state.file.size
        self._told()
        return uploaded

    async def _claim(self, session: Session, md5: str | None) -> UploadedFile | _State:
        attachment, key = self._job.attachment, self._job.key
        file = Outgoing(
            name=attachment.name,
            size=attachment.size,
            content_type=attachment.content_type,
            checksum=attachment.checksum,
            algorithm=attachment.algorithm,
            started_at=self._now(),
            md5=md5,
        )
        part_size = self._target.limits.part_size
        claim = ClaimUpload(
            key=key,
            holder=self._holder,
            file=file,
            making=self._goes_whole,
            part_size=part_size,
        )
        while True:
            claimed = await self._perform(claim)
            if isinstance(claimed, Busy):
                await trio.sleep(_BUSY_SECONDS)
            elif isinstance(claimed, Pending):
                ours = _as_recorded(file, claimed)
                return _State(claimed, ours)
            elif await self._is_there(session, claimed):
                return claimed
            else:
                await self._perform(ForgetFile(key, claimed.file_id))

    async def _is_there(self, session: Session, uploaded: UploadedFile) -> bool:
        return await self._ask("confirm", lambda _: session.confirm(uploaded.file_id))

    async def _send_whole(self, session: Session, state: _State, watch: Watch) -> Finished:
        left = await self._take_over(session, state)
        if isinstance(left, Finished):
            return left
        if left is not None:
            await self._abandon(session, state)

        def request(patience: Patience) -> Awaitable[Finished]:
            body = BlobBody(watch, 0, state.file.size, patience.touch)
            return session.send_whole(state.file, body)

        return await self._make("send", session, state, request)

    async def _send_parts(self, session: Session, state: _State, watch: Watch) -> Finished:
        left = await self._take_over(session, state)
        if isinstance(left, Finished):
            return left
        if left is not None:
            state.remote = left
            state.receipts = {receipt.number: receipt for receipt in state.pending.receipts}
            try:
                return await self._finish_parts(session, state, watch)
            except UploadRejected:
                # What an earlier process began, the server knows no more.
                await self._abandon(session, state)
                self._meter.start_over()
                self._told()
        await self._begin(session, state)
        await fault_point("upload.begun")
        await self._record_remote(state)
        return await self._finish_parts(session, state, watch)

    async def _begin(self, session: Session, state: _State) -> None:
        def keep(remote: Remote) -> None:
            state.remote = remote

        # Only the answer names what would have to be given up.
        await insist(
            lambda: self._ask("begin", lambda _: session.begin(state.file)), keep, _ANSWER_SECONDS
        )

    async def _finish_parts(self, session: Session, state: _State, watch: Watch) -> Finished:
        remote = state.remote
        assert remote is not None  # noqa: S101 - it has begun
        parts = parts_of(state.file.size, self._target.limits.part_size)
        missing = [part for part in parts if part.number not in state.receipts]
        self._meter.resume(sum(part.size for part in parts if part not in missing))
        self._told()
        await self._send_missing(session, state, watch, missing, len(parts))
        await fault_point("upload.sent")
        await watch.check()
        if not self._target.limits.resumable:
            # What is resumable has been recorded with the last part.
            await self._perform(RecordMaking(state.pending.upload, self._holder))
        receipts = state.in_order
        return await self._make(
            "complete", session, state, lambda _: session.complete(state.file, remote, receipts)
        )

    async def _send_missing(
        self,
        session: Session,
        state: _State,
        watch: Watch,
        missing: Sequence[Part],
        count: int,
    ) -> None:
        rest = iter(missing)
        failures: list[FilesError] = []
        workers = min(self._target.limits.parallel, len(missing))
        async with trio.open_nursery() as nursery:

            async def work() -> None:
                try:
                    await self._send_rest(session, state, watch, rest, count)
                except FilesError as error:
                    failures.append(error)
                    nursery.cancel_scope.cancel()  # the siblings end first

            for _ in range(workers):
                nursery.start_soon(work)
        if failures:
            raise failures[0]

    async def _send_rest(
        self, session: Session, state: _State, watch: Watch, rest: Iterator[Part], count: int
    ) -> None:
        remote = state.remote
        assert remote is not None  # noqa: S101 - it has begun
        for part in rest:

            def request(patience: Patience, part: Part = part) -> Awaitable[Receipt]:
                body: Body = BlobBody(watch, part.offset, part.size, patience.touch)
                return session.send_part(state.file, remote, part, body)

            receipt = await self._ask(f"part {part.number + 1} of {count}", request)
            state.receipts[part.number] = receipt
            await fault_point("upload.part")
            if self._target.limits.resumable:
                last = len(state.receipts) == count
                await self._perform(
                    RecordPart(state.pending.upload, self._holder, receipt, last=last)
                )
            self._meter.add(part.size)
            self._told()

    # What was there before

    async def _take_over(self, session: Session, state: _State) -> Remote | Finished | None:
        """Return what an earlier upload left: its file, or a remote upload to go on with."""
        pending, limits = state.pending, self._target.limits
        if not pending.taken_over:
            return None
        remote = state.remote = pending.remote
        if pending.making:
            fate = await self._settle(session, state, pending.receipts)
            if isinstance(fate, Finished):
                return fate
        if remote is None:
            return None
        now = self._now()
        if (
            limits.resumable
            and not self._goes_whole
            and pending.part_size == limits.part_size
            and (remote.expires_at is None or remote.expires_at > now)
        ):
            return remote
        await self._abandon(session, state)
        return None

    async def _abandon(self, session: Session, state: _State) -> None:
        """Give up what an earlier upload began; what the server does not know is given up."""
        remote = state.remote
        if remote is not None:
            with suppress(UploadError):
                await self._ask("abort", lambda _: session.abort(state.file, remote))
        state.remote = None
        state.receipts = {}
        await self._record_remote(state)

    async def _record_remote(self, state: _State) -> None:
        part_size = self._target.limits.part_size
        await self._perform(
            RecordRemote(state.pending.upload, self._holder, state.remote, part_size)
        )
        if self._goes_whole:
            await self._perform(RecordMaking(state.pending.upload, self._holder))

    # The request that makes the file

    async def _make(
        self,
        step: str,
        session: Session,
        state: _State,
        request: Callable[[Patience], Awaitable[Finished]],
    ) -> Finished:
        """Have the file made once, whatever becomes of the answers."""
        attempts = 0

        async def attempt() -> Finished:
            nonlocal attempts
            attempts += 1
            state.making = True
            try:
                return await self._requests.once(request, repeatable=False)
            except OutcomeUnknown as failure:
                lost = failure
            except TargetFailure:
                state.making = False  # it was answered: there is no file
                raise
            fate = await self._settle(session, state, state.in_order, lost, attempts)
            state.making = False
            if isinstance(fate, Finished):
                return fate
            raise Retryable(
                lost.message, status=lost.status, retry_after=lost.retry_after
            ) from lost

        self._step = step
        await fault_point(f"upload.{'sending' if step == 'send' else 'completing'}")
        return await self._requests.repeat(step, attempt)

    async def _settle(
        self,
        session: Session,
        state: _State,
        receipts: Sequence[Receipt],
        lost: OutcomeUnknown | None = None,
        attempts: int = 0,
    ) -> Finished | Fate:
        """Ask what became of a request; raise unless that is certain."""
        remote = state.remote
        message = "the upload was ended" if lost is None else lost.message
        step = "send" if remote is None else "complete"
        try:
            fate = await self._ask("settle", lambda _: session.settle(state.file, remote, receipts))
        except UploadError as error:
            message, fate = f"{message}; {error.server_message}", Fate.UNKNOWN
        if fate is not Fate.UNKNOWN:
            self._step = step
            return fate
        state.making = False  # as far as it can be known
        ids = {"checksum": state.file.checksum, "name": state.file.name}
        if remote is not None:
            ids["upload_id"] = remote.id
        named = ", ".join(f"{key} {value}" for key, value in ids.items())
        raise UploadOutcomeUnknown(
            f"{self._requests.what}: the answer to {step} was lost ({message}), and the server"
            f" cannot tell whether there is a file now ({named}). Look there before you upload it"
            " again: that makes another one.",
            ids=ids,
            step=step,
            attempts=attempts,
            status=None if lost is None else lost.status,
            server_message=message,
        ) from lost

    async def _finish(self, state: _State, finished: Finished) -> UploadedFile:
        key = self._job.key
        uploaded = await self._perform(FinishUpload(key, self._holder, state.file, finished))
        self._state = None
        return uploaded

    # The end

    async def _give_up(self, state: _State) -> None:
        """Leave nothing at the target; a file that turns out to be there is not given up."""
        finished: Finished | None = None
        with trio.move_on_after(_GIVE_UP_SECONDS) as scope:
            try:
                async with self._target.open_session() as session:
                    finished = await self._undo(session, state)
            except UploadOutcomeUnknown as error:
                if isinstance(self._result, outcome.Error):
                    self._result = outcome.Error(error)
            except (TargetFailure, FilesError) as error:
                self._left = error
        if scope.cancelled_caught:
            self._left = TimeoutError("the target does not answer")
        operation: Operation[Any] = ForgetUpload(state.pending.upload, self._holder)
        if finished is not None:
            operation = FinishUpload(self._job.key, self._holder, state.file, finished)
        try:
            result = await self._perform(operation)
        except FilesError:
            self._registry.cast_nowait(Owe(operation))
        except ActorStopped:
            # The registry has crashed. The next upload finds the record of a dead one, and asks.
            pass
        else:
            failed = isinstance(self._result, outcome.Error)
            if failed and isinstance(result, UploadedFile):
                self._result = outcome.Value(result)
        self._state = None

    async def _undo(self, session: Session, state: _State) -> Finished | None:
        """Give up the remote upload, unless the file turns out to be there."""
        undecided: UploadOutcomeUnknown | None = None
        if state.making:
            try:
                fate = await self._settle(session, state, state.in_order)
            except UploadOutcomeUnknown as error:
                undecided = error
            else:
                if isinstance(fate, Finished):
                    return fate
        remote = state.remote
        if remote is not None:
            await fault_point("upload.aborting")
            await self._ask("abort", lambda _: session.abort(state.file, remote))
        if undecided is not None:
            raise undecided
        return None

    # Helpers

    def _now(self) -> datetime:
        return from_milliseconds(self._environment.clock.now())

    @property
    def _goes_whole(self) -> bool:
        return self._job.attachment.size <= self._target.limits.whole_bytes

    async def _is_sealed(self, seal: Seal) -> bool:
        return await self._perform(IsSealed(self._job.attachment.checksum, seal))

    async def _quarantine_if_wrong(self, error: BaseException) -> None:
        """Have a file that is not what was staged put away, if it still is none."""
        if not isinstance(error, ChecksumMismatch):
            return
        environment, attachment = self._environment, self._job.attachment
        suspect = Suspect(attachment.checksum, attachment.name, attachment.algorithm)
        with suppress(FilesError):  # the next one who relies on it will find out, too
            reading = examine(environment.layout, environment.disk, (suspect,))
            verdicts = await environment.blocking.drive(reading)
            await self._perform(SettleVerdicts(verdicts))

    async def _md5(self, blob: Blob) -> str | None:
        if not self._target.limits.wants_md5:
            return None
        checksum = self._job.attachment.checksum
        known = await self._perform(FindMD5(checksum))
        if known is None:
            known = await self._environment.blocking.drive(blob.md5())
            await self._perform(RecordMD5(checksum, known))
        return known

    async def _ask(self, step: str, request: Callable[[Patience], Awaitable[T]]) -> T:
        self._step = step
        return await self._requests.repeat(step, lambda: self._requests.once(request))

    async def _perform(self, operation: Operation[T]) -> T:
        return await self._registry.call(Perform(operation), timeout=math.inf)

    # What is told

    def _told(self) -> None:
        progress = self._meter.read(trio.current_time())
        self._job.news.tell(progress)
        self._emit(telemetry.upload_progress, progress)

    def _retrying(self, retrying: Retrying) -> None:
        self._meter.attempt = max(self._meter.attempt, retrying.attempt)
        self._job.news.tell(self._meter.read(trio.current_time()))
        self._emit(telemetry.upload_retry, retrying)

    def _tell_end(self) -> None:
        self._told_end = True
        elapsed = trio.current_time() - self._started_at
        attachment, target = self._job.attachment, self._target.name
        if isinstance(self._result, outcome.Value):
            event = telemetry.upload_stopped(
                attachment, target, self._result.value, elapsed, cached=self._cached
            )
        else:
            error = None if self._result is None else self._result.error
            event = telemetry.upload_failed(attachment, target, error, elapsed, left=self._left)
        self._environment.events.emit(event)

    def _emit(self, make: Callable[..., telemetry.Event], *details: object) -> None:
        job = self._job
        self._environment.events.emit(make(job.attachment, job.target.name, *details))


def upload(environment: Environment, registry: ActorRef, job: UploadJob) -> UploadActor:
    """Return the actor; as a factory it gives the children their name in the tree."""
    return UploadActor(environment, registry, job)


def parts_of(size: int, part_size: int | None) -> tuple[Part, ...]:
    """Return the parts of a file: all of `part_size` but the last, or one; none of an empty one."""
    step = part_size or max(size, 1)
    return tuple(
        Part(number, offset, min(step, size - offset))
        for number, offset in enumerate(range(0, size, step))
    )


def _as_recorded(file: Outgoing, pending: Pending) -> Outgoing:
    """Return the file as it was announced by whoever began."""
    return Outgoing(
        name=pending.name,
        size=file.size,
        content_type=pending.content_type,
        checksum=file.checksum,
        algorithm=file.algorithm,
        started_at=pending.started_at,
        md5=file.md5,
    )
