"""A process that does everything with a staging directory, and tells every step before and after.

What it tells is a ledger: a line that was written is in the file, whatever becomes of the process.
Every attachment is used by one task at a time, so that the lines of an attachment are in order.
"""

import json
import math
import os
import random
from collections.abc import AsyncGenerator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import trio
from attrs import define, frozen
from blake3 import blake3
from disk_support import WatchedDisk, When
from processes_support import end_now

from codex_actors import ActorRef, inject_faults
from codex_actors.files import (
    Attachment,
    AttachmentNotFound,
    Files,
    FilesConfig,
    QuotaExceeded,
    Seams,
    open_files,
)

WORKERS = 3
CONTENTS = 18
PERSISTENT = 2  # contents of each worker that are persistent, in a directory with a quota
LONG = 3600.0

MIB = 1 << 20


def content_of(number: int) -> bytes:
    """One of the contents: most are small, some take several chunks, one is empty."""
    if number == 0:
        return b""
    size = {1: 2 * MIB + 17, 2: MIB, 3: MIB + 1}.get(number, 37 * number)
    return (b"content %d;" % number * (size // 8 + 1))[:size]


def checksum_of(number: int) -> str:
    """The address of one of the contents."""
    return blake3(content_of(number)).hexdigest()


def tell(event: str, **data: Any) -> None:
    """Write a line of the ledger, at once."""
    os.write(1, (json.dumps({"event": event, **data}) + "\n").encode())


@define
class Fuse:
    """Ends this process at the n-th time that something is reached."""

    what: str | None
    nth: int = 1

    def reach(self, what: str) -> None:
        """Count, and end the process when it is time."""
        if what == self.what:
            self.nth -= 1
            if self.nth == 0:
                end_now()


@frozen
class _AtPoints:
    """A fault injector that burns a fuse."""

    fuse: Fuse

    async def on_message(self, ref: ActorRef, message: object) -> None:
        """Let every message pass."""

    async def on_point(self, ref: ActorRef, name: str) -> None:
        """Count a named point."""
        self.fuse.reach(name)


def churn(
    root: str,
    sources: str,
    *,
    seed: int,
    steps: int = 10_000,
    at: str | None = None,
    nth: int = 1,
    links: bool = True,
    quota: int | None = None,
    big: bool = False,
) -> None:
    """Use a staging directory in every way until the steps are done, or the fuse has burnt.

    Args:
        root: The staging directory.
        sources: Where files to stage may be written.
        seed: Of all choices.
        steps: Of each worker.
        at: A named point, or "before <system call>", "after <system call>", at which to die.
        nth: At which time.
        links: Whether there are hard links.
        quota: `max_count`.
        big: Only contents that take several chunks, and read each time.
    """
    fuse = Fuse(at, nth)

    def watch(kind: str, when: When) -> None:
        fuse.reach(f"{when} {kind}")

    config = FilesConfig(staging_dir=Path(root), sweep_interval=0.02, max_count=quota)
    disk = WatchedDisk("full", watch, links)

    async def main() -> None:
        with inject_faults(_AtPoints(fuse)):
            async with open_files(config, seams=Seams(disk=disk)) as files:
                tell("open")
                async with trio.open_nursery() as nursery:
                    for number in range(WORKERS):
                        worker = Worker(
                            files, Path(sources), number, random.Random(seed + number), quota, big
                        )
                        nursery.start_soon(worker.work, steps)

    trio.run(main)


@define
class Worker:
    """One task of a churning process.

    Attributes:
        files: What it uses.
        sources: Where it may write files to stage.
        number: Which one it is: its names begin with it.
        random: Decides.
        quota: Whether attachments may be evicted.
        big: Whether only big ones are staged.
    """

    files: Files
    sources: Path
    number: int
    random: random.Random
    quota: int | None
    big: bool

    async def work(self, steps: int) -> None:
        """Take steps."""
        actions = [self.stage] * 12 + [self.remove] * 3 + [self.use_temporary] * 2
        actions += [self.sweep, self.lease]
        for _ in range(steps):
            await self.random.choice(actions)()

    def _choose(self) -> tuple[int, str]:
        # The big ones are few, since they take long.
        some = [*range(4), *range(4, CONTENTS), *range(4, CONTENTS)]
        number = self.random.choice([1, 2, 3] if self.big else some)
        return number, f"w{self.number} {self.random.choice(['a', 'b', 'ü, -'])}.txt"

    async def stage(self) -> None:
        """Stage one content, by a way and for a time of chance."""
        number, name = self._choose()
        ttl = self.random.choice([0.0, 0.03, LONG, LONG, LONG, math.inf])
        persist = self.random.random() < 0.2
        if self.quota is not None and persist:
            number, name = 4 + self.random.randrange(PERSISTENT), f"w{self.number} kept"
        tell("staging", key=(checksum_of(number), name))
        try:
            attachment = await self.files.stage(
                self._source(number),
                name=name,
                ttl=ttl,
                persist=persist,
                verify=self.big or self.random.random() < 0.1,
            )
        except QuotaExceeded:
            assert self.quota is not None
            return
        tell("staged", **_facts(attachment))

    def _source(self, number: int) -> Any:
        data = content_of(number)
        kinds: list[Callable[[], Any]] = [
            lambda: data,
            lambda: BytesIO(data),
            lambda: _stream(data),
            lambda: self._path(number, data),
            lambda: self._path(number, data),
        ]
        return self.random.choice(kinds)()

    def _path(self, number: int, data: bytes) -> Path:
        path = self.sources / str(number)
        if not path.exists():
            fresh = self.sources / f"{number}-{self.number}-{os.getpid()}"
            fresh.write_bytes(data)
            fresh.replace(path)  # the others find it whole
        return path

    async def remove(self) -> None:
        """Remove one of its own, if it is there."""
        number, name = self._choose()
        key = (checksum_of(number), name)
        try:
            attachment = await self.files.get(*key)
            tell("removing", key=key)
            await self.files.remove(attachment)
        except AttachmentNotFound:
            return
        tell("removed", key=key)

    async def use_temporary(self) -> None:
        """Stage for a while."""
        number, _ = self._choose()
        name = f"w{self.number} temporary"
        tell("staging", key=(checksum_of(number), name))
        try:
            async with self.files.temporary(self._source(number), name=name) as attachment:
                tell("entered", key=attachment.key)
                await trio.sleep(self.random.random() * 0.01)
                assert attachment.path.read_bytes() == content_of(number)
        except QuotaExceeded:
            assert self.quota is not None
            return
        tell("left", key=attachment.key)

    async def lease(self) -> None:
        """Use an attachment for a while, if it is there."""
        number, name = self._choose()
        try:
            attachment = await self.files.get(checksum_of(number), name)
            async with self.files.lease(attachment):
                await trio.sleep(self.random.random() * 0.01)
                assert attachment.path.read_bytes() == content_of(number)
        except AttachmentNotFound:
            return

    async def sweep(self) -> None:
        """Remove what has expired."""
        await self.files.force_cleanup()


async def _stream(data: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), 1 << 18):
        yield data[start : start + (1 << 18)]


def _facts(attachment: Attachment) -> dict[str, Any]:
    expires_at = attachment.expires_at
    return {
        "key": attachment.key,
        "until": None if expires_at is None else expires_at.timestamp(),
        "persist": attachment.persist,
    }
