"""What outlives a process: acknowledged parts, requests without an answer, finished uploads."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve
from blake3 import blake3
from files_support import open_store
from trio.testing import MockClock
from uploads_support import CHILD, DATA, PART, PATIENT, Bytes, in_parts, opened, whole

from codex_actors import ActorDied
from codex_actors.files import Progress, UploadedFile, UploadOutcomeUnknown
from codex_actors.files.index.upload_records import (
    FindMD5,
    FinishUpload,
    RecordMaking,
    RecordMD5,
    RecordPart,
    RecordRemote,
)
from codex_actors.files.index.uploads import (
    Busy,
    ClaimUpload,
    ForgetOldUploads,
    Pending,
    UploadKey,
    dismiss,
    enlist,
)
from codex_actors.files.store.disk import Disk
from codex_actors.files.targets.protocol import Fate, Finished, Outgoing, Receipt, Remote
from codex_actors.files.ttl import to_milliseconds
from codex_actors.testing import Faults, Lost, ScriptedTarget, Stall

CHECKSUM = blake3(DATA).hexdigest()
KEY = UploadKey(CHECKSUM, "scripted", "account")
FILE = Outgoing(
    name="x",
    size=len(DATA),
    content_type="application/octet-stream",
    checksum=CHECKSUM,
    algorithm="blake3",
    started_at=datetime.now(UTC),
)
DAY = 86_400_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


def now() -> int:
    """The moment, in the manifest's milliseconds."""
    return to_milliseconds(datetime.now(UTC))


@contextmanager
def dead_upload(
    root: Path, *, making: bool = False
) -> Generator[tuple[Pending, str, ScriptedTarget]]:
    """Begin an upload, to be carried on in the block, and die with it."""
    holder = enlist()
    target = whole() if making else in_parts()
    with open_store(root, Disk("none")) as store:
        claim = ClaimUpload(key=KEY, holder=holder, file=FILE, making=making, part_size=PART)
        pending = store.manifest.execute([claim], now())[0].unwrap()
        yield pending, holder, target
    dismiss(holder)


def leave_parts(
    root: Path, numbers: list[int], *, expires_at: datetime | None = None, part_size: int = PART
) -> ScriptedTarget:
    """Return a target to which a process that died had sent some parts."""
    with dead_upload(root) as (pending, holder, target), open_store(root, Disk("none")) as store:
        remote = target.accept(FILE)
        operations: list[Any] = [
            RecordRemote(pending.upload, holder, evolve(remote, expires_at=expires_at), part_size),
            *(
                RecordPart(
                    pending.upload,
                    holder,
                    Receipt(number, f"{remote.id}/{number}"),
                    last=len(numbers) == 5,
                )
                for number in numbers
            ),
        ]
        for result in store.manifest.execute(operations, now()):
            result.unwrap()
        for number in numbers:
            part = DATA[number * PART : (number + 1) * PART]
            target.pending[remote.id].parts[number] = part
    target.log.clear()
    return target


@pytest.fixture
def half_sent(root: Path) -> ScriptedTarget:
    """A target to which parts 0, 2 and 3 were sent."""
    return leave_parts(root, [0, 2, 3])


async def test_only_what_was_not_recorded_is_sent_again(
    root: Path, half_sent: ScriptedTarget, autojump_clock: MockClock
) -> None:
    """And counted: the progress begins where the dead process ended."""
    progress: list[Progress] = []
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=half_sent, name="y", progress=progress.append)

        assert sorted(half_sent.log[:-1]) == ["part 1", "part 4"]
        assert half_sent.log[-1] == "complete"
        assert half_sent.files == {uploaded.file_id: DATA}
        assert half_sent.pending == {}
        assert next(each.acknowledged for each in progress if each.acknowledged) == 3000
        assert uploaded.name == "x"  # as which it had begun


async def test_parts_of_a_server_that_has_forgotten_are_sent_again(
    root: Path, half_sent: ScriptedTarget, autojump_clock: MockClock
) -> None:
    """The upload starts over; the progress goes back, and its attempt tells why."""
    half_sent.pending.clear()
    progress: list[Progress] = []
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=half_sent, name="x", progress=progress.append)

        assert half_sent.files == {uploaded.file_id: DATA}
        assert half_sent.pending == {}
        assert {f"part {number}" for number in range(5)} <= set(half_sent.log)
        back = [
            later
            for earlier, later in pairwise(progress)
            if later.acknowledged < earlier.acknowledged
        ]
        assert [(each.acknowledged, each.attempt) for each in back] == [(0, 2)]


async def test_parts_that_the_server_is_about_to_forget_are_sent_again(
    root: Path, autojump_clock: MockClock
) -> None:
    """What has expired is not gone on with."""
    target = leave_parts(root, [0, 1], expires_at=datetime.now(UTC) + timedelta(seconds=30))
    async with opened(root) as files:
        await trio.sleep(31)

        uploaded = await files.upload(DATA, target=target, name="x")

        assert target.log[:2] == ["abort", "begin"]
        assert target.files == {uploaded.file_id: DATA}
        assert target.pending == {}


async def test_parts_of_another_size_are_given_up(root: Path, autojump_clock: MockClock) -> None:
    """Nothing of them is left."""
    target = leave_parts(root, [0, 1], part_size=PART - 1)
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=target, name="x")

        assert target.log[:2] == ["abort", "begin"]
        assert target.files == {uploaded.file_id: DATA}
        assert target.pending == {}


async def test_a_target_that_cannot_resume_starts_over(
    root: Path, half_sent: ScriptedTarget, autojump_clock: MockClock
) -> None:
    """What a dead process began there is given up first."""
    half_sent.limits = evolve(half_sent.limits, resumable=False)
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=half_sent, name="x")

        assert half_sent.log[:2] == ["abort", "begin"]
        assert sum(step.startswith("part") for step in half_sent.log) == 5
        assert half_sent.files == {uploaded.file_id: DATA}


@pytest.fixture
def all_sent(root: Path) -> ScriptedTarget:
    """A target to which all parts were sent, and perhaps `complete`."""
    return leave_parts(root, [0, 1, 2, 3, 4])


async def test_a_file_that_was_made_for_a_dead_process_is_found(
    root: Path, all_sent: ScriptedTarget, autojump_clock: MockClock
) -> None:
    """It had sent `complete`, and died before the answer."""
    # F63
    (remote,) = all_sent.pending
    receipts = [Receipt(number, f"{remote}/{number}") for number in range(5)]
    made = await all_sent.complete(FILE, Remote(remote), receipts)
    all_sent.log.clear()
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=all_sent, name="x")

        assert all_sent.log == ["settle"]
        assert uploaded.file_id == made.file_id
        assert len(all_sent.files) == 1


async def test_a_dead_process_that_had_not_asked_for_the_file_is_made_good(
    root: Path, all_sent: ScriptedTarget, autojump_clock: MockClock
) -> None:
    """It had died just before `complete`."""
    async with opened(root) as files:
        await files.upload(DATA, target=all_sent, name="x")

        assert all_sent.log == ["settle", "complete"]
        assert list(all_sent.files.values()) == [DATA]


async def test_what_a_dead_process_has_sent_may_be_unknown(
    root: Path, all_sent: ScriptedTarget, autojump_clock: MockClock
) -> None:
    """The caller decides: the next upload is a new one."""
    # F63
    all_sent.tells = False
    async with opened(root) as files:
        with pytest.raises(UploadOutcomeUnknown) as raised:
            await files.upload(DATA, target=all_sent, name="x")
        uploaded = await files.upload(DATA, target=all_sent, name="x")

        assert raised.value.ids["upload_id"].startswith("upload-")
        assert all_sent.files == {uploaded.file_id: DATA}
        assert all_sent.pending == {}


@pytest.mark.parametrize("goes_whole", [False, True])
async def test_one_who_leaves_while_it_is_asked_does_not_forget_what_was_made(
    root: Path, autojump_clock: MockClock, goes_whole: bool
) -> None:
    """He was told nothing, so the next one asks again, and there is no second file."""
    # F63
    if goes_whole:
        with dead_upload(root, making=True) as (_, _, target):
            made = await target.send_whole(FILE, Bytes(DATA))
    else:
        target = leave_parts(root, [0, 1, 2, 3, 4])
        (remote,) = target.pending
        receipts = [Receipt(number, f"{remote}/{number}") for number in range(5)]
        made = await target.complete(FILE, Remote(remote), receipts)
    target.script("settle", Stall(), Stall())
    async with opened(root) as files:
        with trio.move_on_after(5):
            await files.upload(DATA, target=target, name="x")

        uploaded = await files.upload(DATA, target=target, name="x")

        assert uploaded.file_id == made.file_id
        assert list(target.files) == [made.file_id]


async def test_one_who_leaves_before_he_goes_on_gives_up_what_was_begun(
    root: Path, half_sent: ScriptedTarget, autojump_clock: MockClock
) -> None:
    """It is his from the moment on that he has the record."""
    faults = Faults()
    faults.hang(CHILD, at="upload.claimed")
    async with opened(root) as files:
        with faults, trio.move_on_after(5):
            await files.upload(DATA, target=half_sent, name="x")

        assert half_sent.log == ["abort"]
        assert half_sent.pending == {}


class Vague(ScriptedTarget):
    """A server that says of everything that it is not there, as one does that lists no files."""

    async def settle(
        self, file: Outgoing, remote: Remote | None, receipts: Sequence[Receipt]
    ) -> Finished | Fate:
        """Look, and see nothing."""
        await super().settle(file, remote, receipts)
        return Fate.NOT_DONE


async def test_what_cannot_be_given_up_since_it_may_be_complete_is_unknown(
    root: Path, autojump_clock: MockClock
) -> None:
    """A dead process had sent `complete`; its parts are of no use any more."""
    # F63
    told = leave_parts(root, [0, 1, 2, 3, 4], part_size=PART - 1)
    target = Vague(told.limits, pending=told.pending)
    (remote,) = target.pending
    receipts = [Receipt(number, f"{remote}/{number}") for number in range(5)]
    await target.complete(FILE, Remote(remote), receipts)
    async with opened(root) as files:
        with pytest.raises(UploadOutcomeUnknown) as raised:
            await files.upload(DATA, target=target, name="x")

        assert raised.value.ids["upload_id"] == remote
        assert len(target.files) == 1


@pytest.mark.parametrize("vague", [True, False])
async def test_a_deadline_that_leaves_it_open_says_so(
    root: Path, autojump_clock: MockClock, vague: bool
) -> None:
    """Not a timeout: whoever uploads again after one would make a second file."""
    # F63
    limits = in_parts().limits
    target = Vague(limits) if vague else ScriptedTarget(limits)
    target.script("complete", Lost())
    if not vague:
        target.script("settle", Stall())
    async with opened(root) as files:
        with pytest.raises(UploadOutcomeUnknown) as raised:
            await files.upload(DATA, target=target, name="x", retry=evolve(PATIENT, deadline=5))

        assert raised.value.ids["upload_id"] == "upload-1"
        assert len(target.files) == 1


@pytest.mark.parametrize("tells", [True, False])
async def test_a_file_that_was_answered_is_not_asked_for(
    root: Path, autojump_clock: MockClock, tells: bool
) -> None:
    """Whoever leaves before it is recorded leaves its record all the same."""
    # F63
    target, faults = in_parts(), Faults()
    target.tells = tells
    faults.hang(CHILD, at="upload.finished")
    async with opened(root) as files:
        with faults, trio.move_on_after(5):
            await files.upload(DATA, target=target, name="x")

        uploaded = await files.upload(DATA, target=target, name="x")

        assert target.files == {uploaded.file_id: DATA}
        assert "settle" not in target.log


@pytest.fixture
def request_sent(root: Path) -> ScriptedTarget:
    """A target for which a process died in the middle of its only request."""
    with dead_upload(root, making=True) as (_, _, target):
        return target


@pytest.mark.parametrize("took_effect", [True, False])
async def test_a_single_request_of_a_dead_process_is_settled(
    root: Path, request_sent: ScriptedTarget, autojump_clock: MockClock, took_effect: bool
) -> None:
    """Never a second file, never none."""
    # F63
    if took_effect:
        made = await request_sent.send_whole(FILE, Bytes(DATA))
        request_sent.log.clear()
        assert made.file_id in request_sent.files
    async with opened(root) as files:
        uploaded = await files.upload(DATA, target=request_sent, name="x")

        assert request_sent.files == {uploaded.file_id: DATA}
        assert request_sent.log == (["settle"] if took_effect else ["settle", "whole"])


async def test_a_single_request_for_what_had_begun_in_parts_is_settled_too(
    root: Path, autojump_clock: MockClock
) -> None:
    """Whoever takes it over marks that the file may be made now."""
    # F63
    with dead_upload(root):
        target = whole()
    faults = Faults()
    faults.hang(CHILD, at="upload.sending")
    with faults:
        async with opened(root) as files:
            attachment = await files.stage(DATA, name="x")
            async with trio.open_nursery() as nursery:

                async def send() -> None:
                    with pytest.raises(ActorDied):
                        await files.upload(attachment, target=target)

                nursery.start_soon(send)
                await trio.sleep(1)
                files.supervisor["registry"].kill()
            await files.upload(attachment, target=target)

            assert target.log[-2:] == ["settle", "whole"]
            assert list(target.files.values()) == [DATA]


async def test_a_finished_upload_is_given_out_again_after_a_restart(
    root: Path, autojump_clock: MockClock
) -> None:
    """Under any name; the server is only asked whether it is still there."""
    target = in_parts()
    async with opened(root) as files:
        first = await files.upload(DATA, target=target, name="x")
    target.log.clear()

    async with opened(root) as files:
        again = await files.upload(DATA, target=target, name="y")

        assert again == first
        assert target.log == ["confirm"]


async def test_an_expired_file_is_uploaded_again(root: Path, autojump_clock: MockClock) -> None:
    """Not given out."""
    # F67
    target = in_parts()
    target.expires_at = datetime.now(UTC) + timedelta(hours=1)
    async with opened(root, sweep_interval=1e6) as files:  # it is not yet forgotten
        first = await files.upload(DATA, target=target, name="x")
        await trio.sleep(3500)
        same = await files.upload(DATA, target=target, name="x")
        await trio.sleep(200)
        fresh = await files.upload(DATA, target=target, name="x")

        assert same == first
        assert first.expires_at is not None
        assert target.expires_at - first.expires_at < timedelta(milliseconds=1)
        assert fresh.file_id != first.file_id


async def test_a_file_that_is_gone_at_the_target_is_uploaded_again(
    root: Path, autojump_clock: MockClock
) -> None:
    """And remembered in place of the other."""
    target = in_parts()
    async with opened(root) as files:
        await files.upload(DATA, target=target, name="x")
        target.files.clear()

        fresh = await files.upload(DATA, target=target, name="x")

        assert target.files == {fresh.file_id: DATA}
        assert await files.upload(DATA, target=target, name="x") == fresh


async def test_another_account_or_target_is_another_upload(
    root: Path, autojump_clock: MockClock
) -> None:
    """A file id means nothing elsewhere."""
    target, other = in_parts(), in_parts()
    other.name = "other"
    async with opened(root) as files:
        one = await files.upload(DATA, target=target, name="x")
        target.credential = "another"
        two = await files.upload(DATA, target=target, name="x")
        await files.upload(DATA, target=other, name="x")

        assert one.file_id != two.file_id
        assert (len(target.files), len(other.files)) == (2, 1)


async def test_two_trees_send_one_content_once(root: Path, autojump_clock: MockClock) -> None:
    """The second waits for the first, and gets its file."""
    target = in_parts()
    target.script("part 0", Stall(5.0))
    files_ids: list[str] = []
    async with opened(root) as one, opened(root) as two, trio.open_nursery() as nursery:
        for files in (one, two):

            async def send(files=files) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
                files_ids.append((await files.upload(DATA, target=target, name="x")).file_id)

            nursery.start_soon(send)

    assert len(target.files) == 1
    assert set(files_ids) == set(target.files)
    assert target.log.count("begin") == 1


async def test_the_crash_of_the_registry_gives_the_upload_up(
    root: Path, autojump_clock: MockClock
) -> None:
    """Its record stays, of an upload that is gone: the next one starts over."""
    # F47
    target = in_parts(parallel=1)
    target.script("part 3", Stall(60.0))
    async with opened(root) as files:
        attachment = await files.stage(DATA, name="x")
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                with pytest.raises(ActorDied):
                    await files.upload(attachment, target=target)

            nursery.start_soon(send)
            await trio.sleep(1)
            files.supervisor["registry"].kill()
        left = dict(target.pending)
        uploaded = await files.upload(attachment, target=target)

        assert left == {}
        assert target.files == {uploaded.file_id: DATA}
        assert target.pending == {}
        assert (await files.metrics()).leases == 0


@pytest.mark.parametrize("point", ["registry.committing", "registry.committed"])
@pytest.mark.parametrize("nth", range(1, 6))
async def test_a_registry_that_crashes_at_any_commit_of_an_upload_loses_no_file(
    root: Path, autojump_clock: MockClock, nth: int, point: str
) -> None:
    """Whatever was recorded: the next upload gives the file, and there is one."""
    # F47
    target = in_parts(parallel=1)
    faults = Faults()
    with faults:
        async with opened(root) as files:
            attachment = await files.stage(DATA, name="x")
            await files.force_cleanup()
            faults.hang(CHILD, at="upload.started")
            async with trio.open_nursery() as nursery:

                async def send() -> None:
                    with pytest.raises(ActorDied):
                        await files.upload(attachment, target=target)

                nursery.start_soon(send)
                await trio.sleep(1)
                faults.crash("registry", at=point, nth=nth)
                faults.release()
            uploaded = await files.upload(attachment, target=target)

            assert faults.happened[-1].where == point
            assert target.files == {uploaded.file_id: DATA}
            assert target.pending == {}


async def test_a_registry_that_crashes_when_the_file_is_recorded_has_it_found_again(
    root: Path, autojump_clock: MockClock
) -> None:
    """It is complete at the target, and nobody knows its id."""
    # F47 F63
    target = in_parts(parallel=1)
    faults = Faults()
    with faults:
        async with opened(root) as files:
            attachment = await files.stage(DATA, name="x")
            faults.hang(CHILD, at="upload.finished")
            async with trio.open_nursery() as nursery:

                async def send() -> None:
                    with pytest.raises(ActorDied):
                        await files.upload(attachment, target=target)

                nursery.start_soon(send)
                await trio.sleep(1)
                faults.crash("registry", at="registry.committing")
                faults.release()
            uploaded = await files.upload(attachment, target=target)

            assert target.files == {uploaded.file_id: DATA}
            assert target.log.count("complete") == 1


def test_records_of_the_living_are_not_taken_over(root: Path) -> None:
    """Of the dead, they are."""
    one, two = enlist(), enlist()
    with open_store(root, Disk("none")) as store:
        mine = ClaimUpload(key=KEY, holder=one, file=FILE)
        theirs = ClaimUpload(key=KEY, holder=two, file=FILE)
        first, again, busy = (
            result.unwrap() for result in store.manifest.execute([mine, mine, theirs], now())
        )
        dismiss(one)
        (taken,) = store.manifest.execute([theirs], now())

        assert not first.taken_over
        assert again.upload == first.upload
        assert busy == Busy()
        assert taken.unwrap().taken_over
        dismiss(two)


def test_a_record_that_was_taken_over_is_not_written_by_its_former_holder(root: Path) -> None:
    """What comes late is of no effect."""
    one, two = enlist(), enlist()
    with open_store(root, Disk("none")) as store:
        execute = store.manifest.execute
        pending = execute([ClaimUpload(key=KEY, holder=one, file=FILE)], now())[0].unwrap()
        dismiss(one)
        execute([ClaimUpload(key=KEY, holder=two, file=FILE)], now())
        late: list[Any] = [
            RecordRemote(pending.upload, one, Remote("late"), 1),
            RecordPart(pending.upload, one, Receipt(0, "late")),
            RecordMaking(pending.upload, one),
        ]
        execute(late, now())
        dismiss(two)
        three = enlist()
        found = execute([ClaimUpload(key=KEY, holder=three, file=FILE)], now())[0].unwrap()
        dismiss(three)

        assert (found.remote, found.receipts, found.making) == (None, (), False)


@pytest.mark.parametrize(
    ("age", "alive", "kept"), [(0, False, True), (DAY + 1, False, False), (DAY + 1, True, True)]
)
def test_uploads_that_nobody_goes_on_with_are_forgotten(
    root: Path, age: int, alive: bool, kept: bool
) -> None:
    """A day after they began; not those of the living."""
    holder = enlist()
    with open_store(root, Disk("none")) as store:
        execute = store.manifest.execute
        execute([ClaimUpload(key=KEY, holder=holder, file=FILE)], now())
        if not alive:
            dismiss(holder)

        execute([ForgetOldUploads()], now() + age)

        other = enlist()
        found = execute([ClaimUpload(key=KEY, holder=other, file=FILE)], now() + age)[0].unwrap()
        assert (found == Busy() or found.taken_over) is kept
        dismiss(other)
        dismiss(holder)


@pytest.mark.parametrize(
    ("lives", "staged", "age", "kept"),
    [
        (60, False, 59_000, True),
        (60, True, 60_000, False),
        (None, False, 29 * DAY, True),
        (None, False, 31 * DAY, False),
        (None, True, 31 * DAY, True),
    ],
)
def test_finished_uploads_are_forgotten_when_they_are_of_no_use(
    root: Path, lives: int | None, staged: bool, age: int, kept: bool
) -> None:
    """Expired, or for ever there but of a content that nobody has staged for long."""
    # F67
    holder = enlist()
    begun = now()
    expires_at = None if lives is None else datetime.now(UTC) + timedelta(seconds=lives)
    with open_store(root, Disk("none")) as store:
        if staged:
            store.stage(DATA, "x", ttl=1e9, now=begun)
        finish = FinishUpload(KEY, holder, FILE, Finished("file-1", expires_at))
        store.manifest.execute([finish], begun)

        store.manifest.execute([ForgetOldUploads()], begun + age)

        again = ClaimUpload(key=KEY, holder=holder, file=FILE)
        found = store.manifest.execute([again], begun)[0].unwrap()
        assert isinstance(found, UploadedFile) is kept
        dismiss(holder)


def test_an_md5_is_remembered_as_long_as_its_content_is_staged(root: Path) -> None:
    """It goes with the last name."""
    with open_store(root, Disk("none")) as store:
        execute = store.manifest.execute
        execute([RecordMD5(CHECKSUM, "stray")], now())
        unknown = execute([FindMD5(CHECKSUM)], now())[0].unwrap()
        store.stage(DATA, "x")
        execute([RecordMD5(CHECKSUM, "abc")], now())

        assert unknown is None
        assert execute([FindMD5(CHECKSUM)], now())[0].unwrap() == "abc"


async def test_an_md5_is_computed_once(root: Path, autojump_clock: MockClock) -> None:
    """For targets that want it, with whatever was staged."""
    # F65
    target = in_parts(wants_md5=True)
    seen: list[str | None] = []

    class Checking(ScriptedTarget):
        """Notes the MD5."""

        async def begin(self, file: Outgoing) -> Remote:
            """Note it."""
            seen.append(file.md5)
            return await super().begin(file)

    target = Checking(target.limits)
    async with opened(root) as files:
        attachment = await files.stage(b"hello", name="x")
        await files.upload(attachment, target=target)
        target.credential = "another"
        await files.upload(attachment, target=target)

        assert seen == ["5d41402abc4b2a76b9719d911017c592"] * 2


async def test_an_answer_that_is_lost_for_good_is_found_after_the_deadline(
    root: Path, autojump_clock: MockClock
) -> None:
    """The caller gets the file, a little later, and not a timeout."""
    # F63
    target = in_parts()
    target.script("complete", Lost())
    async with opened(root) as files:
        uploaded = await files.upload(
            DATA, target=target, name="x", retry=evolve(PATIENT, deadline=5)
        )

        assert target.files == {uploaded.file_id: DATA}
        assert trio.current_time() == pytest.approx(5.0)
