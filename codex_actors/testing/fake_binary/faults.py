"""Owns what goes wrong on purpose, and when.

Invariant: a fault depends on nothing but the number of times that its step was reached, by all
processes of the fake together. Must not know the protocols.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .journal import Journal

__all__ = ["LIFETIME", "Failure", "Faults", "Stall", "hang"]

LIFETIME = 300.0
"""Seconds after which whatever hangs ends by itself."""


class Failure(Exception):
    """The step fails, as the script says."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Stall(Exception):
    """The step is never got past, while everything else goes on."""


def hang() -> NoReturn:
    """Do nothing any more."""
    time.sleep(LIFETIME)
    sys.exit(1)


class Faults:
    """The script: tells at each step what is to go wrong there."""

    def __init__(self, script: Sequence[dict[str, Any]], journal: Journal) -> None:
        self._script = script
        self._journal = journal

    def meet(self, *steps: str) -> float:
        """Reach a step, by one or several names; return the seconds to wait before it.

        Raises:
            Failure: The step is to fail.
            Stall: It is to be the last of its turn.
        """
        seconds = 0.0
        for step in steps:
            faults = [fault for fault in self._script if fault["step"] == step]
            if faults:
                count = self._journal.count(step)
                for fault in faults:
                    if fault["nth"] <= count < fault["nth"] + (fault["times"] or count):
                        seconds += _act(**fault["then"])
        return seconds


def _act(kind: str, **how: Any) -> float:
    match kind:
        case "WaitFor":
            return float(how["seconds"])
        case "ExitWith":
            sys.stdout.flush()
            os._exit(how["status"])
        case "KillItself":
            os.kill(os.getpid(), signal.SIGKILL)
        case "PrintNonsense":
            sys.stdout.write(how["text"] + "\n")
            sys.stdout.flush()
        case "HangForever":
            hang()
        case "StallTurn":
            raise Stall
        case "FailWith":
            raise Failure(how["message"], how["code"])
        case _:
            raise AssertionError(kind)
    return 0.0
