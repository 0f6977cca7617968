"""Owns which parameters each method of the app-server takes, and codex's words for wrong ones.

Invariant: a request that passes has every member that its method needs, each of its kind; members
that are not known are let through, as codex does. Pure.
"""

from __future__ import annotations

import json
from typing import Any, cast

__all__ = ["METHODS", "InvalidRequest", "check_request"]

_SANDBOX = ("read-only", "workspace-write", "danger-full-access")
_DETAIL = ("auto", "low", "high", "original")
_NAMED = {"name": "string", "path": "string"}
_INPUT: dict[str, dict[str, Any]] = {
    "text": {"text": "string"},
    "image": {"url": "string?", "fileId": "string?", "detail": _DETAIL},
    "localImage": {"path": "string", "detail": _DETAIL},
    "audio": {"url": "string"},
    "localAudio": {"path": "string"},
    "skill": _NAMED,
    "mention": _NAMED,
}
_THREAD = {"cwd": "string?", "model": "string?", "sandbox": _SANDBOX, "config": "map?"}
_IDENTITY = {"attachmentType": "string", "identityKey": "string"}
_PAGE = {"cursor": "string?", "limit": "u32?"}

# A kind ends in "?" when the member may be missing or null; a tuple is a choice of such.
METHODS: dict[str, dict[str, Any]] = {
    "initialize": {"clientInfo": "map", "capabilities": "map?"},
    "thread/start": {**_THREAD, "ephemeral": "boolean?"},
    "thread/resume": {"threadId": "string", **_THREAD, "excludeTurns": "boolean?"},
    "thread/fork": {"threadId": "string", **_THREAD, "excludeTurns": "boolean?"},
    "thread/archive": {"threadId": "string"},
    "turn/start": {"threadId": "string", "input": "input"},
    "turn/interrupt": {"threadId": "string", "turnId": "string"},
    "thread/attachment/add": {"threadId": "string", **_IDENTITY, "payload": "any"},
    "thread/attachment/list": {"threadId": "string", **_PAGE},
    "thread/attachment/remove": {"threadId": "string", **_IDENTITY},
    "thread/attachmentOwner/list": {**_IDENTITY, "archived": "boolean?", **_PAGE},
}
_KINDS: dict[str, tuple[type, str]] = {
    "string": (str, "a string"),
    "boolean": (bool, "a boolean"),
    "map": (dict, "a map"),
    "u32": (int, "u32"),
}


class InvalidRequest(Exception):
    """A request that codex does not understand; the message is codex's."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Invalid request: {message}")


def check_request(method: str, params: object) -> dict[str, Any]:
    """Return the parameters of a request.

    Raises:
        InvalidRequest: The method is not known, or its parameters are not what it takes.
    """
    if method not in METHODS:
        raise InvalidRequest(_variant(method, tuple(METHODS)))
    if params is None:
        raise InvalidRequest("missing field `params`")
    return _check_members(params, METHODS[method], "a map")


def _check_members(value: object, members: dict[str, Any], expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"invalid type: {_described(value)}, expected {expected}")
    given = cast("dict[str, Any]", value)
    for name, member in given.items():
        if name in members:
            _check(member, members[name])
    for name, kind in members.items():
        if name not in given and isinstance(kind, str) and not kind.endswith("?"):
            raise InvalidRequest(f"missing field `{name}`")
    return given


def _check(value: object, kind: str | tuple[str, ...]) -> None:
    if isinstance(kind, tuple):
        if value is not None and value not in kind:
            raise InvalidRequest(_variant(str(value), kind))
    elif kind == "input":
        _check_input(value)
    elif kind != "any" and not (kind.endswith("?") and value is None):
        class_, expected = _KINDS[kind.removesuffix("?")]
        if not isinstance(value, class_) or (class_ is int and isinstance(value, bool)):
            raise InvalidRequest(f"invalid type: {_described(value)}, expected {expected}")
        if isinstance(value, int) and class_ is int and not 0 <= value < 2**32:
            raise InvalidRequest(f"invalid value: integer `{value}`, expected {expected}")


def _check_input(value: object) -> None:
    if not isinstance(value, list):
        raise InvalidRequest(f"invalid type: {_described(value)}, expected a sequence")
    for item in cast("list[object]", value):
        given = _check_members(item, {"type": "string"}, "internally tagged enum UserInput")
        kind = given["type"]
        if kind not in _INPUT:
            raise InvalidRequest(_variant(kind, tuple(_INPUT)))
        _check_members(given, _INPUT[kind], "a map")
        if kind == "image" and given.get("url") is None and given.get("fileId") is None:
            raise InvalidRequest("data did not match any variant of untagged enum ImageReference")


def _variant(found: str, known: tuple[str, ...]) -> str:
    return f"unknown variant `{found}`, expected one of " + ", ".join(f"`{k}`" for k in known)


def _described(value: object) -> str:
    """Name a value as codex does."""
    names: dict[type, str] = {
        type(None): "null",
        bool: f"boolean `{json.dumps(value)}`",
        int: f"integer `{value}`",
        float: f"floating point `{value}`",
        str: f"string {json.dumps(value, ensure_ascii=False)}",
        list: "sequence",
    }
    return names.get(type(value), "map")
