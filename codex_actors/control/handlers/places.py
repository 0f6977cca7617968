"""Owns how a path, as clients write it, names a place in the tree.

Invariant: what is not there is `NotFound`, which names the nearest that is; the root has its name,
the empty path and "/", unless a child is called so. Must not know what is done there.
"""

import difflib
from collections.abc import Iterator

from attrs import frozen

from codex_actors import ActorRef, DynamicSupervisor, Snapshot, Supervisor
from codex_actors.control.errors import NotFound, RequestFailed
from codex_actors.control.service import Service

__all__ = ["Child", "child_at", "every", "snapshot_at"]

# Comparing names costs time on the event loop.
COMPARED = 2_000


@frozen
class Child:
    """A place and who supervises it.

    Attributes:
        path: The place.
        name: What its supervisor calls it.
        parent: Its supervisor.
        ref: Its ref.
    """

    path: str
    name: str
    parent: Supervisor | DynamicSupervisor
    ref: ActorRef


def snapshot_at(service: Service, path: str | None) -> Snapshot:
    """Return a picture of an actor and all below it.

    Raises:
        NotFound: There is no such actor.
        Starting, Leaving: There is no tree yet, or none any more.
    """
    root = service.supervisor.snapshot()
    if path is None or _is_root(service, root, path):
        return root
    found = root
    for name in path.split("/"):
        below = {child.path.rpartition("/")[2]: child for child in found.children}
        if name not in below:
            raise _missing(root, path)
        found = below[name]
    return found


def child_at(service: Service, path: str) -> Child:
    """Return a place that has a supervisor.

    Raises:
        NotFound: There is no such actor.
        RequestFailed: It is the root, which has none.
        Starting, Leaving: There is no tree yet, or none any more.
    """
    parent = service.supervisor
    root = parent.snapshot()
    if _is_root(service, root, path):
        raise RequestFailed(
            f"{service.root} is the root of the tree, and has no supervisor: `drain` or"
            " `shutdown` end it",
            kind="IsRoot",
        )
    *above, name = path.split("/")
    try:
        for each in above:
            parent = parent.subtree(each)
        return Child(path, name, parent, parent[name])
    except (KeyError, TypeError):
        raise _missing(root, path) from None


def every(snapshot: Snapshot) -> Iterator[Snapshot]:
    """Give an actor and all below it, each before its children."""
    yield snapshot
    for child in snapshot.children:
        yield from every(child)


def _is_root(service: Service, root: Snapshot, path: str) -> bool:
    names = {child.path for child in root.children}
    return path in {"", "/", service.root} and path not in names


def _missing(root: Snapshot, path: str) -> NotFound:
    known = [each.path for each in every(root) if each.path]
    last = path.rpartition("/")[2]
    # Whoever leaves out what is above it means the one of that name, if there is one.
    named = [each for each in known if each.rpartition("/")[2] == last]
    close = named if len(named) == 1 else difflib.get_close_matches(path, known[:COMPARED], n=1)
    hint = f", did you mean {close[0]}?" if close else ": see `ps`"
    return NotFound(f"there is no actor {path!r}{hint}")
