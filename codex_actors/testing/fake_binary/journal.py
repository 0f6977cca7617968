"""Owns what a fake remembers between and beyond its processes: records, images, counts.

Invariant: a record is one line, appended by one write, so that processes that run side by side
never mix theirs and a reader never sees half of one. Must not know what the records mean.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Journal"]


class Journal:
    """The records of one fake; `process` tells this invocation from the others."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.process = uuid.uuid4().hex

    def record(self, kind: str, **members: Any) -> None:
        """Append one record."""
        entry = {"kind": kind, "process": self.process, "at": time.time_ns(), **members}
        line = json.dumps(entry).encode() + b"\n"
        file = os.open(
            self._directory / "journal.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def keep(self, data: bytes) -> str:
        """Keep the bytes of an image; return what they are found by: their SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        images = self._directory / "images"
        images.mkdir(exist_ok=True)
        partial = images / f"{self.process}.partial"
        partial.write_bytes(data)
        partial.rename(images / digest)
        return digest

    def count(self, name: str) -> int:
        """Return how often this has been called for the name, by whichever process, from 1."""
        path = self._directory / f"count-{name.replace('/', '.')}"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.write(file, b".")
            return os.fstat(file).st_size
        finally:
            os.close(file)
