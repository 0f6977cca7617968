"""Owns what may be asked of the supervision tree. A path is ids joined by "/", as `ps` shows it."""

from attrs import frozen

from codex_actors.control.messages.base import Request

__all__ = [
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
class RestartChild(Request):
    """Stop a child and start it again, at its place in the order.

    Attributes:
        path: The child.
    """

    method = "tree.restart"
    path: str


@frozen(kw_only=True)
class StopChild(Request):
    """Stop a child; its spec is kept.

    Attributes:
        path: The child.
    """

    method = "tree.stop"
    path: str


@frozen(kw_only=True)
class StartChild(Request):
    """Start a child that was stopped.

    Attributes:
        path: The child.
    """

    method = "tree.start"
    path: str
