"""Owns the events of the file layer and the list of those who listen.

Invariant: an event is data, delivered synchronously in the order of what happened; a handler that
raises is detached and never breaks a staging. Must not know any logging or metrics library.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from codex_actors.files.index.recovery import Settled
from codex_actors.files.model import Attachment, CleanupReport

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
        return " ".join([self.name, *(f"{key}={value!r}" for key, value in pairs.items())])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "event": self.name,
            "measurements": dict(self.measurements),
            "metadata": dict(self.metadata),
        }


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
    data = attachment.to_dict()
    return Event(
        "codex.attachment.staged",
        {"size_bytes": attachment.size},
        {
            "cached?": cached,
            "checksum": attachment.checksum,
            "name": attachment.name,
            "persist?": attachment.persist,
            "ttl_ms": data["ttl_ms"],
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
            "ttl_ms": attachment.to_dict()["ttl_ms"],
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
