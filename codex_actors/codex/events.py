"""Owns the events of a turn as values, and reading one from a line of `codex exec --json`.

Invariant: a line that codex prints becomes exactly one event; kinds that are not known yet become
`UnknownEvent`, for codex adds some with every release; anything else is `NotAnEvent`. Must not know
processes or streams.
"""

from __future__ import annotations

import json
from typing import Any, cast

from attrs import asdict, field, fields_dict, frozen

__all__ = [
    "AttachmentNotRecorded",
    "ErrorReported",
    "Event",
    "Item",
    "ItemCompleted",
    "ItemStarted",
    "ItemUpdated",
    "NotAnEvent",
    "ThreadStarted",
    "TurnCompleted",
    "TurnFailed",
    "TurnStarted",
    "UnknownEvent",
    "Usage",
    "event_to_dict",
    "parse_event",
]


class NotAnEvent(ValueError):
    """A line is not what `codex exec --json` prints."""


@frozen(kw_only=True)
class Usage:
    """Tokens that the turn took, as the model provider counted them."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0


@frozen(kw_only=True)
class Item:
    """Something that happened in a turn: a message, a command, a change of a file, a warning.

    Attributes:
        id: Unique in the turn.
        type: `agent_message`, `command_execution`, `file_change`, `error`, ...
        text: What it says, for the types that say something.
        data: The whole item as codex printed it.
    """

    id: str
    type: str
    text: str
    data: dict[str, Any] = field(repr=False)


@frozen
class ThreadStarted:
    """The thread exists; `thread_id` resumes it unless it is ephemeral."""

    thread_id: str


@frozen
class TurnStarted:
    """The turn was taken up."""


@frozen
class ItemStarted:
    """An item began."""

    item: Item


@frozen
class ItemUpdated:
    """An item changed while under way."""

    item: Item


@frozen
class ItemCompleted:
    """An item is final. One of type `error` is a warning: the turn goes on."""

    item: Item


@frozen
class ErrorReported:
    """Codex met an error; it may be trying again, for example to reach the model."""

    message: str


@frozen
class AttachmentNotRecorded:
    """An attachment reached the model, but its record with the thread could not be made.

    Only turns of the app-server have it. The record is tried again with the thread's next turn.
    """

    name: str
    reason: str


@frozen
class TurnCompleted:
    """The turn ended well."""

    usage: Usage


@frozen
class TurnFailed:
    """The turn ended badly."""

    message: str


@frozen
class UnknownEvent:
    """An event of a kind that this version does not know."""

    type: str
    data: dict[str, Any] = field(repr=False)


Event = (
    ThreadStarted
    | TurnStarted
    | ItemStarted
    | ItemUpdated
    | ItemCompleted
    | ErrorReported
    | AttachmentNotRecorded
    | TurnCompleted
    | TurnFailed
    | UnknownEvent
)

_ITEM_EVENTS: dict[str, type[ItemStarted | ItemUpdated | ItemCompleted]] = {
    "item.started": ItemStarted,
    "item.updated": ItemUpdated,
    "item.completed": ItemCompleted,
}
_ITEM_TYPES: dict[type[Event], str] = {kind: name for name, kind in _ITEM_EVENTS.items()}
_KNOWN = frozenset(
    {"thread.started", "turn.started", "turn.completed", "turn.failed", "error", *_ITEM_EVENTS}
)


def parse_event(line: bytes) -> Event:
    """Read one event from the line that holds it.

    Raises:
        NotAnEvent: The line is not a JSON object with a `type`, or lacks what its type must have.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotAnEvent(f"no JSON: {error}") from None
    match data:
        case {"type": str(kind)}:
            event = _known_event(kind, cast("dict[str, Any]", data))
        case _:
            raise NotAnEvent('not a JSON object with a "type"')
    if event is not None:
        return event
    if kind in _KNOWN:
        raise NotAnEvent(f"a {kind} event without the members that belong to it")
    return UnknownEvent(kind, cast("dict[str, Any]", data))


def event_to_dict(event: Event) -> dict[str, Any]:
    """Return an event as JSON-ready data, in the form that `codex exec --json` prints.

    Of the usage only the counters that are known are left. What codex does not print has a type
    that begins with `codex_actors.`.
    """
    document: dict[str, Any]
    match event:
        case ThreadStarted(thread_id):
            document = {"type": "thread.started", "thread_id": thread_id}
        case TurnStarted():
            document = {"type": "turn.started"}
        case TurnCompleted(usage):
            document = {"type": "turn.completed", "usage": asdict(usage)}
        case TurnFailed(message):
            document = {"type": "turn.failed", "error": {"message": message}}
        case ErrorReported(message):
            document = {"type": "error", "message": message}
        case ItemStarted(item) | ItemUpdated(item) | ItemCompleted(item):
            document = {"type": _ITEM_TYPES[type(event)], "item": item.data}
        case AttachmentNotRecorded():
            document = {"type": "codex_actors.attachment_not_recorded", **asdict(event)}
        case UnknownEvent():
            document = event.data
    return document


def _known_event(kind: str, data: dict[str, Any]) -> Event | None:
    """Read an event of a known kind, None when it is not of one or not complete."""
    event: Event | None = None
    match kind, data:
        case "thread.started", {"thread_id": str(thread_id)}:
            event = ThreadStarted(thread_id)
        case "turn.started", _:
            event = TurnStarted()
        case "turn.completed", _:
            event = TurnCompleted(_usage(data.get("usage")))
        case "turn.failed", {"error": {"message": str(message)}}:
            event = TurnFailed(message)
        case "error", {"message": str(message)}:
            event = ErrorReported(message)
        case _, {"item": {"id": str(id_), "type": str(type_)}} if kind in _ITEM_EVENTS:
            event = _ITEM_EVENTS[kind](_item(id_, type_, data["item"]))
        case _:
            pass
    return event


def _item(id_: str, type_: str, data: dict[str, Any]) -> Item:
    text = data.get("text", data.get("message", ""))
    return Item(id=id_, type=type_, text=text if isinstance(text, str) else "", data=data)


def _usage(data: object) -> Usage:
    """Take what is known of the usage: codex adds counters with every release."""
    if not isinstance(data, dict):
        return Usage()
    counts = cast("dict[str, object]", data)
    known = {name: counts.get(name) for name in fields_dict(Usage)}
    return Usage(**{name: value for name, value in known.items() if isinstance(value, int)})
