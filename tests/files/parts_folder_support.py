"""A target of parts in a folder, which outlives whoever sends to it; and a process that sends."""

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import frozen

from codex_actors.files import FilesConfig, Progress, open_files
from codex_actors.files.targets.protocol import (
    Body,
    Fate,
    Finished,
    Limits,
    Outgoing,
    Part,
    Receipt,
    Remote,
)

PART_BYTES = 1 << 16


@frozen
class PartsFolder:
    """Uploads are folders of parts, files are files; `log` names the parts that were sent.

    Attributes:
        path: Where.
    """

    path: Path

    @property
    def name(self) -> str:
        """See `Target.name`."""
        return "parts"

    @property
    def limits(self) -> Limits:
        """See `Target.limits`."""
        return Limits(max_bytes=1 << 40, part_size=PART_BYTES, parallel=4, resumable=True)

    @property
    def sent(self) -> list[int]:
        """The numbers of the parts that were sent, in order, again and again."""
        return [int(line) for line in (self.path / "log").read_text().split()]

    def account(self) -> str:
        """See `Target.account`."""
        return str(self.path)

    @asynccontextmanager
    async def open_session(self) -> AsyncGenerator["PartsFolder"]:
        """See `Target.open_session`."""
        yield self

    async def begin(self, file: Outgoing) -> Remote:
        """See `Session.begin`."""
        (self.path / "upload").mkdir()
        return Remote("upload")

    async def send_part(self, file: Outgoing, remote: Remote, part: Part, body: Body) -> Receipt:
        """See `Session.send_part`."""
        data = b"".join([chunk async for chunk in body])
        await trio.sleep(0.002)
        (self.path / remote.id / str(part.number)).write_bytes(data)
        with (self.path / "log").open("a") as log:
            log.write(f"{part.number}\n")
        return Receipt(part.number)

    async def complete(
        self, file: Outgoing, remote: Remote, receipts: Sequence[Receipt]
    ) -> Finished:
        """See `Session.complete`."""
        folder = self.path / remote.id
        parts = [(folder / str(receipt.number)).read_bytes() for receipt in receipts]
        (self.path / "file").write_bytes(b"".join(parts))
        return Finished("file")

    async def abort(self, file: Outgoing, remote: Remote) -> None:
        """See `Session.abort`."""
        raise NotImplementedError

    async def send_whole(self, file: Outgoing, body: Body) -> Finished:
        """See `Session.send_whole`."""
        raise NotImplementedError

    async def settle(
        self, file: Outgoing, remote: Remote | None, receipts: Sequence[Receipt]
    ) -> Finished | Fate:
        """See `Session.settle`."""
        return Finished("file") if (self.path / "file").exists() else Fate.NOT_DONE

    async def confirm(self, file_id: str) -> bool:
        """See `Session.confirm`."""
        return True


async def main(staging: str, source: str, folder: str) -> None:
    """Upload, and tell whenever more was acknowledged and recorded."""

    def tell(progress: Progress) -> None:
        print(progress.acknowledged, flush=True)  # noqa: T201 - the parent reads it

    async with open_files(FilesConfig(staging_dir=Path(staging))) as files:
        attachment = await files.stage(source)
        await files.upload(attachment, target=PartsFolder(Path(folder)), progress=tell)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], sys.argv[3])
