"""Requests to upload, as a supervisor process handles them, against a server on loopback."""

import json
import math
from pathlib import Path

import pytest
import trio
from handling_support import Desk, open_desk

from codex_actors.control import messages
from codex_actors.control.errors import (
    Leaving,
    NoSupervisor,
    NotFound,
    OperationCancelled,
)
from codex_actors.control.messages import TargetChoice
from codex_actors.files import MissingCredentials, SourceNotFound, UploadRejected
from codex_actors.testing import AnswerWith, NeverAnswer, OpenAIUploadServer, UploadFault

MIB = 2**20
DATA = bytes(range(256)) * 4096 * 2 + b"tail"  # two parts of a MiB, and four bytes
CANARY = "sk-canary-0123456789"


def choice(server: OpenAIUploadServer, secret: str = CANARY) -> TargetChoice:
    """What a client sends that has credentials in its environment."""
    return TargetChoice(
        kind="openai", base_url=server.base_url, secret=secret, part_size=MIB, parallel=1
    )


def source(directory: Path) -> str:
    """A file of three parts."""
    (directory / "a.bin").write_bytes(DATA)
    return str(directory / "a.bin")


def assert_no_secret(desk: Desk) -> None:
    """Nothing that anybody could be shown has the credential in it."""
    service = desk.service
    operations = [*service.operations.running(), *service.operations.ended()]
    shown = [
        json.dumps([operation.to_dict() for operation in operations]),
        repr(operations),
        json.dumps(service.history.records()),
        json.dumps(desk.notes),
        repr(desk.files.supervisor.snapshot()),
    ]
    assert all(CANARY not in text for text in shown)


async def test_a_file_is_uploaded_and_its_states_are_told(tmp_path: Path) -> None:
    """Staged for the upload, queued, sent, with a repeated request told as that; then gone."""
    faults = [UploadFault("part", AnswerWith(503, body=f"busy {CANARY}"), nth=2)]
    async with (
        OpenAIUploadServer(api_key=CANARY, faults=faults) as server,
        open_desk(tmp_path) as desk,
    ):
        done = await desk.ask(messages.Upload(path=source(tmp_path), target=choice(server)))

        assert server.files[done["file"]["file_id"]].read() == DATA
        assert done["file"]["cached"] is False
        assert desk.states() == ["staging", "queued", "sending", "retry", "sending"]
        (retry,) = [note for note in desk.notes if note["state"] == "retry"]
        assert (retry["step"], retry["status"], retry["attempt"]) == ("part 2 of 3", 503, 2)
        assert desk.notes[-1]["acknowledged"] == desk.notes[-1]["total"] == len(DATA)
        (operation,) = desk.service.operations.ended()
        assert (operation.id, operation.what) == (done["operation"], "a.bin")
        assert operation.outcome == done["file"]
        assert await desk.files.list_staged() == ()
        again = await desk.ask(messages.Upload(path=source(tmp_path), target=choice(server)))
        assert again["file"] == {**done["file"], "cached": True}
        assert_no_secret(desk)


async def test_what_is_staged_is_uploaded_by_its_name(tmp_path: Path) -> None:
    """And stays staged; what is not staged is told before there is an operation."""
    async with open_desk(tmp_path) as desk:
        attachment = await desk.files.stage(b"data", name="a.txt")
        target = TargetChoice(kind="directory", path=str(tmp_path / "out"))

        done = await desk.ask(messages.Upload(what="a.txt", target=target))

        assert (tmp_path / "out" / done["file"]["file_id"]).read_bytes() == b"data"
        # The last of the progress is told, however soon it comes.
        assert (desk.notes[-1]["state"], desk.notes[-1]["acknowledged"]) == ("sending", 4)
        assert await desk.files.list_staged() == (attachment,)
        with pytest.raises(NotFound):
            await desk.ask(messages.Upload(what="b.txt", target=target))
        states = [operation.state for operation in desk.service.operations.ended()]
        assert states == ["done"]


async def test_what_makes_no_sense_is_told_before_there_is_an_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when nobody would wait for it: a missing credential is the client's to know."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with open_desk(tmp_path, background=True) as desk:
        for detach in (False, True):
            with pytest.raises(MissingCredentials):
                await desk.ask(
                    messages.Upload(
                        path=source(tmp_path), target=TargetChoice(kind="openai"), detach=detach
                    )
                )

        assert desk.service.operations.ended() == ()
        assert desk.notes == []


async def test_a_cancelled_operation_gives_the_remote_upload_up(tmp_path: Path) -> None:
    """`cancel` by another client: whoever waits is told, and nothing is left at either end."""
    silent = UploadFault("part", NeverAnswer(), nth=2, times=math.inf)
    async with OpenAIUploadServer(api_key=CANARY, faults=[silent]) as server:
        async with open_desk(tmp_path) as desk, trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(OperationCancelled, match=r"a\.bin"):
                    await desk.ask(messages.Upload(path=source(tmp_path), target=choice(server)))

            nursery.start_soon(ask)
            with trio.fail_after(30):
                await server.wait_requests("part", 2)
            (operation,) = desk.service.operations.running()
            assert operation.to_dict()["progress"]["state"] == "sending"
            await desk.ask(messages.Cancel(operation=operation.id))

        assert operation.state == "cancelled"
        assert [upload.status for upload in server.uploads] == ["cancelled"]
        assert not server.files


async def test_a_detached_upload_goes_on_alone(tmp_path: Path) -> None:
    """The answer is its number; it is listed while it runs and when it has ended."""
    async with (
        OpenAIUploadServer(api_key=CANARY) as server,
        open_desk(tmp_path, background=True) as desk,
    ):
        request = messages.Upload(path=source(tmp_path), target=choice(server), detach=True)

        answer = await desk.ask(request)

        (operation,) = desk.service.operations.running()
        assert answer == {"operation": operation.id, "what": "a.bin"}
        with trio.fail_after(30):
            await desk.service.operations.wait_empty()
        assert operation.state == "done"
        assert isinstance(operation.outcome, dict)
        assert server.files[operation.outcome["file_id"]].read() == DATA


async def test_a_detached_upload_that_fails_harms_nobody(tmp_path: Path) -> None:
    """It is an operation that failed and an event that says why; the tree goes on."""
    async with (
        OpenAIUploadServer(api_key="another") as server,
        open_desk(tmp_path, background=True) as desk,
    ):
        for request in (
            messages.Upload(path=source(tmp_path), target=choice(server), detach=True),
            messages.Upload(path="/missing", target=choice(server), detach=True),
        ):
            await desk.ask(request)
        with trio.fail_after(30):
            await desk.service.operations.wait_empty()

        ended = desk.service.operations.ended()
        assert {operation.state for operation in ended} == {"failed"}
        records = desk.service.history.records(kinds=("codex.operation.failed",))
        errors = {record["metadata"]["operation"]: record["metadata"] for record in records}
        kinds = {number: about["error"] for number, about in errors.items()}
        assert kinds == {1: UploadRejected.__name__, 2: SourceNotFound.__name__}
        assert [operation.error for operation in sorted(ended, key=lambda one: one.id)] == [
            errors[number]["reason"] for number in (1, 2)
        ]
        assert_no_secret(desk)


async def test_a_detached_upload_can_be_cancelled(tmp_path: Path) -> None:
    """As any other, by its number."""
    silent = UploadFault("part", NeverAnswer(), times=math.inf)
    async with (
        OpenAIUploadServer(api_key=CANARY, faults=[silent]) as server,
        open_desk(tmp_path, background=True) as desk,
    ):
        request = messages.Upload(path=source(tmp_path), target=choice(server), detach=True)
        answer = await desk.ask(request)
        with trio.fail_after(30):
            await server.wait_requests("part", 1)

        await desk.ask(messages.Cancel(operation=answer["operation"]))

        with trio.fail_after(30):
            await desk.service.operations.wait_empty()
        assert [upload.status for upload in server.uploads] == ["cancelled"]
        assert desk.service.operations.ended()[0].state == "cancelled"
        assert desk.service.history.records(kinds=("codex.operation.failed",)) == []


async def test_nothing_goes_on_where_nobody_stays(tmp_path: Path) -> None:
    """Without a supervisor process there is no detaching; one that drains takes no more."""
    target = TargetChoice(kind="directory", path=str(tmp_path / "out"))
    request = messages.Upload(path=source(tmp_path), target=target, detach=True)
    async with open_desk(tmp_path) as desk:
        with pytest.raises(NoSupervisor, match="--detach"):
            await desk.ask(request)
    async with open_desk(tmp_path, background=True) as desk:
        desk.service.operations.close()
        with pytest.raises(Leaving):
            await desk.ask(request)
        assert desk.service.operations.ended() == ()
