"""Owns the requests about the process: who it is, what it does, what has happened, how it ends."""

from importlib.metadata import version
from typing import Any

import trio

from codex_actors.control import messages
from codex_actors.control.errors import NotRunning
from codex_actors.control.history import matches
from codex_actors.control.messages import methods
from codex_actors.control.service import Departure, Notify, Service

__all__ = ["cancel", "drain", "events", "hello", "shutdown", "status"]


async def hello(service: Service, _request: messages.Hello, _notify: Notify) -> dict[str, Any]:
    """Say who is there; answered in any state."""
    return {**_who(service), "methods": list(methods())}


async def status(service: Service, _request: messages.Status, _notify: Notify) -> dict[str, Any]:
    """Say how it is; answered in any state."""
    operations = service.operations
    return {
        **_who(service),
        "uptime": round(trio.current_time() - service.begun, 3),
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
    """Tell what has happened; following, until the client has enough."""
    history = service.history
    records = history.records(last=request.last, after=request.after, kinds=request.kinds)
    if not request.follow:
        return {"events": records}

    def tell(record: dict[str, Any]) -> None:
        if matches(record["kind"], request.kinds):
            notify(record)

    for record in records:
        notify(record)
    unfollow = history.follow(tell)
    try:
        await trio.sleep_forever()
    finally:
        unfollow()
    raise AssertionError("nothing wakes it")


async def cancel(service: Service, request: messages.Cancel, _notify: Notify) -> dict[str, Any]:
    """Give an operation up; the answer does not wait for its end."""
    return service.operations.cancel(request.operation).to_dict()


def _who(service: Service) -> dict[str, Any]:
    staging_dir, socket = service.staging_dir, service.socket
    return {
        "version": version("codex-actors"),
        "pid": service.pid,
        "state": service.state,
        "trees": list(service.trees),
        "staging_dir": None if staging_dir is None else str(staging_dir),
        "socket": None if socket is None else str(socket),
    }


def _departure(service: Service) -> Departure:
    if service.departure is None:
        raise NotRunning("there is no supervisor process to end: this one ends with its work")
    return service.departure
