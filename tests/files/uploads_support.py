"""What the tests of uploads share: files under a virtual clock, a scripted target."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define, evolve, field, frozen

from codex_actors.files import Event, Files, FilesConfig, Retry, Seams, open_files
from codex_actors.files.blocking import Inline
from codex_actors.files.store.disk import Disk
from codex_actors.files.targets.protocol import CHUNK_BYTES, Limits
from codex_actors.testing import ScriptedTarget

PART = 1000
DATA = bytes(number * 7 % 251 for number in range(4500))  # four parts and a half
PATIENT = Retry(attempts=3, base=1.0, cap=8.0, attempt_timeout=10.0)
CHILD = "transfers/upload-2"  # after the staging, which is the first child


def in_parts(**changes: Any) -> ScriptedTarget:
    """A target that takes parts, two at a time, and can be resumed."""
    limits = Limits(max_bytes=1 << 20, part_size=PART, parallel=2, resumable=True)
    return ScriptedTarget(evolve(limits, **changes))


def whole() -> ScriptedTarget:
    """A target that takes files in one request."""
    return ScriptedTarget(Limits(max_bytes=1 << 20, whole_bytes=1 << 20))


@define
class Told:
    """What was emitted."""

    events: list[Event] = field(factory=list[Event])

    def __call__(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)

    def named(self, name: str) -> list[Event]:
        """Return those of a name, without its prefix."""
        return [event for event in self.events if event.name == f"codex.upload.{name}"]

    def names(self) -> list[str]:
        """Return the names of all that is about uploads, in order, each run of one name once."""
        names: list[str] = []
        for event in self.events:
            if event.name.startswith("codex.upload."):
                name = event.name.removeprefix("codex.upload.")
                if names[-1:] != [name]:
                    names.append(name)
        return names


@asynccontextmanager
async def opened(
    root: Path,
    *,
    told: Told | None = None,
    draw: Callable[[], float] = lambda: 1.0,
    disk: Disk | None = None,
    **config: Any,
) -> AsyncGenerator[Files]:
    """Open files whose blocking work runs on the event loop, so that time may be virtual."""
    settings = FilesConfig(staging_dir=root, durability="none", **config)
    seams = Seams(blocking=Inline(), draw=draw, disk=disk)
    on_event = [] if told is None else [told]
    async with open_files(settings, seams=seams, on_event=on_event) as files:
        yield files


@frozen
class Bytes:
    """A body in memory.

    Attributes:
        data: All of it.
        pause: Seconds before every chunk.
    """

    data: bytes
    pause: float = 0.0

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the chunks."""
        for start in range(0, len(self.data), CHUNK_BYTES):
            await trio.sleep(self.pause)
            yield self.data[start : start + CHUNK_BYTES]
