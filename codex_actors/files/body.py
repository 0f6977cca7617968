"""Owns the bytes of an upload on their way from the disk to a target.

Invariant: no more than one block per part is in memory, and no part counts as sent unless the file
was the same before and after it was read. Must not know what takes the bytes.
"""

from collections.abc import Awaitable, Callable

import trio
from attrs import define, field

from codex_actors.files.blocking import Blocking
from codex_actors.files.store.reading import Blob
from codex_actors.files.store.seal import Seal
from codex_actors.files.targets.protocol import CHUNK_BYTES

__all__ = ["BlobBody", "Watch"]

# What is not in memory costs one hop to a thread for a block, which is cut into chunks.
BLOCK_BYTES = 4 * CHUNK_BYTES


@define(eq=False)
class Watch:
    """Tells whether a blob has been written to.

    Attributes:
        blob: Which.
        blocking: How it is asked.
        is_sealed: Tells whether it is as it was when its bytes were last known.
    """

    blob: Blob
    blocking: Blocking
    is_sealed: Callable[[Seal], Awaitable[bool]]
    _seal: Seal | None = None
    _lock: trio.Lock = field(factory=trio.Lock)

    async def check(self) -> None:
        """Read the file if it was touched since it was checked, or before that since it was staged.

        Another name of it, or another mode, is a touch, too: only its bytes decide.

        Raises:
            ChecksumMismatch: It is not what was staged.
            StagingIOError: It cannot be read.
        """
        async with self._lock:
            seal = await self.blocking.run(self.blob.seal)
            if seal == self._seal:
                return
            if not await self.is_sealed(seal):
                await self.blocking.drive(self.blob.check())
                if await self.blocking.run(self.blob.seal) != seal:
                    raise self.blob.mismatch()  # and it is being written to
            self._seal = seal


@define(eq=False)
class BlobBody:
    """The bytes of one part, for one attempt; see `targets.protocol.Body`.

    Attributes:
        watch: Of the file.
        offset: Where the part starts.
        size: Bytes.
        taken: Called whenever a chunk was taken.
    """

    watch: Watch
    offset: int
    size: int
    taken: Callable[[], object]
    _sent: int = 0
    _read: int = 0
    _block: memoryview = field(init=False)

    def __attrs_post_init__(self) -> None:
        # One buffer for the whole part: fresh memory for each block costs more than the copy.
        self._block = memoryview(bytearray(min(BLOCK_BYTES, self.size)))

    def __aiter__(self) -> "BlobBody":
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk."""
        self.taken()
        if self._sent == self._read:
            await self._read_on()
        start = self._sent % BLOCK_BYTES
        size = min(CHUNK_BYTES, self._read - self._sent)
        self._sent += size
        return bytes(self._block[start : start + size])

    async def _read_on(self) -> None:
        rest = self.size - self._read
        if not rest:
            await self.watch.check()
            raise StopAsyncIteration
        blob = self.watch.blob
        start = self._read % BLOCK_BYTES
        offset = self.offset + self._read
        chunk = self._block[start : start + min(CHUNK_BYTES, rest)]
        if blob.read_cached(chunk, offset) == len(chunk):
            self._read += len(chunk)  # what is in memory is not worth a hop to a thread
            return
        block = self._block[start : start + min(BLOCK_BYTES - start, rest)]
        await self.watch.blocking.run(blob.read, block, offset)
        self._read += len(block)
