"""Owns the way around the socket: requests are handled in this process, over a tree of its own.

Invariant: handlers are those of a supervisor process, so that answers are; errors pass as they are.
"""

import math
from typing import Any, final

from codex_actors.control.handlers import dispatch
from codex_actors.control.messages import Request
from codex_actors.control.service import Service
from codex_actors.control.session import Notify

__all__ = ["LocalSession"]


@final
class LocalSession:
    """A `Session` within this process."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def request(
        self,
        request: Request,
        *,
        on_note: Notify | None = None,
        timeout: float = math.inf,  # noqa: ARG002 - nobody is unreachable to himself
    ) -> dict[str, Any]:
        """See `Session.request`."""
        return await dispatch(self._service, request, on_note or _ignore)


def _ignore(_note: dict[str, Any]) -> None:
    """Nobody listens."""
