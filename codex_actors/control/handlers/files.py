"""Owns the requests about files."""

from typing import Any

from codex_actors.control import messages
from codex_actors.control.service import Notify, Service

__all__ = ["list_staged"]


async def list_staged(
    service: Service, _request: messages.ListStaged, _notify: Notify
) -> dict[str, Any]:
    """Return what is staged."""
    attachments = await service.files.list_staged()
    return {"attachments": [attachment.to_dict() for attachment in attachments]}
