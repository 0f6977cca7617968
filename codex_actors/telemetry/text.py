"""Owns how single values look wherever people or programs read them: strangers' text, times.

Invariant: what comes out can be printed anywhere and steers no terminal. Knows no event. Pure.
"""

from datetime import datetime
from itertools import pairwise

__all__ = ["duration", "one_line", "shortened", "timestamp", "visible"]

_SHORT = 10.0
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def visible(text: str) -> str:
    """Return text without what would steer a terminal: names come from strangers."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text
    )


def one_line(text: str) -> str:
    """Return it visible, and all blank space in it, line breaks too, as single spaces."""
    return visible(" ".join(text.split()))


def timestamp(moment: datetime) -> str:
    """Return a moment of UTC for programs: ISO 8601, with milliseconds and a Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """Return a time for people, rounded to its two largest units; "0.4s" while it is short."""
    if seconds < _SHORT:
        return f"{max(0.0, seconds):.1f}s"
    left = round(seconds)
    for (larger, _), (smaller, _) in pairwise(_UNITS):
        if left >= larger:
            left = round(left / smaller) * smaller
            break
    for (larger, name), (smaller, part) in pairwise(_UNITS):
        if left >= larger:
            whole, rest = divmod(left, larger)
            return f"{whole}{name}{rest // smaller:02}{part}"
    return f"{left}s"


def shortened(text: str, most: int) -> str:
    """Return text of at most so many characters, and how many more there were."""
    if len(text) <= most:
        return text
    return f"{text[:most]} [... {len(text) - most:,} more characters]"
