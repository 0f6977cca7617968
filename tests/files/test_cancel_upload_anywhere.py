"""An upload whose callers are cancelled at every step of the whole tree leaves nothing behind."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing
from test_cancel_anywhere import CancelAt
from test_upload_resume import FILE, leave_parts
from uploads_support import DATA, PATIENT, in_parts, opened, whole

from codex_actors.files import Files, UploadCancelled
from codex_actors.files.targets.protocol import Receipt, Remote, Retryable
from codex_actors.testing import Lost, ScriptedTarget

BUSY = Retryable("busy", status=503)


async def upload(files: Files, target: ScriptedTarget) -> None:
    """Upload bytes."""
    await files.upload(DATA, target=target, name="x", retry=PATIENT)


async def upload_together(files: Files, target: ScriptedTarget) -> None:
    """Three who want the same."""
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(upload, files, target)


async def upload_with_failures(files: Files, target: ScriptedTarget) -> None:
    """With requests that are repeated."""
    for step in ("begin", "part 0", "complete"):
        target.script(step, BUSY)
    await upload(files, target)


async def upload_and_lose_an_answer(files: Files, target: ScriptedTarget) -> None:
    """With a file that has to be asked for."""
    target.script("complete", Lost())
    target.script("whole", Lost())
    await upload(files, target)


async def upload_again(files: Files, target: ScriptedTarget) -> None:
    """One after the other: the second finds the file of the first."""
    await upload(files, target)
    await upload(files, target)


async def wait_for_a_handle(files: Files, target: ScriptedTarget) -> None:
    """Several who wait for one in the background; who is cancelled cancels it."""
    handle = files.start_upload(DATA, target=target, name="x", retry=PATIENT)

    async def wait() -> None:
        await handle.wait()

    try:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait)
    finally:
        handle.cancel()
        with trio.CancelScope(shield=True), suppress(UploadCancelled):
            await handle.wait()


async def parts_of(_root: Path) -> ScriptedTarget:
    """Prepare a target that takes parts, of which the file has three."""
    return in_parts(part_size=2000)


async def whole_of(_root: Path) -> ScriptedTarget:
    """Prepare a target that takes whole files."""
    return whole()


async def done_of(root: Path) -> ScriptedTarget:
    """Prepare a target that has made the file for a process that died before it was told."""
    target = leave_parts(root, [0, 1, 2, 3, 4])
    (remote,) = target.pending
    receipts = [Receipt(number, f"{remote}/{number}") for number in range(5)]
    await target.complete(FILE, Remote(remote), receipts)
    return target


@pytest.mark.parametrize(
    ("prepare", "use"),
    [
        (parts_of, upload_together),
        (parts_of, upload_with_failures),
        (parts_of, upload_and_lose_an_answer),
        (parts_of, wait_for_a_handle),
        (whole_of, upload_and_lose_an_answer),
        (whole_of, upload_again),
        (done_of, upload),
    ],
)
def test_an_upload_cancelled_at_every_step(
    tmp_path: Path,
    prepare: Callable[[Path], Awaitable[ScriptedTarget]],
    use: Callable[[Files, ScriptedTarget], Awaitable[None]],
) -> None:
    """One file or none, whoever uploads it next; nothing pending, no lease, slot or child."""
    # F61, F63
    step = 0
    cancelled = True
    while cancelled:
        step += 1
        clock = trio.testing.MockClock(autojump_threshold=0)
        cancelled = trio.run(cancel_at, prepare, use, tmp_path / str(step), step, clock=clock)

    assert step > 50


async def cancel_at(
    prepare: Callable[[Path], Awaitable[ScriptedTarget]],
    use: Callable[[Files, ScriptedTarget], Awaitable[None]],
    root: Path,
    step: int,
) -> bool:
    """Upload, cancelled before one step; tell whether it came to that."""
    target = await prepare(root)
    async with opened(root) as files:
        await files.force_cleanup()
        scope = trio.CancelScope()
        instrument = CancelAt(step, scope)
        trio.lowlevel.add_instrument(instrument)
        with scope:
            instrument.active = True
            await use(files, target)
        instrument.active = False
        trio.lowlevel.remove_instrument(instrument)

        metrics = await files.metrics()
        assert files.supervisor.subtree("transfers").which_children() == ()
        assert (metrics.transfers_running, metrics.transfers_queued) == (0, 0)
        assert (metrics.partial_files, metrics.leases, metrics.total_count) == (0, 0, 0)
        assert (target.pending, target.sessions, target.in_flight) == ({}, 0, 0)
        before = list(target.files)
        assert len(before) <= 1
        uploaded = await files.upload(DATA, target=target, name="x")
        assert target.files == {uploaded.file_id: DATA}
        assert before in ([], [uploaded.file_id])
    return instrument.seen >= step
