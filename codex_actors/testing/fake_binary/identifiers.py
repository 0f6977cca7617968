"""Owns identifiers as codex makes and reads them: UUIDs that sort by time."""

from __future__ import annotations

import os
import re
import time
import uuid

__all__ = ["InvalidId", "checked_id", "new_id"]

_ALLOWED = re.compile(r"[0-9a-fA-F-]")
_last = 0


class InvalidId(ValueError):
    """Not a UUID; the message is codex's."""


def new_id() -> str:
    """Return a UUID of version 7 that sorts after those that this process made before."""
    global _last
    _last = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
    milliseconds, fraction = divmod(_last, 4096)
    tail = int.from_bytes(os.urandom(8)) & (2**62 - 1)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | tail))


def checked_id(text: str, what: str) -> str:
    """Return a UUID in its usual form.

    Raises:
        InvalidId: It is none; `what` it should have named is in the message.
    """
    for place, letter in enumerate(text, start=1):
        if not _ALLOWED.match(letter):
            raise InvalidId(
                f"invalid {what}: invalid character: expected an optional prefix of `urn:uuid:` "
                f"followed by [0-9a-fA-F-], found `{letter}` at {place}"
            )
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidId(
            f"invalid {what}: invalid length: expected length 32 for simple format, found "
            f"{len(text)}"
        ) from None
