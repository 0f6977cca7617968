"""What was wrong with the original's store must not come back: one test for each defect.

Numbered as in the list of the original's defects. Those of copying are in
`test_original_defects_copying`, those of delivery in `test_original_defects_delivery`.
"""

import math
import os
import sqlite3
import sys
import textwrap
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define, field, frozen
from files_support import partials_of, tamper, tree_of

from codex_actors import ActorDied, ActorStopped
from codex_actors.files import (
    Attachment,
    AttachmentNotFound,
    ChecksumMismatch,
    Event,
    Files,
    FilesConfig,
    InvalidName,
    QuotaExceeded,
    Seams,
    StagingIOError,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.clock import Clock
from codex_actors.files.store.directory import choose_staging_dir
from codex_actors.files.store.disk import Disk
from codex_actors.testing import Faults

HOUR = 3600.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@pytest.fixture
def config(root: Path) -> FilesConfig:
    """Settings for it."""
    return FilesConfig(staging_dir=root, durability="none")


@asynccontextmanager
async def in_virtual_time(
    config: FilesConfig,
    *,
    told: list[Event] | None = None,
    clock: Clock | None = None,
    disk: Disk | None = None,
) -> AsyncGenerator[Files]:
    """Open files whose every step is in virtual time."""
    seams = Seams(blocking=Inline(), clock=clock or Clock(), disk=disk)
    on_event = [] if told is None else [told.append]
    async with open_files(config, on_event=on_event, seams=seams) as files:
        yield files


OTHER_PROCESS = textwrap.dedent("""
    import sys, trio
    from codex_actors.files import FilesConfig, open_files

    async def main():
        async with open_files(FilesConfig(staging_dir=sys.argv[1])) as files:
            await files.stage(b"theirs", name="theirs")
            await files.force_cleanup()

    trio.run(main)
""")


async def test_e1_opening_wipes_nothing(config: FilesConfig, root: Path) -> None:
    """What was staged before, and what another process stages, leases and writes right now."""
    # F22, E1
    async with open_files(config) as files:
        earlier = await files.stage(b"earlier", name="earlier")

    async def interrupted() -> AsyncGenerator[bytes]:
        yield b"half, "
        await trio.run_process([sys.executable, "-c", OTHER_PROCESS, str(root)])
        yield b"and half"

    async with open_files(config) as files, files.temporary(b"in use", name="leased") as leased:
        written = await files.stage(interrupted(), name="written")
        listed = {attachment.name for attachment in await files.list_staged()}

        assert listed == {"earlier", "leased", "written", "theirs"}
        assert earlier.path.read_bytes() == b"earlier"
        assert leased.path.read_bytes() == b"in use"
        assert written.path.read_bytes() == b"half, and half"


@pytest.mark.parametrize(
    "name", ["../../victim.txt", "/victim.txt", "a/../../victim.txt", "..", "..\\victim.txt"]
)
async def test_e2_a_name_leads_nowhere(config: FilesConfig, root: Path, name: str) -> None:
    """Nobody's file is overwritten at the staging, nor deleted at the cleanup."""
    # F17, E2
    victims = [root.parent / "victim.txt", root.parent.parent / "victim.txt"]
    for victim in victims:
        victim.write_bytes(b"precious")

    async with open_files(config) as files:
        before = tree_of(root)
        with pytest.raises(InvalidName):
            await files.stage(b"evil", name=name, ttl=0)
        await files.force_cleanup()
        await files.reset(force=True)

        assert tree_of(root) == before
    assert [victim.read_bytes() for victim in victims] == [b"precious"] * 2


async def by_sweep(files: Files) -> None:
    """Remove an attachment by its age."""
    await files.stage(b"x", name="x", ttl=0)
    await files.force_cleanup()


async def by_hand(files: Files) -> None:
    """Remove two names of a content, one after the other."""
    one = await files.stage(b"x", name="one")
    two = await files.stage(b"x", name="two")
    await files.remove(one)
    assert two.path.exists()
    await files.remove(two)


async def by_the_end_of_a_block(files: Files) -> None:
    """Stage for a moment."""
    async with files.temporary(b"x", name="x"):
        pass


async def by_reset(files: Files) -> None:
    """Remove everything."""
    await files.stage(b"x", name="x", persist=True)
    await files.reset()


async def by_a_loss(files: Files) -> None:
    """Find out that a file is gone."""
    attachment = await files.stage(b"x", name="x")
    attachment.path.unlink()
    assert (await files.verify()).wrong == (attachment,)


async def by_a_refused_lease(files: Files) -> None:
    """Find out that a file is wrong."""
    attachment = await files.stage(b"precious", name="x")
    tamper(attachment.path)
    with pytest.raises(ChecksumMismatch):
        await files.lease(attachment).__aenter__()


async def by_a_lost_file_and_a_sweep(files: Files) -> None:
    """Remove what has no file any more."""
    attachment = await files.stage(b"x", name="x", ttl=0)
    attachment.path.unlink()
    await files.force_cleanup()


async def by_a_failure(files: Files) -> None:
    """Fail in the middle of the bytes."""

    async def broken() -> AsyncGenerator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await files.stage(broken(), name="x")


@pytest.mark.parametrize(
    "remove",
    [
        by_sweep,
        by_hand,
        by_the_end_of_a_block,
        by_reset,
        by_a_loss,
        by_a_refused_lease,
        by_a_lost_file_and_a_sweep,
        by_a_failure,
    ],
)
async def test_e3_no_empty_directory_stays(
    config: FilesConfig, root: Path, remove: Callable[[Files], Awaitable[None]]
) -> None:
    """Whichever way an attachment goes, its checksum directory goes with it."""
    # F38, E3
    async with open_files(config) as files:
        await remove(files)

        assert [path for path in root.iterdir() if len(path.name) == 64] == []


async def test_e3_no_empty_directory_stays_after_an_eviction(root: Path) -> None:
    """Nor that of what had to make room."""
    # F38, E3
    async with open_files(FilesConfig(staging_dir=root, max_count=1)) as files:
        await files.stage(b"old", name="old")

        new = await files.stage(b"new", name="new")

        assert [path for path in root.iterdir() if len(path.name) == 64] == [new.path.parent]


@pytest.mark.parametrize("how", ["bytes", "path", "other name"])
async def test_e4_a_hit_has_its_file(config: FilesConfig, how: str) -> None:
    """One whose file is gone is a miss: it is staged again, and told so."""
    # F44, E4
    source = Path(os.__file__)  # written long ago: known by its stat
    data = source.read_bytes()
    told: list[Event] = []
    async with open_files(config, on_event=[told.append]) as files:
        first = await files.stage(source)
        first.path.unlink()

        again = await files.stage(
            data if how == "bytes" else source, name="other" if how == "other name" else first.name
        )

        assert again.path.read_bytes() == data
        assert first.path.read_bytes() == data  # mended under all its names
        cached = [event.metadata["cached?"] for event in told]
        assert cached == [False, False]
        assert (await files.metrics()).misses == 2


async def test_e5_a_second_name_is_an_attachment_of_its_own(config: FilesConfig) -> None:
    """With its own name, type, path and life, over the same bytes."""
    # F2, E5
    async with open_files(config) as files:
        csv = await files.stage(b"1,2", name="table.csv", ttl=60)
        text = await files.stage(b"1,2", name="notes.txt", persist=True)

        assert (csv.id, csv.path.name, csv.content_type) == (text.id, "table.csv", "text/csv")
        assert (text.path.name, text.content_type, text.persist) == (
            "notes.txt",
            "text/plain",
            True,
        )
        assert await files.list_staged() == (csv, text)
        await files.remove(csv)
        assert text.path.read_bytes() == b"1,2"


async def stage_path(files: Files, source: Path, attachment: Attachment) -> Attachment:
    """Stage the path that the attachment came from."""
    return await files.stage(source, name=attachment.name)


async def stage_bytes(files: Files, source: Path, attachment: Attachment) -> Attachment:
    """Stage the same bytes from memory."""
    return await files.stage(source.read_bytes(), name=attachment.name)


async def stage_other_name(files: Files, source: Path, attachment: Attachment) -> Attachment:
    """Stage the path under one more name."""
    return await files.stage(source, name="third")


@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize("restage", [stage_path, stage_bytes, stage_other_name])
async def test_e6_tampered_bytes_are_no_hit(
    config: FilesConfig,
    root: Path,
    *,
    hide: bool,
    restage: Callable[[Files, Path, Attachment], Awaitable[Attachment]],
) -> None:
    """Same size, other bytes, also with its times put back: quarantined, and all names mended."""
    # F30, E6
    source = Path(os.__file__)
    good = source.read_bytes()
    async with open_files(config) as files:
        first = await files.stage(source, name="first")
        second = await files.stage(source, name="second")
        tamper(first.path, hide=hide)
        bad = first.path.read_bytes()

        again = await restage(files, source, first)

        names = {path.name: path.read_bytes() for path in again.path.parent.iterdir()}
        assert names == dict.fromkeys({"first", "second", again.name}, good)
        assert first.path.samefile(second.path)
        assert {path.read_bytes() for path in (root / ".quarantine").iterdir()} == {bad}


@pytest.mark.parametrize("hide", [False, True])
async def test_e6_tampered_bytes_are_not_leased(config: FilesConfig, *, hide: bool) -> None:
    """Whoever wants to use them is told; a staging brings the attachment back as it was."""
    # F30, E6
    async with open_files(config) as files:
        attachment = await files.stage(b"precious", name="x", persist=True)
        tamper(attachment.path, hide=hide)

        with pytest.raises(ChecksumMismatch, match="stage it again") as caught:
            await files.lease(attachment).__aenter__()
        listed = await files.list_staged()
        async with files.temporary(b"precious", name="other"):
            back = await files.get(attachment.checksum, "x")
            async with files.lease(back):
                assert back.path.read_bytes() == b"precious"

        assert caught.value.quarantined is not None
        assert caught.value.quarantined.read_bytes() == b"qrecious"
        assert listed == ()
        assert (back.persist, back.path) == (True, attachment.path)


async def test_e7_nobody_shortens_anothers_time(
    config: FilesConfig, autojump_clock: trio.testing.MockClock
) -> None:
    """An hour stays an hour, whatever others stage for no time at all, or temporarily."""
    # F35, E7
    async with in_virtual_time(config) as files:
        attachment = await files.stage(b"x", name="x", ttl=HOUR)

        await files.stage(b"x", name="x", ttl=0)
        async with files.temporary(b"x", name="x"):
            pass
        report = await files.force_cleanup()
        await trio.sleep(HOUR - 60)
        before = await files.list_staged()
        await trio.sleep(121)

        assert report.count == 0
        assert [each.expires_at for each in before] == [attachment.expires_at]
        assert await files.list_staged() == ()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_e9_nobody_else_may_look(config: FilesConfig, root: Path, umask: int) -> None:
    """Every directory is 0700 and every file 0600, whatever the umask, also while it is written."""
    # F19, E9
    seen: dict[str, int] = {}

    def look() -> None:
        for path in [root, *root.rglob("*")]:
            seen[str(path)] = path.stat().st_mode & 0o777
            assert seen[str(path)] == (0o700 if path.is_dir() else 0o600), path

    async def watched() -> AsyncGenerator[bytes]:
        while not partials_of(root):
            yield b"x"
        look()

    old = os.umask(umask)
    try:
        async with open_files(config) as files:
            await files.stage(watched(), name="x")
            (await files.stage(b"z", name="z")).path.write_bytes(b"Z")
            await files.verify()
            look()
    finally:
        os.umask(old)

    kinds = {Path(path).suffix or Path(path).name for path in seen}
    assert {"staging", ".partial", ".quarantine", ".sqlite3", ".sqlite3-wal"} <= kinds


def test_e9_the_default_is_no_place_that_strangers_know() -> None:
    """It lies under the working directory, not in one that everybody writes to."""
    # F19, E9
    chosen = choose_staging_dir(None, {})

    assert chosen == Path.cwd() / "_build" / "codex_files"


async def test_e10_what_was_answered_in_a_sweep_stays(config: FilesConfig) -> None:
    """A hundred expired ones, made persistent while they are swept: each is kept or staged anew."""
    # E10
    answered: list[Attachment] = []
    async with open_files(config) as files:
        for number in range(100):
            await files.stage(b"%d" % number, name=str(number), ttl=0)

        async def persist(number: int) -> None:
            answered.append(await files.stage(b"%d" % number, name=str(number), persist=True))

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(persist, number)
            nursery.start_soon(files.force_cleanup)
            for number in range(50, 100):
                nursery.start_soon(persist, number)
        await files.force_cleanup()

        assert len(answered) == 100
        for attachment in answered:
            assert attachment.path.read_bytes() == attachment.name.encode()
        assert {each.key for each in await files.list_staged()} == {each.key for each in answered}


async def test_e10_a_sweep_decides_when_it_removes(config: FilesConfig) -> None:
    """What is made persistent between its start and its deletion stays."""
    # E10
    faults = Faults()
    faults.hang("sweeper", at="sweeper.sweeping")
    with faults:
        async with open_files(config) as files, trio.open_nursery() as nursery:
            await files.stage(b"x", name="x", ttl=0)
            nursery.start_soon(files.force_cleanup)
            with trio.fail_after(10):
                while not faults.happened:
                    await trio.lowlevel.checkpoint()

            attachment = await files.stage(b"x", name="x", persist=True)
            faults.release()
            await files.force_cleanup()

            assert await files.list_staged() == (attachment,)
            assert attachment.path.read_bytes() == b"x"


@frozen
class Stubborn(Disk):
    """Real files, of which those of one name cannot be deleted while told so."""

    stuck: set[str] = field(factory=set[str])

    def unlink(self, path: Path) -> None:
        """Unlink, or fail."""
        if path.name in self.stuck:
            raise PermissionError(1, "Operation not permitted")
        super().unlink(path)


async def test_e16_what_was_not_deleted_is_not_told_as_cleaned(
    config: FilesConfig, autojump_clock: trio.testing.MockClock
) -> None:
    """It is told as failed, stays listed and counted, and goes when it can."""
    # F40, F41, E16
    told: list[Event] = []
    disk = Stubborn("none", {"stuck"})
    async with in_virtual_time(config, told=told, disk=disk) as files:
        stuck = await files.stage(b"12", name="stuck", ttl=0)
        goes = await files.stage(b"3", name="goes", ttl=0)
        told.clear()

        report = await files.force_cleanup()
        metrics = await files.metrics()
        with pytest.raises(StagingIOError):
            await files.remove(stuck)
        names = [(event.name, event.metadata.get("name")) for event in told]
        told.clear()
        disk.stuck.clear()
        await trio.sleep(61)

        assert (report.attachments, report.failed) == ((goes,), (stuck,))
        assert (metrics.total_count, metrics.blob_bytes) == (1, 2)
        assert ("codex.attachment.cleaned", "goes") in names
        assert ("codex.attachment.failed", "stuck") in names
        assert ("codex.attachment.cleaned", "stuck") not in names
        assert "codex.attachment.cleaned" in [event.name for event in told]
        assert await files.list_staged() == ()


@define
class Wall:
    """A clock on the wall, which anybody may set."""

    time: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.time


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
async def test_e17_the_wall_clock_expires_nothing(
    config: FilesConfig, autojump_clock: trio.testing.MockClock, jump: float
) -> None:
    """A day forward expires nothing early, a day back nothing late."""
    # F39, E17
    wall = Wall()
    async with in_virtual_time(config, clock=Clock(wall)) as files:
        await files.stage(b"x", name="x", ttl=HOUR)

        wall.time += jump
        await trio.sleep(HOUR - 61)
        await files.force_cleanup()
        early = await files.list_staged()
        await trio.sleep(122)
        late = await files.list_staged()

        assert (len(early), late) == (1, ())


async def test_e21_an_error_is_no_empty_list(config: FilesConfig, root: Path) -> None:
    """Nothing staged is an answer; not knowing is an error."""
    # E21
    async with open_files(config) as files:
        nothing = await files.list_staged()
        attachment = await files.stage(b"x", name="x")
        raw = sqlite3.connect(root / "manifest.sqlite3")
        raw.execute("ALTER TABLE attachments RENAME TO elsewhere")
        raw.close()

        with pytest.raises(ActorDied):
            await files.list_staged()
        raw = sqlite3.connect(root / "manifest.sqlite3")
        raw.execute("ALTER TABLE elsewhere RENAME TO attachments")
        raw.close()
        recovered = await files.list_staged()

    assert (nothing, recovered) == ((), (attachment,))
    for ask in (files.list_staged, files.metrics, files.force_cleanup, files.reset):
        with pytest.raises(ActorStopped):
            await ask()


async def test_e22_temporary_types_and_quota_are_there(root: Path) -> None:
    """What the original only planned: gone at the end of a block, typed by its bytes, bounded."""
    # E22
    async with open_files(FilesConfig(staging_dir=root, max_bytes=10, max_count=2)) as files:
        async with files.temporary(b"\x89PNG\r\n\x1a\n", name="picture.txt") as picture:
            assert picture.content_type == "image/png"
            assert picture.path.exists()
            with pytest.raises(QuotaExceeded):
                await files.stage(b"123", name="too much")
        assert not picture.path.exists()
        with pytest.raises(AttachmentNotFound):
            await files.get(picture.checksum)

        await files.stage(b"1", name="1", ttl=math.inf)
        await files.stage(b"2", name="2", persist=True)
        await files.stage(b"3", name="3")

        assert [each.name for each in await files.list_staged()] == ["2", "3"]
