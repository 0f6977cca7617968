"""Owns what a client may ask of a supervisor process: frozen classes, and their form on the wire.

Invariant: `parse_request(request.method, request.to_params())` equals the request; anything else
raises `InvalidParams`, which names the field. Pure; must not know sockets, trees or files.
"""

from typing import Any, cast

from codex_actors.control.errors import InvalidParams, UnknownMethod
from codex_actors.control.messages.base import Request, structure
from codex_actors.control.messages.files import (
    Cleanup,
    Exec,
    ListStaged,
    Metrics,
    Remove,
    Reset,
    Show,
    Stage,
    TargetChoice,
    Upload,
    Verify,
)
from codex_actors.control.messages.process import (
    Cancel,
    Drain,
    Dump,
    Events,
    Hello,
    Shutdown,
    Status,
)
from codex_actors.control.messages.tree import (
    RestartChild,
    StartChild,
    StopChild,
    Tree,
)

__all__ = [
    "REQUESTS",
    "Cancel",
    "Cleanup",
    "Drain",
    "Dump",
    "Events",
    "Exec",
    "Hello",
    "ListStaged",
    "Metrics",
    "Remove",
    "Request",
    "Reset",
    "RestartChild",
    "Show",
    "Shutdown",
    "Stage",
    "StartChild",
    "Status",
    "StopChild",
    "TargetChoice",
    "Tree",
    "Upload",
    "Verify",
    "methods",
    "parse_request",
]


REQUESTS: dict[str, type[Request]] = {
    kind.method: kind
    for kind in (
        *(Hello, Status, Drain, Shutdown, Events, Cancel, Dump),
        *(Tree, RestartChild, StopChild, StartChild),
        *(Stage, ListStaged, Show, Upload, Exec, Remove, Cleanup, Verify, Reset, Metrics),
    )
}


def methods() -> tuple[str, ...]:
    """Return the names of all requests."""
    return tuple(REQUESTS)


def parse_request(method: str, params: object) -> Request:
    """Return the request that a client sent.

    Args:
        method: Its name.
        params: Its parameters by name; None for none.

    Raises:
        UnknownMethod: There is none of that name.
        InvalidParams: They do not fit; the message names the field.
    """
    kind = REQUESTS.get(method)
    if kind is None:
        raise UnknownMethod(f"there is no method {method!r}")
    if params is not None and not isinstance(params, dict):
        raise InvalidParams("params: give an object: parameters have names here")
    return structure(cast("dict[str, Any]", params or {}), kind)
