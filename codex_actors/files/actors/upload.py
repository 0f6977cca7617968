"""Owns one upload: blob -> parts -> remote file.

Invariant: nothing is sent before the file on disk was seen to be what was staged; whatever ends the
upload, but for the death of the process, its parts in flight end first, then the remote upload is
given up and its record forgotten. Must not know who waits for it.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import TypeVar

import outcome
import trio
from attrs import frozen

from codex_actors import (
    Actor,
    ActorRef,
    ActorStopped,
    Call,
    ExitReason,
    handle_call,
    handle_cast,
)
from codex_actors.files import telemetry
from codex_actors.files.actors.registry import Owe, Perform
from codex_actors.files.environment import Environment
from codex_actors.files.errors import (
    ChecksumMismatch,
    FilesError,
    UploadOutcomeUnknown,
    UploadTimeout,
)
from codex_actors.files.flights import Land
from codex_actors.files.index.transaction import Operation
from codex_actors.files.index.uploads import dismiss, enlist
from codex_actors.files.index.verifying import SettleVerdicts
from codex_actors.files.making import unknown
from codex_actors.files.model import UploadedFile
from codex_actors.files.progress import Meter, Progress
from codex_actors.files.recording import Recorder
from codex_actors.files.requests import Requests, Retrying
from codex_actors.files.sending import Sending
from codex_actors.files.store.seal import Suspect, examine
from codex_actors.files.targets.protocol import Finished, TargetFailure
from codex_actors.files.undertaking import Undertaking, UploadJob

__all__ = ["CLEANUP_SECONDS", "CollectUpload", "UploadActor", "upload"]

# How long `terminate` may take, and the giving up of the remote upload within it.
CLEANUP_SECONDS = 9.0  # less than a tree that is cancelled gives its children
_GIVE_UP_SECONDS = 8.0

T = TypeVar("T")


@frozen
class CollectUpload(Call[UploadedFile]):
    """Wait for the upload and tell how it went."""


class UploadActor(Actor):
    """Sends one file to one target."""

    def __init__(self, environment: Environment, registry: ActorRef, job: UploadJob) -> None:
        self._environment = environment
        self._registry = registry
        self._job = job
        self._holder = enlist()
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
        self._records = Recorder(job, self._holder, self._perform)
        self._sending = Sending(
            environment,
            job,
            self._records,
            self._requests,
            self._meter,
            self._progressed,
        )

    async def handle_continue(self) -> None:
        """Do the work; those who wait collect the result."""
        self._emit(telemetry.upload_started)
        try:
            self._result = outcome.Value(await self._within_deadline())
        except FilesError as error:
            self._result = outcome.Error(error)
        if self._sending.undertaking is not None:
            await self._give_up(self._sending.undertaking)
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
            if self._sending.undertaking is not None:
                await self._give_up(self._sending.undertaking)
        finally:
            dismiss(self._holder)
            if not self._told_end:
                self._tell_end()

    async def _within_deadline(self) -> UploadedFile:
        deadline = self._job.retry.deadline
        with trio.move_on_after(math.inf if deadline is None else deadline):
            return await self._sending.upload()
        raise UploadTimeout(
            f"{self._requests.what} took longer than its deadline of {deadline:g} s, and was at"
            f" {self._requests.step}: upload it again with a later one.",
            step=self._requests.step,
            can_retry=True,
        )

    # The end

    async def _give_up(self, undertaking: Undertaking) -> None:
        """Leave nothing at the target; a file that turns out to be there is not given up."""
        finished: Finished | None = None
        undecided: UploadOutcomeUnknown | None = None
        with trio.move_on_after(_GIVE_UP_SECONDS) as scope:
            try:
                finished = await self._sending.give_up(undertaking)
            except UploadOutcomeUnknown as error:
                undecided = error
            except (TargetFailure, FilesError) as error:
                self._left = error
        if scope.cancelled_caught:
            self._left = TimeoutError("the target does not answer")
            if undertaking.making:
                undecided = unknown(self._requests, undertaking, str(self._left))
        if undecided is not None:
            self._left = undecided
            if not isinstance(self._result, outcome.Error):
                # Nobody is told: the record stays, and the next upload asks first.
                self._sending.undertaking = None
                return
            self._result = outcome.Error(undecided)
        operation = self._records.last_word(undertaking, finished)
        try:
            uploaded = await self._perform(operation)
        except FilesError:
            with suppress(ActorStopped):
                self._registry.cast_nowait(Owe(operation))
        except ActorStopped:
            # The registry has crashed. The next upload finds the record of a dead one, and asks.
            pass
        else:
            if uploaded is not None and isinstance(self._result, outcome.Error):
                self._result = outcome.Value(uploaded)
        self._sending.undertaking = None

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

    async def _perform(self, operation: Operation[T]) -> T:
        return await self._registry.call(Perform(operation), timeout=math.inf)

    # What is told

    def _progressed(self, progress: Progress) -> None:
        self._job.news.tell(progress)
        self._emit(telemetry.upload_progress, progress)

    def _retrying(self, retrying: Retrying) -> None:
        self._meter.attempt = max(self._meter.attempt, retrying.attempt)
        self._job.news.tell(self._meter.read(trio.current_time()))
        self._emit(telemetry.upload_retry, retrying)

    def _tell_end(self) -> None:
        self._told_end = True
        elapsed = trio.current_time() - self._started_at
        attachment, target = self._job.attachment, self._job.target.name
        if isinstance(self._result, outcome.Value):
            event = telemetry.upload_stopped(
                attachment, target, self._result.value, elapsed, cached=self._sending.cached
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
