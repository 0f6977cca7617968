"""Owns the faults of the upload servers: what goes wrong, at which request, in which way.

Invariant: a fault is a frozen value; when it strikes depends on nothing but the number of requests
to its step so far. Must not know any protocol.

    server.faults = [
        UploadFault("part", AnswerWith(503, retry_after=1), nth=3, times=2),
        UploadFault("complete", ResetConnection(), takes_effect=True),
        UploadFault("part", after=65_536, then=ResetConnection()),
    ]
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

from attrs import Attribute, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "AnswerGarbage",
    "AnswerTruncated",
    "AnswerTwice",
    "AnswerWith",
    "FaultScript",
    "NeverAnswer",
    "ResetConnection",
    "UploadFault",
]


@frozen
class AnswerWith:
    """Another answer than the real one.

    Attributes:
        status: Its status code.
        body: Text of its body; None for the error document that the protocol would send.
        headers: More header lines.
        retry_after: The header of that name: seconds, or an HTTP date.
    """

    status: int
    body: str | None = field(default=None, kw_only=True)
    headers: Mapping[str, str] = field(factory=dict[str, str], kw_only=True)
    retry_after: float | str | None = field(default=None, kw_only=True)


@frozen
class ResetConnection:
    """No answer: the connection is reset."""


@frozen
class NeverAnswer:
    """No answer: silence, until the client hangs up."""


@frozen
class AnswerTruncated:
    """The first half of a good answer, then the end of the connection."""


@frozen
class AnswerGarbage:
    """Status 200, and a body that is no JSON."""


@frozen
class AnswerTwice:
    """The real answer, two times, where the client expects it once."""


Reply = AnswerWith | ResetConnection | NeverAnswer | AnswerTruncated | AnswerGarbage | AnswerTwice


def _from_one(_fault: Any, attribute: Attribute[Any], value: float) -> None:
    if value < 1:
        raise ValueError(f"UploadFault.{attribute.name} is {value!r}: requests count from 1")


@frozen
class UploadFault:
    """What goes wrong at some requests to one step.

    Attributes:
        step: The name of the step; each server lists its own as `STEPS`.
        then: What the client gets; None for the real answer.
        nth: The first request to the step that is met, counted from 1.
        times: How many requests are met in a row, `math.inf` for all from then on.
        takes_effect: Whether the request is carried out all the same. One that is answered with
            the real answer always is.
        after: Bytes of the body that are read before `then`; None for all of them. (What the
            client has sent may lie unread: a connection has buffers.)
        bytes_per_second: The speed at which the body is read.
        delay: Seconds between the end of the body and the answer.
    """

    step: str
    then: Reply | None = None
    nth: int = field(default=1, kw_only=True, validator=_from_one)
    times: float = field(default=1, kw_only=True, validator=_from_one)
    takes_effect: bool = field(default=False, kw_only=True)
    after: int | None = field(default=None, kw_only=True)
    bytes_per_second: float = field(default=math.inf, kw_only=True)
    delay: float = field(default=0.0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.after is not None and (self.takes_effect or self.carried_out):
            raise ValueError(
                f"UploadFault at {self.step!r}: a request whose body was not read (after="
                f"{self.after}) cannot be carried out; give another `then`, or no `after`."
            )

    @property
    def carried_out(self) -> bool:
        """Whether the request takes effect."""
        return self.takes_effect or self.then is None or isinstance(self.then, AnswerTwice)


NO_FAULT = UploadFault("")


@final
class FaultScript:
    """Counts requests and tells which fault each of them meets."""

    def __init__(self, faults: Iterable[UploadFault], steps: tuple[str, ...]) -> None:
        self.faults = tuple(faults)
        self._seen = dict.fromkeys(steps, 0)
        for fault in self.faults:
            if fault.step not in self._seen:
                raise ValueError(f"no step {fault.step!r}: this server has {', '.join(steps)}")

    def next(self, step: str) -> UploadFault:
        """Count one request; return the first fault that it meets, else `NO_FAULT`."""
        self._seen[step] += 1
        seen = self._seen[step]
        for fault in self.faults:
            if fault.step == step and fault.nth <= seen < fault.nth + fault.times:
                return fault
        return NO_FAULT
