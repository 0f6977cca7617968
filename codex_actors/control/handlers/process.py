"""Owns the requests about the process: who it is, what it does, what has happened, how it ends."""

import itertools
from collections import Counter
from typing import Any

import trio

from codex_actors import Snapshot
from codex_actors.control import messages
from codex_actors.control.errors import Leaving, NotRunning, Starting
from codex_actors.control.handlers.places import every, snapshot_at
from codex_actors.control.history import matches
from codex_actors.control.messages import methods
from codex_actors.control.service import Departure, Service
from codex_actors.control.session import Notify
from codex_actors.control.stacks import stacks

__all__ = ["cancel", "drain", "dump", "events", "hello", "shutdown", "status"]


async def hello(service: Service, _request: messages.Hello, _notify: Notify) -> dict[str, Any]:
    """Say who is there; answered in any state."""
    return {**_who(service), "methods": list(methods())}


async def status(service: Service, _request: messages.Status, _notify: Notify) -> dict[str, Any]:
    """Say how it is; answered in any state."""
    operations = service.operations
    return {
        **_who(service),
        "uptime": round(trio.current_time() - service.begun, 3),
        "actors": _counts(_tree(service)),
        "events": service.history.seen,
        "leaving": None if service.departure is None else service.departure.report(),
        "operations": [operation.to_dict() for operation in operations.running()],
        "ended": [operation.to_dict() for operation in operations.ended()],
    }


async def drain(service: Service, request: messages.Drain, _notify: Notify) -> dict[str, Any]:
    """Begin to drain; the answer does not wait for the end."""
    _departure(service).drain(request.timeout)
    return {"state": service.state, "operations": len(service.operations)}


async def shutdown(service: Service, request: messages.Shutdown, _notify: Notify) -> dict[str, Any]:
    """Begin to end; the answer does not wait for that."""
    departure = _departure(service)
    if request.now:
        departure.cancel()
    else:
        departure.shutdown()
    return {"state": service.state, "operations": len(service.operations)}


async def events(service: Service, request: messages.Events, notify: Notify) -> dict[str, Any]:
    """Tell what has happened; following, until the client has enough or the tree has ended."""
    history = service.history
    records = history.records(
        last=request.last, after=request.after, kinds=request.kinds, path=request.path
    )
    if not request.follow:
        return {"events": records}

    def tell(record: dict[str, Any]) -> None:
        if matches(record, request.kinds, request.path):
            notify(record)

    for record in records:
        notify(record)
    unfollow = history.follow(tell)
    try:
        await service.closed.wait()
    finally:
        unfollow()
    return {"events": [], "state": service.parting}


async def cancel(service: Service, request: messages.Cancel, _notify: Notify) -> dict[str, Any]:
    """Give an operation up; the answer does not wait for its end."""
    return {"operation": service.operations.cancel(request.operation).to_dict()}


async def dump(service: Service, request: messages.Dump, _notify: Notify) -> dict[str, Any]:
    """Say where the tasks stand; all of them also when there is no tree."""
    root = trio.lowlevel.current_root_task()
    if root is None:
        raise AssertionError("this is a task of it")
    path = None if request.path is None else snapshot_at(service, request.path).path
    tree = _tree(service)
    actors = () if tree is None else (actor.path for actor in every(tree) if actor.path)
    tasks = await stacks(root, {actor: place for place, actor in enumerate(actors)})
    return {"path": path, "tasks": tasks if not path else _of(path, tasks)}


def _of(path: str, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The task of an actor and those below it, which follow it; none when it has no task."""
    is_after = itertools.dropwhile(lambda task: task["actor"] != path, tasks)
    first = next(is_after, None)
    if first is None:
        return []
    return [first, *itertools.takewhile(lambda task: task["depth"] > first["depth"], is_after)]


def _who(service: Service) -> dict[str, Any]:
    staging_dir, socket = service.staging_dir, service.socket
    return {
        "version": service.version,
        "pid": service.pid,
        "state": service.state,
        "trees": list(service.trees),
        "root": service.root,
        "staging_dir": None if staging_dir is None else str(staging_dir),
        "socket": None if socket is None else str(socket),
    }


def _tree(service: Service) -> Snapshot | None:
    """The tree, if there is one now."""
    try:
        return service.supervisor.snapshot()
    except (Starting, Leaving):
        return None


def _counts(tree: Snapshot | None) -> dict[str, Any] | None:
    if tree is None:
        return None
    actors = tuple(every(tree))
    return {
        "total": len(actors),
        "supervisors": sum(actor.kind == "supervisor" for actor in actors),
        "restarts": sum(actor.restarts for actor in actors),
        "states": dict(Counter(actor.state for actor in actors)),
    }


def _departure(service: Service) -> Departure:
    if service.departure is None:
        raise NotRunning("there is no supervisor process to end: this one ends with its work")
    return service.departure
