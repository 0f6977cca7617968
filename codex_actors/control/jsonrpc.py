"""Owns the form of messages on the wire: JSON-RPC 2.0, one document a line.

Invariant: `parse_line` never raises: what is no request becomes an `Invalid`, which is answered.
What is encoded is ASCII, without a newline but the last; text that is no Unicode (file names may
hold such) survives as the escapes of lone surrogates. Pure; must not know what is asked.
"""

import json
import math
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CANCEL",
    "INTERNAL_ERROR",
    "INVALID_REQUEST",
    "MAX_ANSWER",
    "MAX_BATCH",
    "MAX_REQUEST",
    "NOTE",
    "PARSE_ERROR",
    "Batch",
    "Failure",
    "Id",
    "Incoming",
    "Invalid",
    "Note",
    "Result",
    "call",
    "encode",
    "failure",
    "note",
    "parse_answer",
    "parse_line",
    "success",
]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INTERNAL_ERROR = -32603

MAX_BATCH = 64
MAX_REQUEST = 2**20
"""Bytes of a line that a supervisor reads."""
MAX_ANSWER = 64 * 2**20
"""Bytes of a line that a client reads."""

# Notifications: from a server, about a request under way; to a server, to give one up.
NOTE = "note"
CANCEL = "$/cancel"

Id: TypeAlias = "str | int | None"
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
    params: Any = field(repr=False)
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


@frozen
class Result:
    """What a request came to."""

    id: Id
    value: Any = field(repr=False)


@frozen
class Failure:
    """Why a request failed; or, with an id of None, the whole connection."""

    id: Id
    code: int
    message: str
    data: Document


@frozen
class Note:
    """What is told about a request under way."""

    id: Id
    params: Document = field(repr=False)


def parse_line(line: bytes) -> Incoming | Invalid | Batch:
    """Return what a client sent in one line."""
    try:
        data = _parse_document(line)
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


def parse_answer(line: bytes) -> Result | Failure | Note | None:
    """Return what a server sent in one line, None for a notification that nobody knows.

    Raises:
        ValueError: It is nothing that a server says.
    """
    match _parse_document(line):
        case {"jsonrpc": "2.0", "id": str() | int() | None as id_, "result": value}:
            return Result(id_, value)
        case {
            "jsonrpc": "2.0",
            "id": str() | int() | None as id_,
            "error": {"code": int(code), "message": str(message), **more},
        }:
            data: Any = more.get("data")
            known = cast("Document", data) if isinstance(data, dict) else {}
            return Failure(id_, code, message, known)
        case {"jsonrpc": "2.0", "method": "note", "params": {"id": str() | int() as id_, **params}}:
            return Note(id_, cast("Document", params))
        case {"jsonrpc": "2.0", "method": str()}:
            return None
        case _:
            raise ValueError("it is no answer of JSON-RPC 2.0")


def _parse_document(line: bytes) -> Any:
    """Return the JSON document that a line holds.

    Raises:
        ValueError: It holds none; also when it is nested too deeply, or has a number that is none.
    """
    try:
        # Decoded here: json would guess at UTF-16 and UTF-32.
        return json.loads(line.decode(), parse_constant=_refuse, parse_float=_parse_float)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _parse_item(data: Any) -> Incoming | Invalid:
    if not isinstance(data, dict):
        return Invalid(INVALID_REQUEST, "a request is an object")
    item = cast("Document", data)
    id_ = item.get("id")
    # Numbers with a fraction would not come back as they were written.
    if isinstance(id_, bool) or not isinstance(id_, str | int | None):
        return Invalid(INVALID_REQUEST, "id: give a string or a whole number")
    if item.get("jsonrpc") != "2.0":
        return Invalid(INVALID_REQUEST, 'jsonrpc: give "2.0"', id_)
    method = item.get("method")
    if not isinstance(method, str):
        return Invalid(INVALID_REQUEST, "method: give a string", id_)
    params = item.get("params")
    if "params" in item and not isinstance(params, dict | list):
        return Invalid(INVALID_REQUEST, "params: give an object", id_)
    return Incoming(method, params, id_, "id" in item)


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def _parse_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("it has a number that is too large")
    return number


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
    """Return a notification about a request under way; its `id` replaces one in `params`."""
    return {"jsonrpc": "2.0", "method": NOTE, "params": {**params, "id": id_}}


def encode(document: object) -> bytes:
    """Return a document as a line.

    Raises:
        ValueError: It has a number that JSON has not, contains itself, or is nested too deeply.
        TypeError: It is none.
    """
    try:
        text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return text.encode("ascii") + b"\n"
