"""Requests about what is staged, as a supervisor process handles them."""

from pathlib import Path

import pytest
import trio
from handling_support import open_desk

from codex_actors.control import messages
from codex_actors.control.errors import Ambiguous, Leaving, NotFound
from codex_actors.files import AttachmentLeased, SourceNotFound


async def test_what_was_staged_is_found_and_removed(tmp_path: Path) -> None:
    """By one client after the other; what was done is in the table of operations."""
    (tmp_path / "a.txt").write_text("alpha")
    async with open_desk(tmp_path) as desk:
        staged = await desk.ask(messages.Stage(path=str(tmp_path / "a.txt"), ttl=60.0))

        attachment = staged["attachment"]
        assert (await desk.ask(messages.Show(what="a.txt")))["attachment"] == attachment
        assert (await desk.ask(messages.ListStaged()))["attachments"] == [attachment]
        (operation,) = desk.service.operations.ended()
        assert (operation.kind, operation.what, operation.state) == ("stage", "a.txt", "done")
        assert operation.outcome == staged
        removed = await desk.ask(messages.Remove(what=attachment["checksum"][:8]))
        assert removed["attachment"] == attachment
        with pytest.raises(NotFound):
            await desk.ask(messages.Show(what="a.txt"))


async def test_what_cannot_be_staged_is_a_failed_operation(tmp_path: Path) -> None:
    """With its message, for `status` to show."""
    async with open_desk(tmp_path) as desk:
        with pytest.raises(SourceNotFound):
            await desk.ask(messages.Stage(path=str(tmp_path / "missing")))

        (operation,) = desk.service.operations.ended()
        assert operation.state == "failed"
        assert "missing" in str(operation.error)


async def test_remove_does_not_guess_nor_pull_away(tmp_path: Path) -> None:
    """Two of one name are listed; what is in use stays."""
    async with open_desk(tmp_path) as desk:
        first = await desk.files.stage(b"one", name="x")
        await desk.files.stage(b"two", name="x")

        with pytest.raises(Ambiguous):
            await desk.ask(messages.Remove(what="x"))
        async with desk.files.lease(first):
            with pytest.raises(AttachmentLeased):
                await desk.ask(messages.Remove(what=first.checksum))
        assert len(await desk.files.list_staged()) == 2


async def test_upkeep_answers_in_full_and_remembers_figures(tmp_path: Path) -> None:
    """An answer lists attachments; the table of operations does not keep such lists."""
    async with open_desk(tmp_path) as desk:
        await desk.files.stage(b"gone", name="gone", ttl=0.0)
        broken = await desk.files.stage(b"broken", name="broken", persist=True)
        broken.path.chmod(0o600)
        broken.path.write_bytes(b"tamper")

        would = await desk.ask(messages.Cleanup(dry_run=True))
        did = await desk.ask(messages.Cleanup())
        verified = await desk.ask(messages.Verify())
        await desk.files.stage(b"last", name="last")
        reset = await desk.ask(messages.Reset())

        assert [each["name"] for each in would["attachments"]] == ["gone"]
        assert (would["dry_run"], did["dry_run"], did["count"]) == (True, False, 1)
        assert [each["name"] for each in verified["wrong"]] == ["broken"]
        assert [each["name"] for each in reset["attachments"]] == ["last"]
        assert (await desk.ask(messages.Metrics()))["metrics"]["total_count"] == 0
        assert [operation.outcome for operation in desk.service.operations.ended()] == [
            {"count": 1, "bytes": 4, "failed": 0},
            {"count": 1, "bytes": 4, "failed": 0},
            {"checked": 1, "wrong": 1, "quarantined": 1, "unknown": 0},
            {"count": 1, "bytes": 4, "failed": 0},
        ]


async def test_reset_leaves_what_is_in_use(tmp_path: Path) -> None:
    """Unless it is forced."""
    async with open_desk(tmp_path) as desk:
        attachment = await desk.files.stage(b"x", name="x")
        async with desk.files.lease(attachment):
            with pytest.raises(AttachmentLeased):
                await desk.ask(messages.Reset())

            report = await desk.ask(messages.Reset(force=True))

        assert report["count"] == 1


async def test_a_drain_lets_look_and_takes_no_work(tmp_path: Path) -> None:
    """What is an operation is refused; what only looks is answered."""
    (tmp_path / "a.txt").write_text("alpha")
    async with open_desk(tmp_path) as desk:
        desk.service.operations.close()

        for request in (
            messages.Stage(path=str(tmp_path / "a.txt")),
            messages.Cleanup(),
            messages.Verify(),
            messages.Reset(),
        ):
            with pytest.raises(Leaving):
                await desk.ask(request)
        assert (await desk.ask(messages.ListStaged()))["attachments"] == []


async def test_a_client_that_goes_cancels_what_it_asked_for(tmp_path: Path) -> None:
    """The operation ends as cancelled, and nothing is half staged."""
    (tmp_path / "a.txt").write_text("alpha")
    async with open_desk(tmp_path) as desk:
        with trio.CancelScope() as scope:
            scope.cancel()
            await desk.ask(messages.Stage(path=str(tmp_path / "a.txt")))

        (operation,) = desk.service.operations.ended()
        assert operation.state == "cancelled"
        assert (await desk.files.metrics()).partial_files == 0
