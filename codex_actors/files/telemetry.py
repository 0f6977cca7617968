"""Owns the events of the file layer and the list of those who listen.

Invariant: an event is data, delivered synchronously in the order of what happened; a handler that
raises is detached and never breaks a staging. Must not know any logging or metrics library.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from codex_actors.files.errors import UploadError
from codex_actors.files.index.recovery import Settled
from codex_actors.files.model import Attachment, CleanupReport, UploadedFile
from codex_actors.files.progress import Progress
from codex_actors.files.requests import Retrying

__all__ = [
    "Event",
    "EventHandler",
    "Events",
    "cleaned",
    "failed",
    "not_removed",
    "quarantined",
    "rebuilt",
    "staged",
    "swept",
    "upload_failed",
    "upload_progress",
    "upload_retry",
    "upload_started",
    "upload_stopped",
]


def _frozen_mapping(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(data))


@frozen
class Event:
    """Something that happened to attachments.

    Attributes:
        name: Dotted, for example `codex.attachment.staged`.
        measurements: Numbers.
        metadata: What they are about; the keys of the Elixir SDK where it has the event.
    """

    name: str
    measurements: Mapping[str, Any] = field(converter=_frozen_mapping)
    metadata: Mapping[str, Any] = field(converter=_frozen_mapping)

    def __str__(self) -> str:
        """Return one line."""
        pairs = {**self.measurements, **self.metadata}
        return " ".join([self.name, *(f"{key}={_short(value)}" for key, value in pairs.items())])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "event": self.name,
            "measurements": dict(self.measurements),
            "metadata": dict(self.metadata),
        }


def _short(value: object) -> str:
    """A value as one reads it; nobody wants the last digits of a duration."""
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


EventHandler = Callable[[Event], object]


class Events:
    """A list of handlers; see `Files.events`."""

    def __init__(self, handlers: Iterable[EventHandler] = ()) -> None:
        # Keyed by the attachment: one handler may be attached twice.
        self._handlers: dict[object, EventHandler] = {object(): handler for handler in handlers}

    def attach(self, handler: EventHandler) -> Callable[[], None]:
        """Call `handler` with every event from now on; return a function that detaches it.

        It runs on the event loop and must not block. One that raises is detached, and the others
        get `codex.handler.detached`.
        """
        key = object()
        self._handlers[key] = handler

        def detach() -> None:
            self._handlers.pop(key, None)

        return detach

    def emit(self, event: Event) -> None:
        """Deliver an event to all handlers."""
        for key, handler in tuple(self._handlers.items()):
            if key not in self._handlers:
                continue
            try:
                handler(event)
            except Exception as error:  # noqa: BLE001 - a stranger's handler must not break a staging
                del self._handlers[key]
                self.emit(_detached(handler, error))


def staged(attachment: Attachment, *, cached: bool) -> Event:
    """A staging succeeded; `cached` when the bytes were already there."""
    return Event(
        "codex.attachment.staged",
        {"size_bytes": attachment.size},
        {
            "cached?": cached,
            "checksum": attachment.checksum,
            "name": attachment.name,
            "persist?": attachment.persist,
            "ttl_ms": attachment.ttl_ms,
        },
    )


def cleaned(attachment: Attachment) -> Event:
    """An attachment was removed, by the sweeper or on request."""
    return Event(
        "codex.attachment.cleaned",
        {"bytes": attachment.size, "count": 1},
        {
            "checksum": attachment.checksum,
            "name": attachment.name,
            "ttl_ms": attachment.ttl_ms,
        },
    )


def failed(operation: str, error: BaseException, *, name: str) -> Event:
    """A staging or a removal failed."""
    return Event(
        "codex.attachment.failed",
        {"count": 1},
        {"operation": operation, "name": name, "error": type(error).__name__, "reason": str(error)},
    )


def not_removed(attachment: Attachment) -> Event:
    """The file of an attachment could not be deleted; it stays listed."""
    return Event(
        "codex.attachment.failed",
        {"count": 1},
        {"operation": "remove", "name": attachment.name, "checksum": attachment.checksum},
    )


def quarantined(path: Path) -> Event:
    """A file holds other bytes than its place says; it lies at `path` now."""
    checksum = path.name.partition(".")[0]
    return Event(
        "codex.attachment.quarantined",
        {"count": 1},
        {"checksum": checksum, "path": str(path)},
    )


def swept(report: CleanupReport, *, reason: str) -> Event:
    """A sweep ended."""
    return Event(
        "codex.sweep.stop",
        {"count": report.count, "bytes": report.bytes, "failed": len(report.failed)},
        {"reason": reason},
    )


def upload_started(attachment: Attachment, target: str) -> Event:
    """An upload has left the queue; one `stop` or `exception` follows."""
    return Event("codex.upload.start", {"size_bytes": attachment.size}, _upload(attachment, target))


def upload_progress(attachment: Attachment, target: str, progress: Progress) -> Event:
    """A target has acknowledged more, or what it had acknowledged counts no more."""
    return Event(
        "codex.upload.progress",
        {
            "acknowledged_bytes": progress.acknowledged,
            "size_bytes": progress.total,
            "rate": progress.rate,
        },
        {**_upload(attachment, target), "attempt": progress.attempt},
    )


def upload_retry(attachment: Attachment, target: str, retrying: Retrying) -> Event:
    """A request has failed and will be repeated after a pause."""
    failure = retrying.failure
    return Event(
        "codex.upload.retry",
        {"attempt": retrying.attempt, "delay": retrying.delay},
        {
            **_upload(attachment, target),
            "step": retrying.step,
            "status": failure.status,
            "reason": failure.message,
        },
    )


def upload_stopped(
    attachment: Attachment, target: str, uploaded: UploadedFile, elapsed: float, *, cached: bool
) -> Event:
    """An upload is complete; `cached` when its file had been there before it started."""
    return Event(
        "codex.upload.stop",
        {"duration": elapsed, "size_bytes": uploaded.size},
        {**_upload(attachment, target), "file_id": uploaded.file_id, "cached?": cached},
    )


def upload_failed(
    attachment: Attachment,
    target: str,
    error: BaseException | None,
    elapsed: float,
    *,
    left: Exception | None = None,
) -> Event:
    """An upload has failed, was cancelled or refused.

    Args:
        attachment: What.
        target: Where.
        error: Why; None when it was cancelled or has crashed.
        elapsed: Seconds.
        left: Why something may be left at the target, None if nothing is.
    """
    known = error if isinstance(error, UploadError) else None
    return Event(
        "codex.upload.exception",
        {"duration": elapsed, "attempts": 0 if known is None else known.attempts},
        {
            **_upload(attachment, target),
            "error": "Ended" if error is None else type(error).__name__,
            "reason": "it was cancelled or has crashed" if error is None else str(error),
            "step": None if known is None else known.step,
            "status": None if known is None else known.status,
            "can_retry": None if known is None else known.can_retry,
            "left": None if left is None else str(left),
        },
    )


def _upload(attachment: Attachment, target: str) -> dict[str, Any]:
    return {"checksum": attachment.checksum, "name": attachment.name, "target": target}


def rebuilt(aside: Path | None, settled: Settled) -> Event:
    """Files that the manifest did not know were adopted or quarantined; see `recovery`."""
    return Event(
        "codex.manifest.rebuilt",
        {"adopted": len(settled.adopted), "quarantined": len(settled.quarantined)},
        {
            "set_aside": None if aside is None else str(aside),
            "quarantined": [str(path) for path in settled.quarantined],
        },
    )


def _detached(handler: EventHandler, error: Exception) -> Event:
    name = getattr(handler, "__qualname__", type(handler).__qualname__)
    return Event(
        "codex.handler.detached",
        {"count": 1},
        {"handler": name, "error": type(error).__name__, "reason": str(error)},
    )
