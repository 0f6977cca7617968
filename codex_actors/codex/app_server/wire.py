"""Owns the messages of the app-server: JSON-RPC that does not say so, one object a line. Pure.

Invariant: a line is exactly one message, or noise (text that no message begins with, as a library
prints it), or damage: what begins like a message and is none. After damage nobody knows what was
lost, perhaps an answer that is waited for. Must not know methods.
"""

from __future__ import annotations

import json
from typing import Any, cast

from attrs import field, frozen

__all__ = [
    "Damaged",
    "Failure",
    "Noise",
    "Notification",
    "Received",
    "Result",
    "ServerRequest",
    "encode",
    "parse_line",
]


class Damaged(ValueError):
    """A line begins like a message and is none."""


@frozen
class Result:
    """The answer to a request of ours."""

    id: int
    value: Any = field(repr=False)


@frozen
class Failure:
    """The refusal of a request of ours."""

    id: int
    code: int
    message: str


@frozen
class Notification:
    """What codex tells unasked."""

    method: str
    params: dict[str, Any] = field(repr=False)


@frozen
class ServerRequest:
    """What codex asks, and waits for. Its ids are its own: numbers or text."""

    id: int | str
    method: str
    params: dict[str, Any] = field(repr=False)


@frozen
class Noise:
    """No message at all."""

    line: bytes = field(repr=False)


Received = Result | Failure | Notification | ServerRequest | Noise


def encode(message: dict[str, Any]) -> bytes:
    """Return the line that says it.

    Raises:
        ValueError: It holds a number or text that JSON or UTF-8 has no form for.
    """
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parse_line(line: bytes) -> Received:
    """Read a line.

    Raises:
        Damaged: It began like a message.
    """
    text = line.strip()
    if not text.startswith(b"{"):
        return Noise(line)
    try:
        message = cast("dict[str, Any]", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"it is no JSON: {error}") from None
    match message:
        case {"method": str(method), "id": int() | str() as id_}:
            return ServerRequest(id_, method, _params(message))
        case {"method": str(method)}:
            return Notification(method, _params(message))
        case {"id": int(id_), "error": {"code": int(code), "message": str(text_)}}:
            return Failure(id_, code, text_)
        case {"id": int(id_), "result": value}:
            return Result(id_, value)
        case _:
            raise Damaged("it is neither a request, nor a notification, nor an answer")


def _params(message: dict[str, Any]) -> dict[str, Any]:
    params = message.get("params")
    return cast("dict[str, Any]", params) if isinstance(params, dict) else {}
