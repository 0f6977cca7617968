"""What the tests of the HTTP targets share: bodies in memory, and files that are uploaded."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from codex_actors.files.targets.openai import OpenAITarget
from codex_actors.files.targets.protocol import CHUNK_BYTES, Outgoing, Part

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from codex_actors.files.targets.protocol import Receipt, Remote, Session
    from codex_actors.testing import OpenAIUploadServer

MIB = 2**20
DATA = bytes(range(256)) * 4096 * 2 + b"tail"  # two parts of a MiB, and four bytes


class Bytes:
    """A body in memory; counts the chunks that were taken."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.taken = 0

    @property
    def size(self) -> int:
        """How many bytes there are in all."""
        return len(self._data)

    def __aiter__(self) -> Bytes:
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk."""
        chunk = self._data[self._at : self._at + CHUNK_BYTES]
        if not chunk:
            raise StopAsyncIteration
        self._at += len(chunk)
        self.taken += 1
        return chunk


class Zeros:
    """A body of zeros, which needs no memory."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._left = size

    def __aiter__(self) -> Zeros:
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk."""
        chunk = bytes(min(CHUNK_BYTES, self._left))
        if not chunk:
            raise StopAsyncIteration
        self._left -= len(chunk)
        return chunk


def outgoing(data: bytes, name: str = "a.bin", md5: str | None = None) -> Outgoing:
    """Return the file that has these bytes."""
    return Outgoing(
        name=name,
        size=len(data),
        content_type="application/octet-stream",
        checksum=blake3(data).hexdigest(),
        algorithm="blake3",
        started_at=datetime.now(UTC),
        md5=md5,
    )


async def send_parts(
    session: Session, file: Outgoing, remote: Remote, data: bytes, part_size: int
) -> list[Receipt]:
    """Send all parts, one after the other."""
    receipts: list[Receipt] = []
    for number, offset in enumerate(range(0, len(data), part_size)):
        piece = data[offset : offset + part_size]
        part = Part(number, offset, len(piece))
        receipts.append(await session.send_part(file, remote, part, Bytes(piece)))
    return receipts


@asynccontextmanager
async def opened(
    server: OpenAIUploadServer, **options: Any
) -> AsyncGenerator[tuple[OpenAITarget, Session]]:
    """Open a session of OpenAI's with a running server, with parts of a MiB."""
    target = OpenAITarget(server.base_url, server.api_key, part_size=MIB, **options)
    async with target.open_session() as session:
        yield target, session
