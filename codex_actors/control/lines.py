"""Owns the splitting of a byte stream into lines of bounded length.

Invariant: never keeps more than one line's limit and one feed, and what comes out does not depend
on how the stream was cut. A line that is longer is told of once, as soon as it is, and dropped up
to its end. Pure.
"""

from typing import final

__all__ = ["LineTooLong", "Lines"]

# What may stand around a document of JSON, its newline left out.
_BLANK = b" \t\r"


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

    def feed(self, data: bytes) -> list[bytes | LineTooLong]:
        """Take more of the stream; return the lines that ended, and those that grew too long.

        Blank lines are left out, and so are blanks at either end of a line.
        """
        found: list[bytes | LineTooLong] = []
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._add(part, found)
            line = bytes(self._pending).strip(_BLANK)
            if line:
                found.append(line)
            self._pending.clear()
            self._dropping = False
        self._add(rest, found)
        return found

    def _add(self, part: bytes, found: list[bytes | LineTooLong]) -> None:
        if self._dropping:
            return
        if len(self._pending) + len(part) > self._limit:
            self._dropping = True
            self._pending = bytearray()  # its memory is given back
            found.append(LineTooLong())
        else:
            self._pending += part
