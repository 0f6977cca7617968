"""What went wrong, as one line on stderr."""

import signal
import sys

from codex_actors.telemetry.text import one_line

__all__ = ["SettingsError", "Terminated", "UsageError", "print_error"]


class UsageError(Exception):
    """The command line does not make sense; exit code 2."""


class SettingsError(UsageError):
    """A flag, a variable or the config file sets what makes no sense; exit code 2."""


class Terminated(Exception):
    """A signal asked the program to end, and it has cleaned up; exit code 128 plus `number`."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"ended by {signal.Signals(number).name}; nothing is left half-done")


def print_error(message: object) -> None:
    """Print what went wrong, and the way out, as one line on stderr."""
    sys.stderr.write(f"codex-actors: {one_line(str(message))}\n")
