"""Owns the requests about the supervision tree: how it stands, and the administration of it.

Invariant: what was begun is carried to its end, also when the client goes in the middle: between
its stop and its start a restarted child would stay away.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from codex_actors import ChildRestarting, ChildRunning, DynamicSupervisor, Restart
from codex_actors.control import messages
from codex_actors.control.errors import Leaving, NotFound, RequestFailed
from codex_actors.control.handlers.places import Child, child_at, snapshot_at
from codex_actors.control.service import Service
from codex_actors.control.session import Notify

__all__ = ["restart", "snapshot", "start", "stop"]


async def snapshot(service: Service, request: messages.Tree, _notify: Notify) -> dict[str, Any]:
    """Return a picture of an actor and all below it."""
    return {"root": service.root, "tree": snapshot_at(service, request.path).to_dict()}


async def stop(service: Service, request: messages.StopChild, _notify: Notify) -> dict[str, Any]:
    """Stop a child; answered when it is gone. One that is stopped stays so."""
    return await _administer(service, "stop", request.path, _terminate)


async def start(service: Service, request: messages.StartChild, _notify: Notify) -> dict[str, Any]:
    """Start a child that was stopped; answered when its start is acknowledged."""
    return await _administer(service, "start", request.path, _start)


async def restart(
    service: Service, request: messages.RestartChild, _notify: Notify
) -> dict[str, Any]:
    """Stop a child and start it again; one that was stopped is started."""
    return await _administer(service, "restart", request.path, _restart)


async def _terminate(child: Child) -> None:
    if isinstance(child.parent, DynamicSupervisor):
        await child.parent.terminate_child(child.ref)
    else:
        await child.parent.terminate_child(child.name)


async def _start(child: Child) -> None:
    if isinstance(child.parent, DynamicSupervisor):
        raise _come_and_go(child, "started")
    try:
        await child.parent.restart_child(child.name)
    except ChildRunning:
        raise RequestFailed(
            f"{child.path} is running: `restart` stops it and starts it again", kind="ChildRunning"
        ) from None
    except ChildRestarting:
        raise RequestFailed(
            f"{child.path} is being restarted already: `restart` does not wait for its turn",
            kind="ChildRestarting",
        ) from None


async def _restart(child: Child) -> None:
    if isinstance(child.parent, DynamicSupervisor):
        raise _come_and_go(child, "restarted")
    for info in child.parent.which_children():
        if info.id == child.name and info.restart is Restart.TEMPORARY:
            raise RequestFailed(
                f"{child.path} is temporary: stopped, it is forgotten, and cannot be started again",
                kind="NotRestartable",
            )
    await child.parent.terminate_child(child.name)
    await _start(child)


def _come_and_go(child: Child, what: str) -> RequestFailed:
    return RequestFailed(
        f"{child.path} cannot be {what}: its supervisor is dynamic, and forgets a child that has"
        " stopped; whoever started it can start another",
        kind="NotRestartable",
    )


async def _administer(
    service: Service, what: str, path: str, step: Callable[[Child], Awaitable[None]]
) -> dict[str, Any]:
    child = child_at(service, path)
    before = snapshot_at(service, path)

    async def work() -> None:
        with service.operations.admit(what, path):
            await step(child)

    service.operations.require_open()  # or there may be no nursery for it any more
    await _to_its_end(service.nursery, work)
    try:
        after = snapshot_at(service, path).to_dict()
    except NotFound:
        after = None  # forgotten, as its restart type or its supervisor wants it
    return {"path": path, "was": before.state, "actor": after}


async def _to_its_end(nursery: trio.Nursery | None, work: Callable[[], Awaitable[None]]) -> None:
    """Work; where the process has a nursery for it, also when nobody waits any more."""
    if nursery is None:
        await work()
        return
    ended: list[Exception | None] = []
    done = trio.Event()

    async def run() -> None:
        try:
            await work()
            ended.append(None)
        except Exception as error:  # noqa: BLE001 - raised again by who waits, if anybody does
            ended.append(error)
        finally:
            done.set()

    nursery.start_soon(run, name="control: administration")
    await done.wait()
    error = ended[0] if ended else Leaving("the supervisor is ending")
    if error is not None:
        raise error
