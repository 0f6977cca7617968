"""Several who want one upload, and what becomes of it when some of them, or all, go."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import trio
from files_support import tree_of
from trio.testing import MockClock, wait_all_tasks_blocked
from uploads_support import CHILD, DATA, PATIENT, Told, in_parts, opened, whole

from codex_actors import ActorDied, ActorStopped, ChildSpec, SupervisorSpec, open_supervisor
from codex_actors.files import (
    DirectoryTarget,
    Files,
    FilesConfig,
    Progress,
    Retry,
    Seams,
    SourceNotFound,
    UploadCancelled,
    UploadedFile,
    UploadRejected,
    files_from,
    files_spec,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.targets.protocol import Refused
from codex_actors.testing import Faults, Injection, ScriptedTarget, Stall

# Every point of an upload at which something of it exists, with the target that leads there.
POINTS = {
    "upload.started": in_parts,
    "upload.checked": in_parts,
    "upload.claimed": in_parts,
    "upload.begun": in_parts,
    "upload.part": in_parts,
    "upload.sent": in_parts,
    "upload.completing": in_parts,
    "upload.sending": whole,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


async def assert_unharmed(files: Files, target: ScriptedTarget, root: Path) -> None:
    """Nothing is left anywhere, and the next upload works, with nothing to settle."""
    assert (target.files, target.pending, target.sessions) == ({}, {}, 0)
    assert files.supervisor.subtree("transfers").which_children() == ()
    metrics = await files.metrics()
    assert (metrics.leases, metrics.transfers_running, metrics.transfers_queued) == (0, 0, 0)
    target.log.clear()
    before = trio.current_time()

    uploaded = await files.upload(DATA, target=target, name="x")

    assert target.files == {uploaded.file_id: DATA}
    assert "settle" not in target.log
    assert trio.current_time() == before


async def test_many_who_want_the_same_upload_it_once(root: Path, autojump_clock: MockClock) -> None:
    """Under whatever name; all get the file, each one sees the progress."""
    target = in_parts()
    target.script("part", *[Stall(1.0) for _ in range(5)])
    results: list[UploadedFile] = []
    progress: dict[int, list[int]] = {number: [] for number in range(10)}
    async with opened(root) as files:
        attachments = [await files.stage(DATA, name=f"name {number}") for number in range(10)]

        async def send(number: int) -> None:
            await trio.sleep(number / 10)
            uploaded = await files.upload(
                attachments[number],
                target=target,
                progress=lambda news: progress[number].append(news.acknowledged),
            )
            results.append(uploaded)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(send, number)
            await trio.sleep(0.95)
            during = await files.metrics()

        assert during.transfers_running == 1
        assert (during.transfers_queued, during.leases) == (0, 10)
        assert len(set(results)) == 1
        assert list(target.files.values()) == [DATA]
        assert target.log.count("begin") == 1
        assert all(told == sorted(told) and told[-1] == len(DATA) for told in progress.values())


async def test_an_error_is_told_to_all_who_wait(root: Path, autojump_clock: MockClock) -> None:
    """Each gets one of its own."""
    target = in_parts()
    target.script("part 3", Refused("broken", status=400))
    target.script("begin", Stall(1.0))
    errors: list[Exception] = []
    async with opened(root) as files:

        async def send() -> None:
            try:
                await files.upload(DATA, target=target, name="x")
            except UploadRejected as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(send)

        assert [str(error) for error in errors] == [str(errors[0])] * 3
        assert len({id(error) for error in errors}) == 3
        await assert_unharmed(files, target, root)


@pytest.mark.parametrize("first_leaves", [True, False])
async def test_one_who_leaves_does_not_harm_the_others(
    root: Path, autojump_clock: MockClock, first_leaves: bool
) -> None:
    """Whether he began it or joined."""
    target = in_parts()
    target.script("part 1", Stall(5.0))
    async with opened(root) as files, trio.open_nursery() as nursery:
        attachment = await files.stage(DATA, name="x")
        results: list[UploadedFile] = []
        scopes = [trio.CancelScope(), trio.CancelScope()]

        async def send(scope: trio.CancelScope) -> None:
            with scope:
                results.append(await files.upload(attachment, target=target))

        nursery.start_soon(send, scopes[0])
        await trio.sleep(1)
        nursery.start_soon(send, scopes[1])
        await trio.sleep(1)
        scopes[0 if first_leaves else 1].cancel()
        await trio.sleep(10)

        assert len(results) == 1
        assert target.log.count("begin") == 1
        assert "abort" not in target.log
        assert list(target.files.values()) == [DATA]
        assert (await files.metrics()).leases == 0


async def test_the_last_who_leaves_ends_it(root: Path, autojump_clock: MockClock) -> None:
    """Nothing is left when his call returns."""
    target = in_parts()
    target.script("part 1", Stall())
    async with opened(root) as files:
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                await files.upload(DATA, target=target, name="x")

            for _ in range(3):
                nursery.start_soon(send)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()

        assert target.log[-1] == "abort"
        await assert_unharmed(files, target, root)


async def test_a_caller_who_goes_while_he_waits_for_his_turn_sends_nothing(
    root: Path, autojump_clock: MockClock
) -> None:
    """Another one who wants the same takes his place."""
    target = in_parts()
    target.script("part 0", Stall(30.0))
    async with opened(root, max_transfers=1) as files, trio.open_nursery() as nursery:

        async def occupy() -> None:
            await files.upload(b"other", target=target, name="x")

        async def send(scope: trio.CancelScope) -> None:
            with scope:
                await files.upload(attachment, target=target)

        attachment = await files.stage(DATA, name="x")
        first, second = trio.CancelScope(), trio.CancelScope()
        nursery.start_soon(occupy)
        await trio.sleep(1)
        nursery.start_soon(send, first)
        await trio.sleep(1)
        nursery.start_soon(send, second)
        await trio.sleep(1)
        first.cancel()
        await trio.sleep(60)

        assert DATA in target.files.values()
        assert target.log.count("begin") == 2
        assert (await files.metrics()).transfers_queued == 0


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("action", ["crash", "cancel"])
async def test_an_upload_that_dies_leaves_no_trace(
    root: Path, autojump_clock: MockClock, action: str, point: str
) -> None:
    """Its callers are told when the remote upload is given up already."""
    target = POINTS[point]()
    faults, told = Faults(), Told()
    getattr(faults, action)("transfers/upload-2", at=point)
    with faults:
        async with opened(root, told=told) as files:
            before = tree_of(root)

            with pytest.raises(ActorDied):
                await files.upload(DATA, target=target, name="x")

            assert faults.happened == [Injection(action, CHILD, point)]
            assert told.names()[-1] == "exception"
            assert tree_of(root) == before
            await assert_unharmed(files, target, root)


@pytest.mark.parametrize("point", POINTS)
async def test_an_upload_that_hangs_is_left_by_its_caller(
    root: Path, autojump_clock: MockClock, point: str
) -> None:
    """Cancelling the call gives the upload up, wherever it was."""
    target = POINTS[point]()
    faults = Faults()
    faults.hang(CHILD, at=point)
    with faults:
        async with opened(root) as files:
            with trio.move_on_after(5):
                await files.upload(DATA, target=target, name="x")

            assert faults.happened == [Injection("hang", CHILD, point)]
            await assert_unharmed(files, target, root)


@pytest.mark.parametrize("step", ["begin", "part 0", "part 4", "complete", "whole"])
async def test_a_call_that_is_cancelled_while_the_server_is_silent(
    root: Path, autojump_clock: MockClock, step: str
) -> None:
    """It ends in bounded time, and nothing is pending."""
    target = whole() if step == "whole" else in_parts()
    target.script(step, Stall())
    async with opened(root) as files:
        with trio.move_on_after(5):
            await files.upload(DATA, target=target, name="x")

        assert trio.current_time() <= 5 + 2
        await assert_unharmed(files, target, root)


async def test_a_call_that_is_cancelled_waits_for_a_slow_abort_but_not_for_ever(
    root: Path, autojump_clock: MockClock
) -> None:
    """The event tells what may be left."""
    target, told = in_parts(), Told()
    target.script("part 0", Stall())
    target.script("abort", Stall())
    async with opened(root, told=told) as files:
        with trio.move_on_after(5):
            await files.upload(DATA, target=target, name="x")
        took = trio.current_time() - 5
        children = files.supervisor.subtree("transfers").which_children()

    (event,) = told.named("exception")
    assert 7 < took < 10
    assert children == ()
    assert "does not answer" in event.metadata["left"]
    assert target.sessions == 0


@pytest.mark.parametrize("action", ["crash", "cancel", "hang"])
async def test_an_upload_that_dies_while_it_is_given_up(
    root: Path, autojump_clock: MockClock, action: str
) -> None:
    """Its callers are told, and the next upload works, whatever was left at the target."""
    target = in_parts()
    target.script("part 0", Refused("broken", status=400))
    faults = Faults()
    getattr(faults, action)(CHILD, at="upload.aborting")
    with faults:
        async with opened(root) as files:
            with pytest.raises((ActorDied, UploadRejected)):
                await files.upload(DATA, target=target, name="x")

            uploaded = await files.upload(DATA, target=target, name="x")

            assert len(faults.happened) == 1
            assert target.files == {uploaded.file_id: DATA}
            assert (await files.metrics()).leases == 0


@pytest.mark.parametrize("action", ["crash", "cancel"])
async def test_an_upload_that_dies_when_the_file_is_made_has_happened(
    root: Path, autojump_clock: MockClock, action: str
) -> None:
    """Only its answer is lost: the file is remembered, and given out next time."""
    # F63
    target = in_parts()
    faults = Faults()
    getattr(faults, action)(CHILD, at="upload.finished")
    with faults:
        async with opened(root) as files:
            with pytest.raises(ActorDied):
                await files.upload(DATA, target=target, name="x")
            uploaded = await files.upload(DATA, target=target, name="x")

            assert target.files == {uploaded.file_id: DATA}
            assert target.log.count("complete") == 1
            assert target.pending == {}


async def test_a_hundred_uploads_that_are_cancelled_leave_nothing(
    root: Path, autojump_clock: MockClock
) -> None:
    """In the middle of eight, with the others waiting."""
    target = in_parts(parallel=2)
    target.script("part", *[Stall(1.0) for _ in range(500)])
    async with opened(root, max_transfers=8) as files:
        async with trio.open_nursery() as nursery:

            async def send(number: int) -> None:
                await files.upload(bytes([number]) * 4500, target=target, name="x")

            for number in range(100):
                nursery.start_soon(send, number)
            await trio.sleep(4.5)
            assert len(target.pending) == 8
            assert len(target.files) == 8
            nursery.cancel_scope.cancel()

        assert target.pending == {}
        assert target.sessions == 0
        metrics = await files.metrics()
        assert (metrics.leases, metrics.transfers_running, metrics.transfers_queued) == (0, 0, 0)
        assert metrics.total_count == 0


async def test_a_tree_that_stops_gives_its_uploads_up(
    root: Path, autojump_clock: MockClock
) -> None:
    """Before it has stopped."""
    target = in_parts()
    target.script("part 1", Stall())
    async with opened(root) as files, trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises((ActorDied, ActorStopped)):
                await files.upload(DATA, target=target, name="x")

        nursery.start_soon(send)
        await trio.sleep(1)
        await files.supervisor.stop()

        assert (target.pending, target.sessions) == ({}, 0)


async def test_a_tree_that_is_cancelled_gives_its_uploads_up(
    root: Path, autojump_clock: MockClock
) -> None:
    """In the time that a cancelled tree has."""
    target = in_parts()
    target.script("part 1", Stall())
    with trio.move_on_after(5):
        async with opened(root) as files:
            await files.upload(DATA, target=target, name="x")

    assert (target.pending, target.sessions) == ({}, 0)
    assert target.log[-1] == "abort"


# Handles


async def test_an_upload_in_the_background(root: Path, autojump_clock: MockClock) -> None:
    """It begins at once, tells its progress, and is waited for as often as one likes."""
    target = in_parts(parallel=1)
    target.script("part", *[Stall(1.0) for _ in range(5)])
    async with opened(root) as files:
        attachment = await files.stage(DATA, name="x")

        handle = files.start_upload(attachment, target=target)
        total = handle.progress.value.total
        while handle.progress.value.acknowledged < 2000:
            await handle.progress.wait_transition()  # pyright: ignore[reportUnknownMemberType] - its own predicate
        halfway = trio.current_time()
        uploaded = await handle.wait()

        assert total == len(DATA)
        assert (halfway, trio.current_time()) == pytest.approx((2.0, 5.0))
        assert await handle.wait() == uploaded
        assert target.files == {uploaded.file_id: DATA}
        assert handle.progress.value.acknowledged == len(DATA)
        assert files.supervisor.subtree("transfers").which_children() == ()


async def test_a_path_in_the_background_is_staged_there(
    root: Path, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Its errors come out of `wait`; what only the caller can read is refused."""
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    target = in_parts()
    async with opened(root) as files:
        uploaded = await files.start_upload(path, target=target).wait()
        missing = files.start_upload(tmp_path / "missing", target=target)
        with pytest.raises(SourceNotFound):
            await missing.wait()

        async def chunks() -> AsyncGenerator[bytes]:
            yield b"x"

        with pytest.raises(TypeError, match="stage"):
            files.start_upload(chunks(), target=target, name="x")

        assert (uploaded.name, uploaded.size) == ("data.bin", len(DATA))


async def test_a_cancelled_handle_says_so_when_nothing_is_left(
    root: Path, autojump_clock: MockClock
) -> None:
    """`wait` returns after the remote upload was given up."""
    target = in_parts()
    target.script("part 3", Stall())
    async with opened(root) as files:
        handle = files.start_upload(DATA, target=target, name="x")
        await trio.sleep(1)
        handle.cancel()

        with pytest.raises(UploadCancelled, match="of 4500 bytes"):
            await handle.wait()

        assert target.pending == {}
        with pytest.raises(UploadCancelled):
            await handle.wait()
        await assert_unharmed(files, target, root)


async def test_a_handle_is_cancelled_before_it_has_begun(
    root: Path, autojump_clock: MockClock
) -> None:
    """Nothing is sent."""
    target = in_parts()
    async with opened(root) as files:
        attachment = await files.stage(DATA, name="x")

        handle = files.start_upload(attachment, target=target)
        handle.cancel()

        with pytest.raises(UploadCancelled):
            await handle.wait()
        assert target.log == []


class Awkward(Exception):
    """An error that cannot be copied."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


async def test_the_watchers_own_error_comes_out_of_a_handle_unchanged(
    root: Path, autojump_clock: MockClock
) -> None:
    """As often as one waits for it, and the upload is given up."""
    target, error = in_parts(), Awkward("this", "that")

    def watch(_progress: Progress) -> None:
        raise error

    async with opened(root) as files:
        handle = files.start_upload(DATA, target=target, name="x", progress=watch)

        for _ in range(2):
            with pytest.raises(Awkward) as raised:
                await handle.wait()
            assert raised.value is error
        await assert_unharmed(files, target, root)


async def test_what_is_no_target_or_retry_is_refused_at_once(
    root: Path, autojump_clock: MockClock
) -> None:
    """Before anything is staged or sent; what was given for a target is not shown."""
    wrong: Any
    async with opened(root) as files:
        for wrong in ("sk-secret", None, DirectoryTarget):
            with pytest.raises(TypeError, match="give a target") as raised:
                await files.upload(DATA, target=wrong, name="x")
            assert "sk-secret" not in str(raised.value)
        for wrong in (3, None):
            with pytest.raises(TypeError, match="retry"):
                files.start_upload(DATA, target=in_parts(), name="x", retry=wrong)

        assert (await files.metrics()).misses == 0


async def test_cancelling_too_late_does_nothing(root: Path, autojump_clock: MockClock) -> None:
    """The file is there."""
    async with opened(root) as files:
        handle = files.start_upload(DATA, target=in_parts(), name="x")
        uploaded = await handle.wait()

        handle.cancel()

        assert await handle.wait() == uploaded


async def test_an_upload_in_the_background_goes_on_when_its_caller_goes(
    root: Path, autojump_clock: MockClock
) -> None:
    """One that waits for it may be cancelled."""
    target = in_parts()
    target.script("part 3", Stall(5.0))
    async with opened(root) as files:
        handle = files.start_upload(DATA, target=target, name="x")
        with trio.move_on_after(1) as scope:
            await handle.wait()

        uploaded = await handle.wait()

        assert scope.cancelled_caught
        assert target.files == {uploaded.file_id: DATA}


async def test_a_handle_tells_of_the_end_of_its_tree(root: Path, autojump_clock: MockClock) -> None:
    """Nobody waits for ever, and nothing is left."""
    target = in_parts()
    target.script("part 3", Stall())
    async with opened(root) as files:
        handle = files.start_upload(DATA, target=target, name="x")
        await trio.sleep(1)
    assert target.pending == {}

    with pytest.raises((ActorDied, ActorStopped)):
        await handle.wait()
    with pytest.raises(ActorStopped):
        files.start_upload(DATA, target=target, name="x")


async def test_a_handle_that_dies_with_its_registry_says_so(
    root: Path, autojump_clock: MockClock
) -> None:
    """And the next one works."""
    target = in_parts()
    target.script("part 3", Stall())
    async with opened(root) as files:
        handle = files.start_upload(DATA, target=target, name="x")
        await trio.sleep(1)
        files.supervisor["registry"].kill()

        with pytest.raises((ActorDied, ActorStopped)):
            await handle.wait()

        assert target.pending == {}
        assert (await files.upload(DATA, target=target, name="x")).size == len(DATA)


async def test_uploads_over_a_tree_of_ones_own(root: Path, autojump_clock: MockClock) -> None:
    """`files_from` serves them too; two facades share one upload."""
    config = FilesConfig(staging_dir=root, durability="none")
    seams = Seams(blocking=Inline())
    spec = SupervisorSpec([ChildSpec("files", files_spec(config, seams=seams))])
    target = in_parts()
    target.script("part 3", Stall(5.0))
    async with open_supervisor(spec) as supervisor, trio.open_nursery() as nursery:
        one = files_from(supervisor.subtree("files"))
        two = files_from(supervisor.subtree("files"))
        handle = one.start_upload(DATA, target=target, name="x", retry=PATIENT)

        async def send() -> None:
            await two.upload(DATA, target=target, name="x", retry=Retry(attempts=1))

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        await handle.wait()

    assert list(target.files.values()) == [DATA]
    assert target.log.count("begin") == 1
