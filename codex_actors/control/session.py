"""Owns the one interface by which verbs ask: of a supervisor process, or of a tree in this one.

Invariant: an answer is the same document either way. Must not know which it is.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from codex_actors.control.messages import Request

__all__ = ["Answer", "Notify", "Session"]

Notify = Callable[[dict[str, Any]], None]
"""Tells whoever asked something about it: at once, without waiting, without raising."""

Answer = Callable[[str, object, Notify], Awaitable[object]]
"""Answers a request, given its method, its parameters and whom to notify, with a JSON document."""


class Session(Protocol):
    """Somebody who answers requests."""

    async def request(
        self, request: Request, *, on_note: Notify | None = None, timeout: float = math.inf
    ) -> dict[str, Any]:
        """Ask, and return the answer.

        Args:
            request: What.
            on_note: Called with what is told before the answer; it must not block.
            timeout: Seconds until a supervisor process counts as unreachable.

        Raises:
            RequestFailed: It answered with an error; or that error itself, in this process.
            Unreachable: It did not answer in time, or is gone.

        Checkpoints. Cancelled, what was asked for is cancelled too.
        """
        ...
