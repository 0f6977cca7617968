"""Owns the requests about the supervision tree: how it stands, and the administration of it."""

from typing import Any

from codex_actors.control import messages
from codex_actors.control.errors import NotFound
from codex_actors.control.service import Notify, Service

__all__ = ["snapshot"]


async def snapshot(service: Service, request: messages.Tree, _notify: Notify) -> dict[str, Any]:
    """Return a picture of an actor and all below it."""
    picture = service.supervisor.snapshot()
    for name in (request.path or "").split("/") if request.path else ():
        below = {child.path.rpartition("/")[2]: child for child in picture.children}
        if name not in below:
            raise NotFound(f"there is no actor {request.path!r}: see `ps`")
        picture = below[name]
    return {"tree": picture.to_dict()}
