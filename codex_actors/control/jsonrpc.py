"""Owns the form of messages on the wire: JSON-RPC 2.0, one document a line.

Invariant: `parse_line` never raises: what is no request becomes an `Invalid`, which is answered.
What is encoded is ASCII, without a newline but the last. Pure; must not know what is asked.
"""

import json
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CANCEL",
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "MAX_BATCH",
    "METHOD_NOT_FOUND",
    "NOTE",
    "PARSE_ERROR",
    "Batch",
    "Id",
    "Incoming",
    "Invalid",
    "call",
    "encode",
    "failure",
    "note",
    "parse_document",
    "parse_line",
    "success",
]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

MAX_BATCH = 64

# Notifications: from a server, about a request under way; to a server, to give one up.
NOTE = "note"
CANCEL = "$/cancel"

Id: TypeAlias = "str | int | float | None"
Document: TypeAlias = dict[str, Any]


@frozen
class Incoming:
    """A request.

    Attributes:
        method: Its name.
        params: As they were sent; None when they were not.
        id: What the answer is to carry.
        wants_answer: Whether it is no notification.
    """

    method: str
    params: Any
    id: Id
    wants_answer: bool


@frozen
class Invalid:
    """What is no request, and how to answer it.

    Attributes:
        code: Of JSON-RPC.
        message: What is wrong.
        id: Of the request, where that could be told.
    """

    code: int
    message: str
    id: Id = None


@frozen
class Batch:
    """Several at once, answered at once."""

    items: tuple[Incoming | Invalid, ...]


def parse_line(line: bytes) -> Incoming | Invalid | Batch:
    """Return what a client sent in one line."""
    try:
        data = parse_document(line)
    except ValueError as error:
        return Invalid(PARSE_ERROR, f"this is no JSON: {error}")
    if not isinstance(data, list):
        return _parse_item(data)
    items = tuple(cast("Iterable[object]", data))
    if not items:
        return Invalid(INVALID_REQUEST, "an empty batch asks for nothing")
    if len(items) > MAX_BATCH:
        return Invalid(INVALID_REQUEST, f"a batch has at most {MAX_BATCH} requests")
    return Batch(tuple(_parse_item(item) for item in items))


def parse_document(line: bytes) -> Any:
    """Return the JSON document that a line holds.

    Raises:
        ValueError: It holds none; also when it is nested too deeply, or has a number that is none.
    """
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _parse_item(data: Any) -> Incoming | Invalid:
    if not isinstance(data, dict):
        return Invalid(INVALID_REQUEST, "a request is an object")
    item = cast("Document", data)
    id_ = item.get("id")
    if isinstance(id_, bool) or not isinstance(id_, str | int | float | None):
        return Invalid(INVALID_REQUEST, "id: give a string or a number")
    if item.get("jsonrpc") != "2.0":
        return Invalid(INVALID_REQUEST, 'jsonrpc: give "2.0"', id_)
    method = item.get("method")
    if not isinstance(method, str):
        return Invalid(INVALID_REQUEST, "method: give a string", id_)
    params = item.get("params")
    if "params" in item and not isinstance(params, dict | list):
        return Invalid(INVALID_REQUEST, "params: give an object", id_)
    return Incoming(method, params, id_, "id" in item)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def call(id_: int | None, method: str, params: Document) -> Document:
    """Return a request, or with an id of None a notification."""
    document: Document = {"jsonrpc": "2.0", "method": method, "params": params}
    return document if id_ is None else {**document, "id": id_}


def success(id_: Id, result: object) -> Document:
    """Return the answer to a request."""
    return {"jsonrpc": "2.0", "id": id_, "result": result}


def failure(id_: Id, code: int, message: str, data: Document | None = None) -> Document:
    """Return the error that answers a request."""
    error: Document = {"code": code, "message": message}
    if data:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": id_, "error": error}


def note(id_: Id, params: Document) -> Document:
    """Return a notification about a request under way."""
    return {"jsonrpc": "2.0", "method": NOTE, "params": {**params, "id": id_}}


def encode(document: object) -> bytes:
    """Return a document as a line.

    Raises:
        ValueError: It has a number that JSON has not.
        TypeError: It is none.
    """
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
