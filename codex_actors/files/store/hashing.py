"""Owns the digests by which content is addressed.

Invariant: both algorithms give 64 hex digits, and a hasher lets go of the interpreter lock while it
works on large buffers. Knows no file.
"""

import hashlib
from typing import Protocol

from blake3 import blake3

from codex_actors.files.model import Algorithm

__all__ = ["Hasher", "hasher"]


class Hasher(Protocol):
    """What `hashlib` and blake3 have in common."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Feed bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest of the bytes so far."""
        ...


def hasher(algorithm: Algorithm) -> Hasher:
    """Return a fresh hasher."""
    return blake3() if algorithm == "blake3" else hashlib.sha256()
