"""Owns the digests by which content is addressed.

Invariant: both algorithms give 64 hex digits, and a hasher lets go of the interpreter lock while it
works on large buffers. Knows no file.
"""

import hashlib
from typing import BinaryIO, Protocol

from blake3 import blake3

from codex_actors.files.model import Algorithm

__all__ = ["Hasher", "digest_of", "hasher"]

READ_BYTES = 1 << 20


class Hasher(Protocol):
    """What `hashlib` and blake3 have in common."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Feed bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest of the bytes so far."""
        ...

    def copy(self) -> "Hasher":
        """Return another one that has been fed the same bytes."""
        ...


def hasher(algorithm: Algorithm) -> Hasher:
    """Return a fresh hasher."""
    return blake3() if algorithm == "blake3" else hashlib.sha256()


def digest_of(file: BinaryIO, algorithm: Algorithm) -> str:
    """Return the digest of the rest of a file. Blocking."""
    state = hasher(algorithm)
    while chunk := file.read(READ_BYTES):
        state.update(chunk)
    return state.hexdigest()
