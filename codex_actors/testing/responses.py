"""Owns the part of the Responses API that codex speaks: what it asks, and answers for it. Pure.

Invariant: a `ModelRequest` holds what arrived, unchanged; answers are what codex 0.163 takes as a
completed response. Must not know sockets.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from typing import TYPE_CHECKING, Any, cast

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "ModelRequest",
    "assistant_message",
    "response_object",
    "server_sent_events",
    "shell_command",
]

USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 18,
}


@frozen(kw_only=True)
class ModelRequest:
    """A request that the model server received.

    Attributes:
        method: As sent.
        path: As sent, without the query.
        headers: Names in lower case. The authorization header is among them, so not in the repr.
        body: The parsed JSON body, None when there was none.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(default=None, repr=False)

    def turn_parts(self) -> tuple[dict[str, Any], ...]:
        """Return the content parts of the last user message and of everything after it."""
        return tuple(_parts(self._turn_items()))

    def texts(self) -> tuple[str, ...]:
        """Return the text parts of the last turn, in order."""
        texts = (part.get("text") for part in self.turn_parts() if part.get("type") == "input_text")
        return tuple(text for text in texts if isinstance(text, str))

    def images(self) -> tuple[bytes, ...]:
        """Return the images of the last turn that came as data URLs, in order.

        Raises:
            ValueError: A data URL does not decode.
        """
        urls = (
            part.get("image_url") for part in self.turn_parts() if part.get("type") == "input_image"
        )
        return tuple(_data(url) for url in urls if isinstance(url, str) and url.startswith("data:"))

    def tool_outputs(self) -> tuple[Any, ...]:
        """Return what the tools answered that the model called in this turn, in order."""
        return tuple(
            item.get("output")
            for item in self._turn_items()
            if item.get("type") == "function_call_output"
        )

    def _turn_items(self) -> list[dict[str, Any]]:
        body: object = self.body
        fields = cast("dict[str, object]", body) if isinstance(body, dict) else {}
        items = _objects(fields.get("input"))
        users = [number for number, item in enumerate(items) if item.get("role") == "user"]
        return items[users[-1] :] if users else items


def assistant_message(text: str) -> dict[str, Any]:
    """Return an output item: the model says `text`, which ends the turn."""
    return {
        "type": "message",
        "role": "assistant",
        "id": f"msg_{uuid.uuid4().hex}",
        "content": [{"type": "output_text", "text": text}],
    }


def shell_command(command: str, *, wait: float = 10.0) -> dict[str, Any]:
    """Return an output item: the model asks codex to run a shell command, up to `wait` seconds.

    Not in a login shell: what a user's profile does is not the test's affair.
    """
    return {
        "type": "function_call",
        "id": f"fc_{uuid.uuid4().hex}",
        "call_id": f"call_{uuid.uuid4().hex}",
        "name": "exec_command",
        "arguments": json.dumps(
            {"cmd": command, "login": False, "yield_time_ms": round(wait * 1000)}
        ),
    }


def response_object(items: Sequence[Mapping[str, Any]], model: str) -> dict[str, Any]:
    """Return the completed response that holds the output items."""
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "status": "completed",
        "model": model,
        "output": list(items),
        "usage": USAGE,
    }


def server_sent_events(completed: Mapping[str, Any]) -> bytes:
    """Return the event stream that leads to the completed response."""
    created: dict[str, Any] = {**completed, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": created}]
    events += [
        {"type": "response.output_item.done", "output_index": number, "item": item}
        for number, item in enumerate(completed["output"])
    ]
    events.append({"type": "response.completed", "response": completed})
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


def _objects(value: object) -> list[dict[str, Any]]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def _parts(items: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        yield from _objects(item.get("content"))
        # A tool that shows an image answers with parts too.
        yield from _objects(item.get("output"))


def _data(url: str) -> bytes:
    head, comma, text = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise ValueError(f"no base64 data URL: {url[:60]!r}")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the data URL {url[:60]!r} does not decode: {error}") from error
