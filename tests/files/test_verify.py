"""`verify()`: everything is read again; what is wrong goes, and comes back with its content."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define, field, frozen
from files_support import partials_of, tamper, tree_of

from codex_actors.files import (
    AttachmentNotFound,
    Event,
    Files,
    FilesConfig,
    Seams,
    VerifyReport,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.store.disk import Disk

MIB = 1 << 20


@pytest.fixture
def config(tmp_path: Path) -> FilesConfig:
    """Settings of a staging directory that is not there yet."""
    return FilesConfig(staging_dir=tmp_path / "staging", durability="none")


async def test_what_is_as_it_was_staged_passes(config: FilesConfig) -> None:
    """Every name is checked; nothing is moved."""
    async with open_files(config) as files:
        await files.stage(b"a", name="one")
        await files.stage(b"a", name="two")
        await files.stage(b"", name="empty")
        before = tree_of(files_root(config))

        report = await files.verify()

        assert report == VerifyReport(checked=3)
        assert tree_of(files_root(config)) == before


@pytest.mark.parametrize("hide", [False, True])
async def test_tampered_bytes_are_quarantined_and_come_back_with_their_content(
    config: FilesConfig, *, hide: bool
) -> None:
    """Under all names, with the lives that they had."""
    # F30, E6
    told: list[Event] = []
    async with open_files(config, on_event=[told.append]) as files:
        one = await files.stage(b"precious", name="one", persist=True)
        two = await files.stage(b"precious", name="two")
        fine = await files.stage(b"fine", name="fine")
        tamper(one.path, hide=hide)

        report = await files.verify()
        listed = await files.list_staged()
        metrics = await files.metrics()
        again = await files.stage(b"precious", name="three")

        assert report.checked == 3
        assert {attachment.name for attachment in report.wrong} == {"one", "two"}
        assert [path.read_bytes() for path in report.quarantined] == [b"qrecious"] * 2
        assert report.unknown == ()
        assert listed == (fine,)
        assert (metrics.total_count, metrics.blob_count, metrics.blob_bytes) == (1, 1, 4)
        assert again.path.read_bytes() == b"precious"
        assert await files.get(one.checksum, "one") == one
        assert await files.get(two.checksum, "two") == two
        assert one.path.samefile(two.path)
        assert await files.verify() == VerifyReport(checked=4)
        moved = [event for event in told if event.name == "codex.attachment.quarantined"]
        assert {event.metadata["path"] for event in moved} == set(map(str, report.quarantined))


async def test_a_file_that_is_gone_is_wrong_but_nowhere(config: FilesConfig) -> None:
    """There is nothing to put into quarantine."""
    async with open_files(config) as files:
        attachment = await files.stage(b"x", name="x")
        attachment.path.unlink()

        report = await files.verify()

        assert report == VerifyReport(checked=1, wrong=(attachment,))
        assert await files.list_staged() == ()
        assert (await files.metrics()).blob_count == 0


async def test_files_that_nobody_knows_of_are_found(config: FilesConfig) -> None:
    """Adopted where they are what their place says, in quarantine otherwise."""
    root = files_root(config)
    async with open_files(config) as files:
        await files.force_cleanup()  # the sweeper's own first look is over
        attachment = await files.stage(b"x", name="x")
        genuine = attachment.path.with_name("genuine")
        genuine.write_bytes(b"x")
        wrong = attachment.path.with_name("wrong")
        wrong.write_bytes(b"y")

        report = await files.verify()

        assert report.checked == 1
        assert set(report.unknown) == {genuine, wrong}
        assert [path.read_bytes() for path in report.quarantined] == [b"y"]
        assert {found.name for found in await files.list_staged()} == {"x", "genuine"}
        assert not wrong.exists()
        assert partials_of(root) == []


async def test_what_only_looks_touched_is_sealed_again(config: FilesConfig) -> None:
    """A new mode changes the status of a file, not its bytes: it is read once."""
    reads = Reads()
    seams = Seams(disk=CountingDisk("none", reads))
    async with open_files(config, seams=seams) as files:
        attachment = await files.stage(b"x", name="x")
        before = attachment.path.stat()
        while attachment.path.stat().st_ctime_ns == before.st_ctime_ns:
            attachment.path.chmod(0o600)
        reads.blobs = 0

        async with files.lease(attachment):
            once = reads.blobs
        async with files.lease(attachment):
            twice = reads.blobs

        assert (once, twice) == (1, 1)


async def test_a_wrong_content_that_nobody_stages_again_is_forgotten_in_time(
    config: FilesConfig, autojump_clock: trio.testing.MockClock
) -> None:
    """Its entry expires like any other, and so does not come back."""
    seams = Seams(blocking=Inline())
    async with open_files(config, seams=seams) as files:
        attachment = await files.stage(b"precious", name="one", ttl=30)
        tamper(attachment.path)
        await files.verify()

        await trio.sleep(31)
        await files.stage(b"precious", name="two")

        assert [found.name for found in await files.list_staged()] == ["two"]


@pytest.mark.parametrize("forget", [Files.reset, "remove"])
async def test_what_was_removed_meanwhile_does_not_come_back(
    config: FilesConfig, forget: Callable[[Files], object] | str
) -> None:
    """Neither after a reset, nor when it was named."""
    async with open_files(config) as files:
        attachment = await files.stage(b"precious", name="one", persist=True)
        tamper(attachment.path)
        await files.verify()

        if forget == "remove":
            with pytest.raises(AttachmentNotFound):
                await files.remove(attachment)
        else:
            await files.reset()
        await files.stage(b"precious", name="two")

        assert [found.name for found in await files.list_staged()] == ["two"]


async def test_a_verification_can_be_cancelled(
    config: FilesConfig, autojump_clock: trio.testing.MockClock
) -> None:
    """Between two chunks of a large file; the tree goes on."""
    seams = Seams(blocking=Inline())
    async with open_files(config, seams=seams) as files:
        await files.stage(bytes(8 * MIB), name="large")

        with trio.CancelScope() as scope:
            scope.cancel()
            await files.verify()

        assert scope.cancelled_caught
        assert await files.verify() == VerifyReport(checked=1)


@define
class Reads:
    """How often blobs were opened."""

    blobs: int = 0


@frozen
class CountingDisk(Disk):
    """Counts."""

    reads: Reads = field(factory=Reads)

    def open_blob(self, path: Path) -> int | None:
        """Count and open."""
        self.reads.blobs += 1
        return super().open_blob(path)


def files_root(config: FilesConfig) -> Path:
    """The staging directory."""
    assert config.staging_dir is not None
    return config.staging_dir
