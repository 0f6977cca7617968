"""What actors say to each other: calls, casts and infos.

Messages are frozen attrs classes that subclass one of these three.
"""

from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import frozen

from .exits import ExitReason

if TYPE_CHECKING:
    from .ref import ActorRef

R_co = TypeVar("R_co", covariant=True)


class Call(Generic[R_co]):
    """A message that asks for an answer of type `R` (as OTP's `gen_server:call`)."""

    __slots__ = ()


class Cast:
    """A message that is not answered (as OTP's `gen_server:cast`)."""

    __slots__ = ()


class Info:
    """What an actor's surroundings tell it: the end of what it monitors, its timers."""

    __slots__ = ()


@frozen
class Down(Info):
    """A monitored child's incarnation ended.

    Args:
        ref: the place that was monitored.
        reason: why its incarnation ended.
    """

    ref: "ActorRef"
    reason: ExitReason
