"""Owns the decisions about the end of the process: what a signal or a request means now.

    stay ──► drain ──► shut down ──► cancel

Invariant: the manner only ever gets harsher; before the tree is up there is nothing to drain, and
every wish calls the start off; the second signal cancels. Pure: knows no clock and no tree.
"""

from enum import IntEnum

from attrs import evolve, frozen

__all__ = ["EX_HELD", "EX_INTENSITY", "Leaving", "Manner"]

EX_INTENSITY = 70
EX_HELD = 75
_BY_SIGNAL = 128


class Manner(IntEnum):
    """How the process is to end, from not at all to at once."""

    STAY = 0
    DRAIN = 1
    SHUT_DOWN = 2
    CANCEL = 3


@frozen
class Leaving:
    """What has been asked for so far.

    Attributes:
        is_up: Whether the tree has started.
        manner: How to end.
        signal: The last signal, None when none came.
    """

    is_up: bool = False
    manner: Manner = Manner.STAY
    signal: int | None = None

    def up(self) -> "Leaving":
        """The tree has started."""
        return evolve(self, is_up=True)

    def asked(self, manner: Manner) -> "Leaving":
        """Somebody wants it to end so."""
        wanted = manner if self.is_up or manner is Manner.STAY else Manner.CANCEL
        return evolve(self, manner=max(self.manner, wanted))

    def signalled(self, number: int) -> "Leaving":
        """A signal came: the first drains, the next cancels."""
        manner = Manner.DRAIN if self.signal is None else Manner.CANCEL
        return evolve(self.asked(manner), signal=number)

    @property
    def exit_code(self) -> int:
        """What the process returns when its tree has ended without an error."""
        return 0 if self.signal is None else _BY_SIGNAL + self.signal
