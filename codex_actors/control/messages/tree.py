"""Owns what may be asked of the supervision tree. A path is ids joined by "/", as `ps` shows it."""

from attrs import frozen

from codex_actors.control.messages.base import Request

__all__ = [
    "ChildRequest",
    "RestartChild",
    "StartChild",
    "StopChild",
    "Tree",
]


@frozen(kw_only=True)
class Tree(Request):
    """A snapshot of an actor and all below it.

    Attributes:
        path: The actor; None for the root.
    """

    method = "tree.snapshot"
    path: str | None = None


@frozen(kw_only=True)
class ChildRequest(Request):
    """The base of requests about one child.

    Attributes:
        path: The child.
    """

    path: str


@frozen(kw_only=True)
class RestartChild(ChildRequest):
    """Stop a child and start it again, at its place in the order."""

    method = "tree.restart"


@frozen(kw_only=True)
class StopChild(ChildRequest):
    """Stop a child; its spec is kept."""

    method = "tree.stop"


@frozen(kw_only=True)
class StartChild(ChildRequest):
    """Start a child that was stopped."""

    method = "tree.start"
