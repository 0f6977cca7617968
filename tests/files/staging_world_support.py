"""Two trees over one staging directory, driven command by command beside the model."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
from attrs import define, field, frozen
from files_support import partials_of, tamper
from staging_commands_support import (
    CONTENTS,
    Cleanup,
    Command,
    Crash,
    Damage,
    End,
    Pass,
    Remove,
    Reopen,
    Reset,
    Stage,
    Take,
    Verify,
)
from staging_model_support import Entry, Key, Model, checksum_of
from trio.testing import wait_all_tasks_blocked

from codex_actors.files import (
    Attachment,
    AttachmentNotFound,
    Event,
    Files,
    FilesConfig,
    FilesError,
    Seams,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.clock import Clock
from codex_actors.files.sources import StageSource

__all__ = ["START", "World"]

START = 1_800_000_000  # seconds since 1970
SETTLING = 10  # seconds in which a tree forgets that its registry has crashed

T = TypeVar("T")


@define(eq=False)
class Held:
    """Something that is open in a task of its own, so that it may close in any order."""

    _go: trio.Event = field(factory=trio.Event)
    _gone: trio.Event = field(factory=trio.Event)

    async def hold(
        self,
        context: AbstractAsyncContextManager[T],
        *,
        task_status: trio.TaskStatus[T] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Open it, and close it when told to."""
        async with context as opened:
            task_status.started(opened)
            await self._go.wait()
        self._gone.set()

    async def aclose(self) -> None:
        """Close it."""
        self._go.set()
        await self._gone.wait()


@frozen
class Tree:
    """An open tree."""

    files: Files
    held: Held


@frozen
class Block:
    """A lease that is held."""

    lease: int
    tree: int
    temporary: bool
    held: Held


@define
class World:
    """The real directory, beside the model."""

    root: Path
    sources: Path
    model: Model
    nursery: trio.Nursery
    trees: dict[int, Tree] = field(factory=dict[int, Tree])
    blocks: list[Block] = field(factory=list[Block])
    told: list[Event] = field(factory=list[Event])
    leases: int = 0

    async def open(self, number: int) -> None:
        """Open a tree."""
        limits = self.model.limits
        config = FilesConfig(
            staging_dir=self.root,
            durability="none",
            max_bytes=limits.max_bytes,
            max_count=limits.max_count,
        )
        held = Held()
        seams = Seams(blocking=Inline(), clock=Clock(lambda: float(START)))
        context = open_files(config, on_event=[self.told.append], seams=seams)
        files: Files = await self.nursery.start(held.hold, context)
        self.trees[number] = Tree(files, held)
        self.model.open(number)

    async def close(self, number: int) -> None:
        """Close a tree, its blocks first."""
        for block in [block for block in self.blocks if block.tree == number]:
            await self.end(block)
        await self.trees.pop(number).held.aclose()
        del self.model.ticks[number]

    async def do(self, number: int, command: Command) -> None:
        """Carry out one command, here and in the model."""
        match command:
            case Stage():
                await self.stage(number, command)
            case Take(key, temporary):
                await self.take(number, key, temporary=temporary)
            case End(which):
                for block in self.blocks[which : which + 1]:
                    await self.end(block)
            case _:
                await self.administer(number, command)

    async def administer(self, number: int, command: Command) -> None:
        """Carry out what is neither a staging nor a lease."""
        files, model = self.trees[number].files, self.model
        match command:
            case Remove(key):
                attachment = described(self.root, key)
                await agree(lambda: model.remove(key), lambda: files.remove(attachment))
            case Pass(seconds):
                model.wait(seconds)
                await trio.sleep(seconds)
            case Cleanup(dry_run):
                await self.clean_up(files, dry_run=dry_run)
            case Reset(force):
                await agree(lambda: model.reset(force=force), lambda: files.reset(force))
            case Reopen():
                await self.close(number)
                await self.open(number)
            case Crash():
                await self.crash(number)
            case Damage(key, how):
                self.damage(key, how)
            case Verify():
                await self.verify(files)
            case _:
                raise AssertionError(command)

    async def crash(self, number: int) -> None:
        """Kill a registry, and wait until that is forgotten."""
        files = self.trees[number].files
        files.supervisor["registry"].kill()
        await files.metrics()
        self.model.open(number)
        self.model.wait(SETTLING)
        await trio.sleep(SETTLING)

    async def clean_up(self, files: Files, *, dry_run: bool) -> None:
        """Clean up, or ask what would go."""
        due = self.model.expired() if dry_run else self.model.sweep()

        report = await files.force_cleanup(dry_run)

        assert {each.key for each in report.attachments} == set(map(identity, due))
        assert (report.count, report.failed) == (len(due), ())
        assert report.bytes == sum(len(content) for content, _ in due)

    async def verify(self, files: Files) -> None:
        """Have everything read."""
        checked, bad = self.model.verify()

        report = await files.verify()

        assert {each.key for each in report.wrong} == set(map(identity, bad))
        assert (report.checked, report.unknown) == (checked, ())

    async def stage(self, number: int, command: Stage) -> None:
        """Stage."""
        key, model = command.key, self.model
        content, name = key
        troubled = {other for other, _ in (*model.gone, *model.wrong, *model.lost)}
        # A path may be known by its stat, and then need not mend all names.
        kind = "bytes" if content in troubled else command.source
        expected: list[Entry] = []
        got: list[Attachment] = []

        def ours() -> None:
            expected.append(
                model.stage(
                    number,
                    key,
                    command.ttl,
                    persist=command.persist,
                    declared=command.declared,
                )
            )

        async def theirs() -> None:
            got.append(
                await self.trees[number].files.stage(
                    self.source_of(content, kind),
                    name=name,
                    ttl=command.ttl,
                    persist=command.persist,
                    content_type=command.declared,
                    verify=command.verify,
                )
            )

        await agree(ours, theirs)
        assert [facts_of(each) for each in got] == [facts_of(each) for each in expected]

    async def take(self, number: int, key: Key, *, temporary: bool) -> None:
        """Begin a block."""
        files, model = self.trees[number].files, self.model
        lease, self.leases = self.leases, self.leases + 1

        def ours() -> None:
            if temporary:
                model.stage(number, key, 0.0, persist=False, declared=None)
            model.lease(lease, key)

        attachment = described(self.root, key)

        async def theirs() -> None:
            held = Held()
            context = files.temporary(key[0], name=key[1]) if temporary else files.lease(attachment)
            await self.nursery.start(held.hold, context)
            self.blocks.append(Block(lease, number, temporary, held))

        await agree(ours, theirs)

    async def end(self, block: Block) -> None:
        """End a block."""
        self.blocks.remove(block)
        self.model.release(block.lease, temporary=block.temporary)
        await block.held.aclose()

    def source_of(self, content: bytes, kind: str) -> StageSource:
        """The same bytes, by a way of its own."""

        async def stream() -> AsyncGenerator[bytes]:
            yield content[:2]
            yield content[2:]

        if kind == "stream":
            return stream()
        return content if kind == "bytes" else self.sources / str(CONTENTS.index(content))

    def damage(self, key: Key, how: str) -> None:
        """Delete one file, or write to one: then all the names of its content are wrong."""
        path = described(self.root, key).path
        writes = how != "delete"
        if not path.exists() or (writes and (not key[0] or key in self.model.wrong)):
            return  # a change of a change may be none
        match how:
            case "delete":
                path.unlink()
            case "cut":
                os.truncate(path, len(key[0]) - 1)
            case _:
                tamper(path, hide=how == "change in silence")
        self.model.damage(key, deleted=not writes)

    async def compare(self) -> None:
        """Everything that can be seen is as the model says."""
        await wait_all_tasks_blocked()
        listing = [facts_of(entry) for entry in self.model.listing()]
        for number, tree in self.trees.items():
            listed = await tree.files.list_staged()
            assert [facts_of(each) for each in listed] == listing
            for attachment in listed:
                await self.compare_found(tree.files, attachment)
            metrics = await tree.files.metrics()
            assert metrics.to_dict() == self.counted(number)
        cleaned = [
            (event.metadata["checksum"], event.metadata["name"])
            for event in self.told
            if event.name == "codex.attachment.cleaned"
        ]
        self.told.clear()
        assert sorted(cleaned) == sorted(map(identity, self.model.removed))
        self.model.removed.clear()
        self.compare_disk()

    async def compare_found(self, files: Files, attachment: Attachment) -> None:
        """One is found if its file is whole, and then has the right bytes."""
        (key,) = [key for key in self.model.entries if attachment.key == identity(key)]
        if self.model.whole(key):
            assert await files.get(*attachment.key) == attachment
            assert attachment.path.read_bytes() == key[0]
        elif key in self.model.gone:
            with pytest.raises(AttachmentNotFound):
                await files.get(*attachment.key)

    def compare_disk(self) -> None:
        """There is a file for each entry, one inode for each content, and nothing else."""
        files = [path for path in self.root.glob("[0-9a-f]*/*") if path.parent.name != ".partials"]
        present = {(path.parent.name, path.name) for path in files}
        expected = self.model.entries.keys() - self.model.gone
        assert present == set(map(identity, expected))
        directories = {path.name for path in self.root.iterdir() if path.name[0] != "."}
        directories -= {name for name in directories if name.startswith(("manifest", "CACHEDIR"))}
        assert directories <= {checksum_of(content) for content, _ in self.model.entries}
        for checksum in directories:
            inodes = {path.stat().st_ino for path in files if path.parent.name == checksum}
            assert len(inodes) <= 1
        assert partials_of(self.root) == []
        for path in self.root.glob(".quarantine/*"):
            assert checksum_of(path.read_bytes()) != path.name.partition(".")[0]

    def counted(self, number: int) -> dict[str, int]:
        """What the metrics must be."""
        entries = self.model.entries.values()
        persistent = [entry for entry in entries if entry.persist]
        blobs = {entry.content for entry in entries}
        total = sum(len(entry.content) for entry in entries)
        kept = sum(len(entry.content) for entry in persistent)
        held = sum(map(len, blobs))
        return {
            "total_count": len(entries),
            "total_bytes": total,
            "persistent_count": len(persistent),
            "persistent_bytes": kept,
            "expirable_count": len(entries) - len(persistent),
            "expirable_bytes": total - kept,
            "blob_count": len(blobs),
            "blob_bytes": held,
            "saved_bytes": total - held,
            "hits": self.model.hits[number],
            "misses": self.model.misses[number],
            "partial_files": 0,
            "leases": len(self.model.leases),
            "transfers_running": 0,
            "transfers_queued": 0,
        }


def identity(key: Key) -> tuple[str, str]:
    """A key of the model as one of ours."""
    return (checksum_of(key[0]), key[1])


def described(root: Path, key: Key) -> Attachment:
    """An attachment as far as it takes to ask for it."""
    checksum, name = identity(key)
    return Attachment(
        name=name,
        path=root / checksum / name,
        checksum=checksum,
        algorithm="blake3",
        size=len(key[0]),
        content_type="text/plain",
        persist=False,
        inserted_at=datetime.fromtimestamp(START, UTC),
        ttl=0.0,
        expires_at=None,
    )


def facts_of(one: Entry | Attachment) -> dict[str, Any]:
    """What an attachment says, moments in milliseconds."""
    if isinstance(one, Entry):
        return {
            "key": identity(one.key),
            "size": len(one.content),
            "content_type": one.content_type,
            "persist": one.persist,
            "inserted_at": one.inserted_at,
            "expires_at": one.expires_at,
            "ttl": float("inf")
            if one.expires_at is None
            else (one.expires_at - one.inserted_at) / 1000,
        }
    expires_at = one.expires_at
    return {
        "key": one.key,
        "size": one.size,
        "content_type": one.content_type,
        "persist": one.persist,
        "inserted_at": round(one.inserted_at.timestamp() * 1000),
        "expires_at": None if expires_at is None else round(expires_at.timestamp() * 1000),
        "ttl": one.ttl,
    }


async def agree(ours: Callable[[], object], theirs: Callable[[], Awaitable[object]]) -> None:
    """Both succeed, or both refuse with the same error."""
    expected: type[FilesError] | None = None
    refused: type[FilesError] | None = None
    try:
        ours()
    except FilesError as error:
        expected = type(error)
    try:
        await theirs()
    except FilesError as error:
        refused = type(error)
    assert refused is expected
