"""What went wrong, as one line on stderr."""

import sys


class UsageError(Exception):
    """The command line does not make sense; exit code 2."""


def print_error(message: object) -> None:
    """Print what went wrong, and the way out, as one line on stderr."""
    sys.stderr.write(f"codex-actors: {' '.join(visible(str(message)).split())}\n")


def visible(text: str) -> str:
    """Text without what would steer a terminal: names come from strangers."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text
    )
