"""Owns the splitting of a byte stream into lines of bounded length.

Invariant: never keeps more than one line's limit and one feed; a line that is longer is dropped as
it comes, and told of once, where it ends. Pure.
"""

from collections.abc import Iterator
from typing import final

__all__ = ["LineTooLong", "Lines"]


@final
class LineTooLong:
    """Stands in place of a line that was dropped."""


@final
class Lines:
    """Makes lines of what is fed.

    Args:
        limit: Bytes of a line, its newline left out.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending = bytearray()
        self._dropping = False

    def feed(self, data: bytes | bytearray) -> Iterator[bytes | LineTooLong]:
        """Take more of the stream; iterate over the lines that ended. Blank ones are left out."""
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._add(part)
            line = LineTooLong() if self._dropping else bytes(self._pending).strip()
            self._pending.clear()
            self._dropping = False
            if line:
                yield line
        self._add(rest)

    def _add(self, part: bytes | bytearray) -> None:
        if self._dropping or len(self._pending) + len(part) > self._limit:
            self._dropping = True
            self._pending.clear()
        else:
            self._pending += part
