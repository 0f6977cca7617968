"""Owns the way from what came over the wire to a handler, and from its error to an answer.

Invariant: what a caller can act on becomes a `RequestFailed`; a defect passes as it is, for the
server to report. Must not know connections.
"""

from typing import Any

from codex_actors import ActorError
from codex_actors.codex import CodexError
from codex_actors.control.errors import RequestFailed
from codex_actors.control.handlers import dispatch
from codex_actors.control.messages import parse_request
from codex_actors.control.service import Service
from codex_actors.control.session import Answer, Notify
from codex_actors.files import FilesError

__all__ = ["answering"]


def answering(service: Service) -> Answer:
    """Return what answers a request, given its method, its parameters and whom to notify."""

    async def answer(method: str, params: object, notify: Notify) -> dict[str, Any]:
        try:
            return await dispatch(service, parse_request(method, params), notify)
        except RequestFailed:
            raise
        except (ActorError, FilesError, CodexError, OSError, ValueError) as error:
            raise RequestFailed(str(error), kind=type(error).__name__) from error

    return answer
