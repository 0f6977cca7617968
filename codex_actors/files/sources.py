"""Owns the kinds of sources that can be staged, and the pumping of those that belong to the caller.

Invariant: a caller's iterable, stream or file object is used in the caller's own task only, and its
exceptions pass unchanged; an end that was not announced is never taken for the end of the bytes.
Must not know where the bytes go.
"""

import errno
import inspect
import os
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

import trio
from attrs import frozen

from codex_actors.files.blocking import Blocking
from codex_actors.files.errors import SourceNotFound

__all__ = [
    "BinaryFile",
    "ByteSource",
    "Feed",
    "PathSource",
    "PumpedSource",
    "Source",
    "StageSource",
    "classify",
    "open_feed",
]

READ_BYTES = 1 << 20
CHANNEL_CHUNKS = 2


@runtime_checkable
class BinaryFile(Protocol):
    """A file object opened in binary mode. `read` may block: it runs in a worker thread."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, empty at the end."""
        ...


StageSource: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryFile
    | AsyncIterable[bytes]
    | trio.abc.ReceiveStream
)


@frozen
class PathSource:
    """A file, by its absolute path."""

    path: Path


@frozen
class ByteSource:
    """Bytes in memory."""

    data: bytes


@frozen
class PumpedSource:
    """Chunks that the caller's task sends; None announces the end."""

    chunks: trio.MemoryReceiveChannel[bytes | None]


Source: TypeAlias = PathSource | ByteSource | PumpedSource


@frozen
class Feed:
    """What the caller's task still has to do for a staging.

    Attributes:
        chunks: The caller's bytes.
        source: What the StageActor reads from.
    """

    chunks: AsyncGenerator[bytes]
    source: PumpedSource
    _send: trio.MemorySendChannel[bytes | None]

    async def pump(self) -> None:
        """Send everything and announce the end; returns early when nobody receives any more.

        Raises:
            Exception: Whatever the caller's iterable, stream or file object raises.
        """
        async with self._send:
            async with aclosing(self.chunks) as chunks:
                async for chunk in chunks:
                    if not await self._deliver(chunk):
                        return
            await self._deliver(None)

    async def _deliver(self, chunk: bytes | None) -> bool:
        try:
            await self._send.send(chunk)
        except trio.BrokenResourceError:
            return False  # the StageActor has ended: it tells why
        return True


def classify(source: StageSource) -> PathSource | ByteSource | None:
    """Return a source that needs no pumping, None for one that does.

    Raises:
        TypeError: It is nothing that can be staged.
        SourceNotFound: No file can have that path, or it is relative to a working directory that is
            gone.
    """
    match source:
        case str() | os.PathLike():
            return PathSource(_absolute(Path(source)))
        case bytes() | bytearray() | memoryview():
            return ByteSource(bytes(source))  # of bytes that may change, those of now
        case AsyncIterable() | BinaryFile():
            return None
        case _:
            raise TypeError(
                f"{type(source).__name__} cannot be staged: pass a path, bytes, a binary file"
                " object, an async iterable of bytes or a ReceiveStream."
            )


def _absolute(path: Path) -> Path:
    if not _is_possible(path):
        raise SourceNotFound(
            errno.ENOENT, f"There can be no file {str(path)!r} to stage: check the path.", str(path)
        )
    try:
        return path.absolute()
    except FileNotFoundError as error:
        raise SourceNotFound(
            error.errno,
            f"{path} is relative to the working directory, which is gone: change to one that is"
            " there, or name an absolute path.",
            str(path),
        ) from error


def _is_possible(path: Path) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def open_feed(source: Any, blocking: Blocking) -> Feed:
    """Return the feed of a source that `classify` gave None for."""
    send, receive = trio.open_memory_channel[bytes | None](CHANNEL_CHUNKS)
    pieces = hasattr(source, "__aiter__")
    chunks = _chunks_of(source) if pieces else _chunks_read(source, blocking)
    return Feed(chunks, PumpedSource(receive), send)


async def _chunks_of(source: Any) -> AsyncGenerator[bytes]:
    if inspect.isasyncgen(source):
        # The caller passed it in unnamed, as likely as not: nobody else can close it in time.
        async with aclosing(source):
            async for chunk in source:
                yield _checked(chunk)  # noqa: ASYNC119 - its one user closes it in time too
    else:
        async for chunk in source:
            yield _checked(chunk)


async def _chunks_read(source: BinaryFile, blocking: Blocking) -> AsyncGenerator[bytes]:
    while chunk := _checked(await blocking.run(source.read, READ_BYTES)):
        yield chunk


def _checked(chunk: Any) -> bytes:
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, bytearray | memoryview):
        return bytes(cast("memoryview[int]", chunk))
    raise TypeError(
        f"The source gave {type(chunk).__name__} instead of bytes: encode text, or open the file in"
        " binary mode."
    )
