"""Uploads that go well, and those that are refused before anything is sent."""

import os
from pathlib import Path
from typing import Literal

import pytest
import trio
from attrs import define, field, frozen
from files_support import tree_of
from trio.testing import MockClock
from uploads_support import CHILD, DATA, PART, PATIENT, Told, in_parts, opened, whole

from codex_actors.files import (
    AttachmentNotFound,
    ChecksumMismatch,
    InvalidConfig,
    MissingCredentials,
    Progress,
    Retry,
    TargetLimitExceeded,
    TransfersBusy,
    UploadedFile,
    UploadError,
)
from codex_actors.files.parts import parts_of
from codex_actors.files.store.disk import Disk
from codex_actors.files.targets.protocol import Part
from codex_actors.testing import Faults, Stall


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


async def test_a_file_arrives_byte_for_byte(root: Path, autojump_clock: MockClock) -> None:
    """And is described by what was staged."""
    target = in_parts()
    async with opened(root) as files:
        attachment = await files.stage(DATA, name="data.csv")

        uploaded = await files.upload(attachment, target=target)

        assert isinstance(uploaded, UploadedFile)
        assert target.files == {uploaded.file_id: DATA}
        assert (uploaded.name, uploaded.size, uploaded.checksum) == (
            "data.csv",
            len(DATA),
            attachment.checksum,
        )
        assert (uploaded.target, uploaded.content_type) == ("scripted", "text/csv")
        assert uploaded.to_dict()["file_id"] == uploaded.file_id
        assert (target.pending, target.sessions) == ({}, 0)


@pytest.mark.parametrize("parts", [1, 4, 5])
@pytest.mark.parametrize("more", [0, 1])
async def test_exactly_as_many_parts_as_needed(
    root: Path, autojump_clock: MockClock, parts: int, more: int
) -> None:
    """K parts make k, one byte more makes k + 1."""
    # F51
    target = in_parts()
    data = b"x" * (parts * PART + more)
    async with opened(root) as files:
        uploaded = await files.upload(data, target=target, name="x")

        sent = sorted(step for step in target.log if step.startswith("part"))
        assert sent == [f"part {number}" for number in range(parts + more)]
        assert target.files[uploaded.file_id] == data


def test_parts_are_cut_in_file_order() -> None:
    """The last one is what is left; without a size there is one."""
    # F51
    assert parts_of(7, 3) == (Part(0, 0, 3), Part(1, 3, 3), Part(2, 6, 1))
    assert parts_of(6, 3) == (Part(0, 0, 3), Part(1, 3, 3))
    assert parts_of(6, None) == (Part(0, 0, 6),)
    assert parts_of(0, 3) == ()


async def test_parts_that_end_out_of_order_are_completed_in_order(
    root: Path, autojump_clock: MockClock
) -> None:
    """The target refuses receipts in any other order."""
    # F52
    target = in_parts(parallel=5)
    for number in range(4):
        target.script(f"part {number}", Stall(9.0 - number))
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=target, name="x")

        assert target.files == {uploaded.file_id: DATA}


async def test_no_more_parts_in_flight_than_the_target_takes(
    root: Path, autojump_clock: MockClock
) -> None:
    """But that many."""
    # F58
    target = in_parts(parallel=3)
    target.script("part", *[Stall(1.0) for _ in range(5)])
    async with opened(root) as files:
        await files.upload(DATA, target=target, name="x")

        assert target.most_in_flight == 3


async def test_a_small_file_goes_in_one_request(root: Path, autojump_clock: MockClock) -> None:
    """At the limit, too; one byte more goes in parts."""
    target = in_parts(whole_bytes=PART)
    async with opened(root) as files:
        await files.upload(b"x" * PART, target=target, name="x")
        small = list(target.log)
        await files.upload(b"x" * (PART + 1), target=target, name="x")

        assert small == ["whole"]
        assert target.log[1:] == ["begin", "part 0", "part 1", "complete"]


async def test_progress_counts_what_was_acknowledged(root: Path, autojump_clock: MockClock) -> None:
    """It only grows, ends with all of it, and tells a rate and how long it will take."""
    target = in_parts(parallel=1)
    target.script("part", *[Stall(1.0) for _ in range(5)])
    told: list[Progress] = []
    async with opened(root) as files:
        await files.upload(DATA, target=target, name="x", progress=told.append)

        amounts = [progress.acknowledged for progress in told]
        assert amounts == sorted(amounts)
        assert {*amounts} == {0, 1000, 2000, 3000, 4000, 4500}
        assert {progress.total for progress in told} == {4500}
        halfway = next(progress for progress in told if progress.acknowledged == 2000)
        assert halfway.rate == pytest.approx(1000.0)
        assert halfway.eta == pytest.approx(2.5)


async def test_events_tell_of_an_upload(root: Path, autojump_clock: MockClock) -> None:
    """One start, one stop, with what a bridge to metrics needs."""
    told = Told()
    async with opened(root, told=told) as files:
        uploaded = await files.upload(DATA, target=in_parts(), name="x")

        assert told.names() == ["start", "progress", "stop"]
        (stop,) = told.named("stop")
        assert stop.measurements["size_bytes"] == len(DATA)
        assert stop.metadata["file_id"] == uploaded.file_id
        assert stop.metadata["cached?"] is False


async def test_the_error_of_a_progress_callback_passes_unchanged(
    root: Path, autojump_clock: MockClock
) -> None:
    """And nothing is left at the target."""
    target = in_parts()

    def refuse(progress: Progress) -> None:
        if progress.acknowledged >= 2000:
            raise ZeroDivisionError

    async with opened(root) as files:
        with pytest.raises(ZeroDivisionError):
            await files.upload(DATA, target=target, name="x", progress=refuse)

        assert (target.files, target.pending, target.sessions) == ({}, {}, 0)
        assert (await files.metrics()).transfers_running == 0


async def test_what_is_no_attachment_is_staged_for_the_time_of_the_upload(
    root: Path, autojump_clock: MockClock
) -> None:
    """The copy is gone afterwards, the upload is remembered."""
    target = in_parts()
    async with opened(root) as files:
        before = tree_of(root)

        first = await files.upload(DATA, target=target, name="x")

        assert tree_of(root) == before
        assert await files.list_staged() == ()
        assert await files.upload(DATA, target=target, name="other") == first


async def test_the_lease_of_an_upload_is_given_back(root: Path, autojump_clock: MockClock) -> None:
    """While it runs nothing removes the file, afterwards anything may."""
    # F37
    target = in_parts()
    target.script("part 4", Stall(30.0))
    async with opened(root) as files, trio.open_nursery() as nursery:
        attachment = await files.stage(DATA, name="x", ttl=1)

        async def send() -> None:
            await files.upload(attachment, target=target)

        nursery.start_soon(send)
        await trio.sleep(20)
        held = await files.force_cleanup()
        await trio.sleep(20)
        freed = await files.force_cleanup()

        assert (held.count, freed.count) == (0, 1)
        assert list(target.files.values()) == [DATA]
        assert (await files.metrics()).leases == 0


@pytest.mark.parametrize(
    ("size", "limits"),
    [(PART + 1, {"max_bytes": PART}), (0, {}), (2, {"min_bytes": 3})],
)
async def test_a_file_outside_of_the_limits_is_refused_before_any_request(
    root: Path, autojump_clock: MockClock, size: int, limits: dict[str, int]
) -> None:
    """The error names the file, its size and the limit."""
    # F50
    target = in_parts(**limits)
    async with opened(root) as files:
        attachment = await files.stage(b"x" * size, name="some.bin")

        with pytest.raises(TargetLimitExceeded, match=rf"'some.bin' has {size} bytes") as raised:
            await files.upload(attachment, target=target)

        assert isinstance(raised.value, ValueError)
        assert (raised.value.step, raised.value.attempts) == ("check", 0)
        assert not raised.value.can_retry
        assert (target.log, target.sessions) == ([], 0)
        assert (await files.metrics()).leases == 0


async def test_missing_credentials_are_told_before_anything_is_staged(
    root: Path, autojump_clock: MockClock
) -> None:
    """Nothing is read, nothing is sent."""
    target = in_parts()
    target.credential = None
    async with opened(root) as files:
        before = tree_of(root)

        with pytest.raises(MissingCredentials, match="no credential"):
            await files.upload(root / "missing", target=target)

        assert tree_of(root) == before


async def test_an_attachment_that_is_not_staged_here_is_told(
    root: Path, autojump_clock: MockClock
) -> None:
    """Nothing is sent."""
    target = in_parts()
    async with opened(root) as files:
        attachment = await files.stage(DATA, name="x")
        await files.remove(attachment)

        with pytest.raises(AttachmentNotFound):
            await files.upload(attachment, target=target)

        assert target.log == []


async def test_a_senseless_verify_is_refused(root: Path, autojump_clock: MockClock) -> None:
    """Like every other setting."""
    async with opened(root) as files:
        with pytest.raises(InvalidConfig, match="'some'"):
            await files.upload(DATA, target=in_parts(), name="x", verify="some")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - that is the test


def spoil(path: Path) -> None:
    """Change a byte in the middle."""
    with path.open("r+b") as file:
        file.seek(2500)
        file.write(b"\xff\xfe")


async def test_a_blob_that_was_changed_on_disk_does_not_leave_the_machine(
    root: Path, autojump_clock: MockClock
) -> None:
    """It goes to quarantine, and staging it again repairs it."""
    # F30 F32
    target = in_parts()
    async with opened(root) as files:
        attachment = await files.stage(DATA, name="x")
        spoil(attachment.path)

        with pytest.raises(ChecksumMismatch):
            await files.upload(attachment, target=target)
        again = await files.stage(DATA, name="x")
        await files.upload(again, target=target)

        assert target.log[0] == "begin"
        assert list(target.files.values()) == [DATA]
        assert len(list((root / ".quarantine").iterdir())) == 1


@define
class Reads:
    """How many were made to find out whether a blob is what it says."""

    made: int = 0


@frozen
class CountingDisk(Disk):
    """Real files; reads in full are counted."""

    reads: Reads = field(factory=Reads)

    def read_into(self, descriptor: int, buffer: bytearray) -> int:
        """Count, and read."""
        self.reads.made += 1
        return super().read_into(descriptor, buffer)


@pytest.mark.parametrize(("verify", "reads"), [("quick", 0), ("full", 2)])
async def test_a_file_is_read_in_full_on_request(
    root: Path, autojump_clock: MockClock, verify: Literal["quick", "full"], reads: int
) -> None:
    """Else only what was touched since it was staged is."""
    # F32
    disk = CountingDisk("none", Reads())
    async with opened(root, disk=disk) as files:
        attachment = await files.stage(DATA, name="x")
        before = disk.reads.made

        await files.upload(attachment, target=in_parts(), verify=verify)

        assert disk.reads.made - before == reads  # the bytes, and that there are no more


async def test_a_blob_that_is_changed_while_it_is_sent_aborts_the_upload(
    root: Path, autojump_clock: MockClock
) -> None:
    """What was sent is given up; the file is in quarantine."""
    target = in_parts(parallel=1)
    target.script("part 2", Stall(5.0))
    async with opened(root) as files, trio.open_nursery() as nursery:
        attachment = await files.stage(DATA, name="x")

        async def send() -> None:
            with pytest.raises(ChecksumMismatch, match="'x'"):
                await files.upload(attachment, target=target)

        nursery.start_soon(send)
        await trio.sleep(2)
        spoil(attachment.path)
        await trio.sleep(20)

        assert (target.files, target.pending) == ({}, {})
        assert target.log[-1] == "abort"
        assert await files.list_staged() == ()
        assert len(list((root / ".quarantine").iterdir())) == 1


async def test_a_blob_that_is_changed_while_it_waits_for_its_turn_is_not_sent(
    root: Path, autojump_clock: MockClock
) -> None:
    """It was right when the call was made."""
    # F32
    target = in_parts()
    target.script("begin", Stall(10.0))
    async with opened(root, max_transfers=1) as files, trio.open_nursery() as nursery:
        attachment = await files.stage(DATA, name="x")

        async def occupy() -> None:
            await files.upload(b"other", target=target, name="other")

        async def send() -> None:
            with pytest.raises(ChecksumMismatch):
                await files.upload(attachment, target=target)

        nursery.start_soon(occupy)
        await trio.sleep(1)
        nursery.start_soon(send)
        await trio.sleep(1)
        spoil(attachment.path)
        await trio.sleep(20)

        assert target.log == ["begin", "part 0", "complete"]
        assert await files.list_staged() == ()


async def test_a_blob_that_is_changed_before_its_only_request_makes_no_file(
    root: Path, autojump_clock: MockClock
) -> None:
    """The target is not given the last chunk of it."""
    target = whole()
    target.script("whole", Stall(5.0))
    async with opened(root) as files, trio.open_nursery() as nursery:
        attachment = await files.stage(DATA, name="x")

        async def send() -> None:
            with pytest.raises(ChecksumMismatch):
                await files.upload(attachment, target=target)

        nursery.start_soon(send)
        await trio.sleep(2)
        spoil(attachment.path)
        await trio.sleep(20)

        assert target.files == {}
        assert target.sessions == 0


async def test_a_blob_that_is_changed_after_its_last_part_is_not_completed(
    root: Path, autojump_clock: MockClock
) -> None:
    """What was sent may be right, and is not relied on."""
    target, faults = in_parts(), Faults()
    faults.hang(CHILD, at="upload.sent")
    with faults:
        async with opened(root) as files, trio.open_nursery() as nursery:
            attachment = await files.stage(DATA, name="x")

            async def send() -> None:
                with pytest.raises(ChecksumMismatch):
                    await files.upload(attachment, target=target)

            nursery.start_soon(send)
            await trio.sleep(2)
            spoil(attachment.path)
            faults.release()
            await trio.sleep(20)

            assert (target.files, target.pending) == ({}, {})


async def test_a_blob_that_is_cut_while_it_is_sent_aborts_the_upload(
    root: Path, autojump_clock: MockClock
) -> None:
    """Also when the rest of it is not there to be read."""
    target = in_parts(parallel=1)
    target.script("part 2", Stall(5.0))
    async with opened(root) as files, trio.open_nursery() as nursery:
        attachment = await files.stage(DATA, name="x")

        async def send() -> None:
            with pytest.raises(ChecksumMismatch):
                await files.upload(attachment, target=target)

        nursery.start_soon(send)
        await trio.sleep(2)
        os.truncate(attachment.path, 100)
        await trio.sleep(20)

        assert (target.files, target.pending) == ({}, {})


async def test_another_name_for_the_content_does_not_disturb_its_upload(
    root: Path, autojump_clock: MockClock
) -> None:
    """A new link changes the status of the file, not its bytes."""
    target = in_parts(parallel=1)
    target.script("part 2", Stall(5.0))
    async with opened(root) as files, trio.open_nursery() as nursery:
        attachment = await files.stage(DATA, name="x")

        async def send() -> None:
            await files.upload(attachment, target=target)

        nursery.start_soon(send)
        await trio.sleep(2)
        other = await files.stage(DATA, name="y")
        await files.remove(other)
        attachment.path.chmod(0o400)
        await trio.sleep(20)

        assert list(target.files.values()) == [DATA]


async def test_uploads_share_the_queue_with_stagings(root: Path, autojump_clock: MockClock) -> None:
    """Running and waiting ones are counted; one too many is told so."""
    # F46
    target = in_parts()
    target.script("begin", Stall(10.0), Stall(10.0))
    async with (
        opened(root, max_transfers=1, max_queued=1) as files,
        trio.open_nursery() as nursery,
    ):
        attachments = [await files.stage(bytes([number]), name="x") for number in range(3)]

        async def send(number: int) -> None:
            await files.upload(attachments[number], target=target)

        nursery.start_soon(send, 0)
        await trio.sleep(1)
        nursery.start_soon(send, 1)
        await trio.sleep(1)
        busy = await files.metrics()
        with pytest.raises(TransfersBusy):
            await files.upload(attachments[2], target=target)
        await trio.sleep(30)
        idle = await files.metrics()

        assert (busy.transfers_running, busy.transfers_queued) == (1, 1)
        assert (idle.transfers_running, idle.transfers_queued, idle.leases) == (0, 0, 0)
        assert len(target.files) == 2


async def test_a_hundred_uploads_through_eight_slots(root: Path, autojump_clock: MockClock) -> None:
    """All arrive, never more than eight at a time."""
    target = in_parts(parallel=1)
    target.script("part", *[Stall(1.0) for _ in range(200)])
    async with opened(root, max_transfers=8) as files, trio.open_nursery() as nursery:

        async def send(number: int) -> None:
            await files.upload(bytes([number]) * 1500, target=target, name="x")

        for number in range(100):
            nursery.start_soon(send, number)

        await trio.sleep(5)
        assert target.most_in_flight == 8
        assert target.sessions == 8
        nursery.cancel_scope.deadline = trio.current_time() + 1000

    assert len(target.files) == 100
    assert (target.pending, target.sessions) == ({}, 0)


async def test_the_deadline_ends_an_upload(root: Path, autojump_clock: MockClock) -> None:
    """However well it goes; the error says where it was."""
    # F57
    target = in_parts(parallel=1)
    target.script("part", *[Stall(9.0) for _ in range(5)])
    async with opened(root) as files:
        with pytest.raises(UploadError, match="deadline of 20 s") as raised:
            await files.upload(DATA, target=target, name="x", retry=Retry(deadline=20.0))

        assert trio.current_time() == pytest.approx(20.0)
        assert raised.value.step == "part 3 of 5"
        assert (target.files, target.pending) == ({}, {})


async def test_an_upload_is_one_child_under_transfers(
    root: Path, autojump_clock: MockClock
) -> None:
    """Named like the others; gone when it is over."""
    target = in_parts()
    target.script("begin", Stall(5.0))
    async with opened(root) as files, trio.open_nursery() as nursery:
        transfers = files.supervisor.subtree("transfers")

        async def send() -> None:
            await files.upload(attachment, target=target, retry=PATIENT)

        attachment = await files.stage(DATA, name="x")
        nursery.start_soon(send)
        await trio.sleep(1)
        (child,) = transfers.which_children()
        await trio.sleep(10)

        assert child.ref is not None
        assert child.ref.path == CHILD
        assert transfers.which_children() == ()


async def test_a_whole_request_is_counted_as_one_acknowledgement(
    root: Path, autojump_clock: MockClock
) -> None:
    """From nothing to all."""
    told: list[int] = []
    async with opened(root) as files:
        await files.upload(
            DATA,
            target=whole(),
            name="x",
            progress=lambda progress: told.append(progress.acknowledged),
        )

        assert sorted(set(told)) == [0, len(DATA)]
