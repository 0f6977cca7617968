"""One of several processes that use a staging directory at the same time, and trust nothing.

What a staging gave is read at once, as long as its time to live or a lease protects it. A file that
is not there, or not what it should be, ends the process with the error.
"""

import json
import os
import random
from pathlib import Path
from typing import Any

import trio
from attrs import define
from blake3 import blake3

from codex_actors.files import (
    Attachment,
    AttachmentLeased,
    AttachmentNotFound,
    Files,
    FilesConfig,
    open_files,
)

TASKS = 4
CONTENTS = 40
NAMES = ("a.txt", "b.txt", "ü.txt")


def content_of(number: int) -> bytes:
    """One of the contents that all processes stage."""
    return f"content {number} ".encode() * (number * 3)


def crowd(root: str, sources: str, *, seed: int, stagings: int, resets: bool) -> None:
    """Stage, sweep, use and perhaps reset; tell what must be there in the end.

    Args:
        root: The staging directory.
        sources: A directory with a file of each content, by its number.
        seed: Of all choices.
        stagings: How many.
        resets: Whether everything that is not leased may go at any time.
    """
    config = FilesConfig(
        staging_dir=Path(root),
        durability="full" if seed % 2 else "none",
        sweep_interval=0.02,
    )

    async def main() -> None:
        async with open_files(config) as files, trio.open_nursery() as nursery:
            for number in range(TASKS):
                member = Member(
                    files, Path(sources), random.Random(seed * TASKS + number), resets=resets
                )
                nursery.start_soon(member.work, stagings // TASKS)

    trio.run(main)


@define
class Member:
    """One task of a process.

    Attributes:
        files: What it uses.
        sources: A directory with a file of each content.
        random: Decides.
        resets: Whether everything that is not leased may go at any time.
    """

    files: Files
    sources: Path
    random: random.Random
    resets: bool

    async def work(self, stagings: int) -> None:
        """Stage, and do other things in between."""
        for _ in range(stagings):
            await self.random.choice([self.keep, self.keep, self.drop, self.use])()
            if self.random.random() < 0.02:
                await self.files.force_cleanup()
            if self.resets and self.random.random() < 0.02:
                await self.reset()

    async def keep(self) -> None:
        """Stage for an hour, under a name that others use too."""
        number, source = self._choose()
        attachment = await self.files.stage(
            source, name=self.random.choice(NAMES), ttl=3600, verify=self.random.random() < 0.05
        )
        if not self.resets:
            _check(attachment, number)
            _tell(attachment)
            return
        try:
            async with self.files.lease(attachment):
                _check(attachment, number)
                await trio.sleep(self.random.random() * 0.002)
                _check(attachment, number)
        except AttachmentNotFound:
            return

    async def drop(self) -> None:
        """Stage for no time at all: the next sweep of any process takes it."""
        number, source = self._choose()
        await self.files.stage(source, name=f"short {self.random.choice(NAMES)}", ttl=0)
        if self.random.random() < 0.2:
            # Also under a name that others keep: never shortening.
            await self.files.stage(content_of(number), name=self.random.choice(NAMES), ttl=0)

    async def use(self) -> None:
        """Stage for as long as it is used."""
        number, source = self._choose()
        name = self.random.choice(["temporary", *NAMES])
        async with self.files.temporary(source, name=name) as attachment:
            _check(attachment, number)
            await trio.sleep(self.random.random() * 0.002)
            _check(attachment, number)

    async def reset(self) -> None:
        """Remove all that nobody uses, if nobody uses anything."""
        try:
            report = await self.files.reset()
        except AttachmentLeased:
            return
        os.write(1, (json.dumps({"reset": report.count}) + "\n").encode())

    def _choose(self) -> tuple[int, Any]:
        number = self.random.randrange(CONTENTS)
        if self.random.random() < 0.5:
            return number, content_of(number)
        return number, self.sources / str(number)


def _check(attachment: Attachment, number: int) -> None:
    data = attachment.path.read_bytes()
    assert blake3(data).hexdigest() == attachment.checksum
    assert data == content_of(number)


def _tell(attachment: Attachment) -> None:
    os.write(1, (json.dumps({"key": attachment.key}) + "\n").encode())
