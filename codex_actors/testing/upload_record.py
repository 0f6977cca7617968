"""Owns the record of what an upload server was asked.

Invariant: a request is recorded when its head has come, in the order of arrival. Must not know what
is made of it.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final
from urllib.parse import parse_qsl

import attrs
import trio
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from codex_actors.testing.http import HttpHead

__all__ = ["RequestLog", "UploadRequest"]


@frozen(kw_only=True)
class UploadRequest:
    """One request as it came.

    Attributes:
        step: Its step of the protocol, empty when it has none.
        method: As sent.
        path: Without the query.
        query: Decoded.
        headers: Names in lower case.
        json: The body, if it was JSON.
        received: Bytes of the body that were read.
        status: Of the answer; None when none was given, or not yet.
    """

    step: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    json: Any = None
    received: int = 0
    status: int | None = None


@final
class RequestLog:
    """The requests of one server."""

    def __init__(self) -> None:
        self._requests: list[UploadRequest] = []
        self._running: Counter[str] = Counter()
        self._peak: Counter[str] = Counter()
        self._activity = trio.Event()

    @property
    def requests(self) -> tuple[UploadRequest, ...]:
        """Every request so far."""
        return tuple(self._requests)

    def of(self, step: str) -> tuple[UploadRequest, ...]:
        """Return the requests of one step."""
        return tuple(request for request in self._requests if request.step == step)

    def peak(self, step: str) -> int:
        """Return how many requests of one step were in hand at the same time, at most."""
        return self._peak[step]

    async def wait_activity(self) -> None:
        """Wait until something is added."""
        await self._activity.wait()

    def arrived(self, step: str, head: HttpHead) -> int:
        """Add a request; return its number, for `note`."""
        query = dict(parse_qsl(head.target.partition("?")[2], keep_blank_values=True))
        self._requests.append(
            UploadRequest(
                step=step,
                method=head.method,
                path=head.path,
                query=MappingProxyType(query),
                headers=MappingProxyType(dict(head.headers)),
            )
        )
        self._notify()
        return len(self._requests) - 1

    def note(self, number: int, **changes: Any) -> None:
        """Add to what is known of a request."""
        self._requests[number] = attrs.evolve(self._requests[number], **changes)
        self._notify()

    @contextmanager
    def in_hand(self, step: str) -> Generator[None]:
        """Count a request while it is read and carried out."""
        self._running[step] += 1
        self._peak[step] = max(self._peak[step], self._running[step])
        try:
            yield
        finally:
            self._running[step] -= 1

    def _notify(self) -> None:
        self._activity.set()
        self._activity = trio.Event()
