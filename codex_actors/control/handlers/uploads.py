"""Owns the request to upload one file.

Invariant: an upload is an operation, whoever waits for it; what is wrong with the request is told
before there is one. A credential goes from the request into its target and nowhere else. Must not
know how anything is sent.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

import trio
from attrs import field, frozen

from codex_actors._background import open_background
from codex_actors.control import messages
from codex_actors.control.choosing import choose
from codex_actors.control.errors import NoSupervisor, OperationCancelled
from codex_actors.control.operations import Operation
from codex_actors.control.pacing import Pace
from codex_actors.control.service import Service
from codex_actors.control.session import Notify
from codex_actors.control.targets import target_of
from codex_actors.files import (
    Attachment,
    CodexTarget,
    DirectoryTarget,
    Event,
    Files,
    OpenAITarget,
    Progress,
    Retry,
    UploadedFile,
)

__all__ = ["upload"]


@frozen(kw_only=True)
class _Job:
    """An upload that makes sense.

    Attributes:
        attachment: What is uploaded; None for a file, which is staged for that.
    """

    request: messages.Upload
    attachment: Attachment | None
    target: DirectoryTarget | OpenAITarget | CodexTarget = field(repr=False)
    retry: Retry

    @property
    def name(self) -> str:
        """What it is called where operations are listed."""
        if self.attachment is not None:
            return self.attachment.name
        return self.request.name or Path(self.request.path or "").name


async def upload(service: Service, request: messages.Upload, notify: Notify) -> dict[str, Any]:
    """Upload one file, or have it uploaded by an operation that nobody waits for."""
    files = service.files
    job = await _job(files, request)
    if request.detach:
        if service.nursery is None:
            raise NoSupervisor(
                "an upload can only go on behind your back where a supervisor runs: start one with"
                " `python -m codex_actors run`, or leave --detach out"
            )
        service.operations.require_open()  # or that nursery may have ended
        operation: Operation = await service.nursery.start(_detached, service, files, job)
        return {"operation": operation.id, "what": operation.what}
    with service.operations.admit("upload", job.name) as operation:
        return await _carry_out(files, job, operation, notify)


async def _job(files: Files, request: messages.Upload) -> _Job:
    target = target_of(request.target)
    target.account()  # raises where credentials are missing
    chosen: dict[str, Any] = {}
    if request.attempts is not None:
        chosen["attempts"] = request.attempts
    if request.timeout is not None:
        chosen["deadline"] = request.timeout
    retry = Retry(**chosen)
    found = None if request.what is None else choose(await files.list_staged(), request.what)
    return _Job(request=request, attachment=found, target=target, retry=retry)


async def _detached(
    service: Service, files: Files, job: _Job, *, task_status: trio.TaskStatus[Operation]
) -> None:
    """Upload for nobody: what comes of it is seen in the table of operations and the events.

    Raises:
        Leaving: It was not admitted; before `started`, so whoever asked is told.
    """
    admitted: Operation | None = None
    try:
        with service.operations.admit("upload", job.name) as operation:
            admitted = operation
            task_status.started(operation)
            await _carry_out(files, job, operation, _tell_nobody)
    except OperationCancelled:
        pass  # as somebody wanted; the table says so
    except Exception as error:
        if admitted is None:
            raise
        files.events.emit(_failed(admitted, error))


def _tell_nobody(_document: dict[str, Any]) -> None:
    """Nobody waits."""


def _failed(operation: Operation, error: Exception) -> Event:
    return Event(
        "codex.operation.failed",
        {"duration": operation.seconds},
        {
            "operation": operation.id,
            "kind": operation.kind,
            "what": operation.what,
            "error": type(error).__name__,
            "reason": str(error),
        },
    )


async def _carry_out(
    files: Files, job: _Job, operation: Operation, notify: Notify
) -> dict[str, Any]:
    pace = Pace(notify)
    async with open_background() as nursery:
        nursery.start_soon(pace.run)
        news = _News(operation, pace, job.target.name)
        async with _attachment(files, job, news) as attachment:
            news.enter("queued", attachment)
            unwatch = files.events.attach(news.hear)
            try:
                uploaded = await files.upload(
                    attachment,
                    target=job.target,
                    retry=job.retry,
                    progress=news.hear_progress,
                    verify=cast("Literal['quick', 'full']", job.request.verify),
                )
            finally:
                unwatch()
        pace.flush()
        operation.outcome = {**uploaded.to_dict(), "cached": news.is_cached(uploaded)}
        return {"operation": operation.id, "file": operation.outcome}


@asynccontextmanager
async def _attachment(files: Files, job: _Job, news: "_News") -> AsyncGenerator[Attachment]:
    """Have what is to be uploaded: it is staged, or is for as long as the block runs."""
    if job.attachment is not None:
        yield job.attachment
        return
    news.enter("staging")
    request = job.request
    async with files.temporary(
        Path(request.path or ""), name=request.name, content_type=request.content_type
    ) as attachment:
        yield attachment


class _News:
    """What is told of one upload: its states at once, its progress at a pace."""

    def __init__(self, operation: Operation, pace: Pace, target: str) -> None:
        self._operation = operation
        self._pace = pace
        self._target = target
        self._attachment: Attachment | None = None
        self._is_sending = False
        self._made: dict[str, bool] = {}

    def enter(self, state: str, attachment: Attachment | None = None) -> None:
        """It is in another state now."""
        self._attachment = attachment
        total = {} if attachment is None else {"total": attachment.size}
        self._tell({"state": state, **total}, now=True)

    def hear_progress(self, progress: Progress) -> None:
        """It has left the queue, or has come further."""
        document = {
            "state": "sending",
            "acknowledged": progress.acknowledged,
            "total": progress.total,
            "rate": progress.rate,
            "eta": progress.eta,
            "attempt": progress.attempt,
        }
        self._tell(document, now=not self._is_sending)
        self._is_sending = True

    def hear(self, event: Event) -> None:
        """Something happened to files, perhaps to this one."""
        attachment, about = self._attachment, event.metadata
        if attachment is None or (about.get("checksum"), about.get("target")) != (
            attachment.checksum,
            self._target,
        ):
            return
        if event.name == "codex.upload.retry":
            told = {key: about[key] for key in ("step", "status", "reason")}
            self._tell({"state": "retry", **event.measurements, **told}, now=True)
        elif event.name == "codex.upload.stop":
            self._made[about["file_id"]] = about["cached?"]

    def is_cached(self, uploaded: UploadedFile) -> bool:
        """Whether the file had been at the target before."""
        return self._made.get(uploaded.file_id, False)

    def _tell(self, document: dict[str, Any], *, now: bool) -> None:
        self._operation.progress = document
        if now:
            self._pace.tell_now(document)
        else:
            self._pace.tell(document)
