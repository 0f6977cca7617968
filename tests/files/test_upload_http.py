"""Uploads over real sockets: killed and resumed, many at a time, cancelled, refused beforehand."""

from __future__ import annotations

import logging
import math
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio
import upload_child

from codex_actors.files import (
    ChecksumMismatch,
    CodexTarget,
    Files,
    FilesConfig,
    MissingCredentials,
    OpenAITarget,
    TargetLimitExceeded,
    UploadError,
    UploadOutcomeUnknown,
    UploadRejected,
    open_files,
)
from codex_actors.files.retry import Retry
from codex_actors.testing import (
    AnswerWith,
    CodexUploadServer,
    NeverAnswer,
    OpenAIUploadServer,
    UploadFault,
)

if TYPE_CHECKING:
    from codex_actors.files import Event

MIB = 2**20
RETRY = Retry(attempts=3, base=0.001, cap=0.002, attempt_timeout=10.0)
CHILD = Path(upload_child.__file__)


def config(tmp_path: Path, **options: Any) -> FilesConfig:
    """Return settings that wait for no disk."""
    return FilesConfig(staging_dir=tmp_path / "staging", durability="none", **options)


@pytest.mark.parametrize("expired", [False, True])
async def test_a_killed_process_resumes_where_it_was(tmp_path: Path, expired: bool) -> None:
    """After kill -9 the same upload sends what was not recorded, and at most `parallel` again.

    If the server has let what was sent expire meanwhile, it starts over.
    """
    size, killed_at = 6 * MIB + 4, 3
    now = time.time()
    silent = UploadFault("part", NeverAnswer(), nth=killed_at + 1, times=math.inf)
    async with OpenAIUploadServer(faults=[silent], clock=lambda: now) as server:
        command = [
            sys.executable,
            str(CHILD),
            str(tmp_path / "staging"),
            server.base_url,
            str(size),
        ]
        async with trio.open_nursery() as nursery:
            run = partial(trio.run_process, command, check=False)
            child: trio.Process = await nursery.start(run)
            with trio.fail_after(60):
                # Two that are in flight tell that those before them were recorded.
                await server.wait_requests("part", killed_at + upload_child.PARALLEL)
            child.kill()
        server.faults = []
        if expired:
            now += 3600

        again = await trio.run_process(command, capture_stdout=True)

        file_id = again.stdout.decode().strip()
        assert server.files[file_id].read() == upload_child.content(size)
        assert len(server.files) == 1
        ended = ["expired", "completed"] if expired else ["completed"]
        assert [upload.status for upload in server.uploads] == ended
        resent = server.of("part")[killed_at + upload_child.PARALLEL :]
        taken = [request for request in resent if request.status == 200]
        assert len(taken) == 7 - (0 if expired else killed_at)
        assert len(resent) - len(taken) <= (upload_child.PARALLEL if expired else 0)


async def test_many_at_a_time_go_through_few_slots(tmp_path: Path) -> None:
    """A hundred uploads, eight at a time with two parts each in flight; all arrive."""
    # F46, F58
    async with OpenAIUploadServer() as server, open_files(config(tmp_path)) as files:
        target = OpenAITarget(server.base_url, server.api_key, part_size=MIB, parallel=2)
        done: dict[str, bytes] = {}

        async def one(number: int) -> None:
            data = b"%08d" % number * (MIB // 8) + b"%08d" % number
            uploaded = await files.upload(data, name="many.bin", target=target, retry=RETRY)
            done[uploaded.file_id] = data

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(one, number)

        assert len(done) == 100
        assert server.files.keys() == done.keys()
        assert all(server.files[file_id].read() == data for file_id, data in done.items())
        assert server.peak("part") <= 16
        assert not server.pending


@pytest.mark.parametrize("step", ["create", "part", "complete"])
async def test_cancelling_all_leaves_nothing_pending(tmp_path: Path, step: str) -> None:
    """In the middle of any step: what has begun is cancelled at the server, too."""
    # F61
    async with (
        OpenAIUploadServer(latency=0.05) as server,
        open_files(config(tmp_path)) as files,
    ):
        target = OpenAITarget(server.base_url, server.api_key, part_size=MIB, parallel=2)

        async def one(number: int) -> None:
            data = b"%08d" % number * (MIB // 8) + b"."
            await files.upload(data, name="many.bin", target=target, retry=RETRY)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(one, number)
            await server.wait_requests(step, 9)
            nursery.cancel_scope.cancel()

        assert len(server.uploads) > len(server.files)
        assert not server.pending
        assert (await files.metrics()).leases == 0
        assert (await files.metrics()).transfers_running == 0


async def refused(files: Files, expected: type[Exception], data: bytes, target: Any) -> Exception:
    """Upload what must be refused; return the error."""
    with pytest.raises(expected) as failed:
        await files.upload(data, name="refused.bin", target=target, retry=RETRY)
    return failed.value


async def test_what_cannot_go_is_refused_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty file, no credential: a typed error with the way out, and silence on the wire."""
    # F50
    for name in ("OPENAI_API_KEY", "CODEX_ACCESS_TOKEN", "CODEX_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)
    async with (
        OpenAIUploadServer() as openai,
        CodexUploadServer() as codex,
        open_files(config(tmp_path)) as files,
    ):
        small = await files.stage(b"small", name="small.bin")
        for target in (
            OpenAITarget(openai.base_url, openai.api_key),
            CodexTarget(codex.base_url, codex.access_token, codex.account_id),
        ):
            error = await refused(files, TargetLimitExceeded, b"", target)
            assert "refused.bin" in str(error)
            # What counts is what is known of the attachment: nothing is read.
            huge = attrs.evolve(small, size=target.limits.max_bytes + 1)
            with pytest.raises(TargetLimitExceeded, match=f"{target.limits.max_bytes}"):
                await files.upload(huge, target=target)
        without = await refused(files, MissingCredentials, b"x", OpenAITarget(openai.base_url))
        assert "OPENAI_API_KEY" in str(without)
        await refused(files, MissingCredentials, b"x", CodexTarget(codex.base_url))

        assert not openai.requests
        assert not codex.requests


async def test_a_changed_blob_leaves_nothing_at_the_server(tmp_path: Path) -> None:
    """Bytes that are not those that were staged: no request leaves."""
    # F30, F32
    async with OpenAIUploadServer() as server, open_files(config(tmp_path)) as files:
        attachment = await files.stage(b"as staged", name="a.txt")
        attachment.path.chmod(0o600)
        attachment.path.write_bytes(b"tampered!")

        with pytest.raises(ChecksumMismatch):
            await files.upload(
                attachment, target=OpenAITarget(server.base_url, server.api_key), retry=RETRY
            )

        assert not server.requests


async def test_a_host_that_nobody_listens_at(tmp_path: Path) -> None:
    """The error says how often it was tried, and that trying later may help."""
    async with OpenAIUploadServer() as server:
        target = OpenAITarget(server.base_url, server.api_key)
    async with open_files(config(tmp_path)) as files:
        error = await refused(files, UploadError, b"nobody", target)

        assert isinstance(error, UploadError)
        assert (error.attempts, error.can_retry, error.status) == (3, True, None)
        assert "no connection to 127.0.0.1" in str(error)


async def test_md5_is_compared_by_the_server(tmp_path: Path) -> None:
    """It is sent on request; a server that refuses it ends the upload, and nothing is left."""
    # F65
    async with OpenAIUploadServer() as server, open_files(config(tmp_path)) as files:
        target = OpenAITarget(server.base_url, server.api_key, part_size=MIB, md5=True)
        data = bytes(MIB) + b"right"
        await files.upload(data, name="a", target=target, retry=RETRY)
        assert len(server.of("complete")[0].json["md5"]) == 32
        server.faults = [
            UploadFault(
                "complete",
                AnswerWith(400, body='{"error": {"message": "md5 mismatch", "param": "md5"}}'),
            )
        ]

        error = await refused(files, ChecksumMismatch, bytes(MIB) + b"wrong", target)

        assert isinstance(error, UploadRejected)
        assert "md5 mismatch" in str(error)
        assert (error.step, error.status, error.attempts) == ("complete", 400, 1)
        assert error.can_retry
        assert [upload.status for upload in server.uploads] == ["completed", "cancelled"]


async def test_a_file_that_expired_at_the_server_is_sent_again(tmp_path: Path) -> None:
    """One content has one file id until that is gone."""
    # F67
    async with OpenAIUploadServer() as server, open_files(config(tmp_path)) as files:
        target = OpenAITarget(server.base_url, server.api_key)
        attachment = await files.stage(b"once", name="a.txt")

        first = await files.upload(attachment, target=target, retry=RETRY)
        second = await files.upload(attachment, target=target, retry=RETRY)
        assert first.file_id == second.file_id
        server.faults = [UploadFault("retrieve", AnswerWith(404))]
        third = await files.upload(attachment, target=target, retry=RETRY)

        assert third.file_id != first.file_id
        assert len(server.of("file")) == 2


@pytest.mark.parametrize("deadline", [None, 0.6])
async def test_a_backend_that_finalises_late_gets_no_second_file_unsaid(
    tmp_path: Path, deadline: float | None
) -> None:
    """It made the file when nobody asked any more: the error says that there may be one."""
    # F63
    retry = attrs.evolve(RETRY, deadline=deadline)
    at_work = UploadFault(
        "finalise", AnswerWith(200, body='{"status": "retry"}'), times=math.inf, takes_effect=True
    )
    async with (
        CodexUploadServer(faults=[at_work]) as server,
        open_files(config(tmp_path)) as files,
    ):
        target = CodexTarget(
            server.base_url, server.access_token, server.account_id, finalise_timeout=0.3
        )

        with pytest.raises(UploadOutcomeUnknown) as raised:
            await files.upload(b"abc", name="a", target=target, retry=retry)

        assert list(server.files) == [raised.value.ids["upload_id"]]


@pytest.mark.parametrize("status", [200, 403, 500])
async def test_nothing_shows_a_secret(
    tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """No token and no signed query: in logs, events, errors, and what the tree tells of itself."""
    # F70
    caplog.set_level(logging.DEBUG)
    told: list[Event] = []
    shown: list[str] = []
    async with (
        CodexUploadServer(access_token="token-of-a-test") as server,  # noqa: S106 - of a test
        open_files(config(tmp_path), on_event=[told.append]) as files,
    ):
        if status != 200:
            body = "token-of-a-test, sig=signature-of-a-test, http://u:pass-of-a-test@x/?y=q"
            server.faults = [UploadFault("put", AnswerWith(status, body=body), times=9)]
        target = CodexTarget(server.base_url, server.access_token, server.account_id)
        try:
            shown.append(repr(await files.upload(b"abc", name="a", target=target, retry=RETRY)))
        except UploadError as error:
            cause: BaseException | None = error
            while cause is not None:
                shown += [str(cause), repr(cause), repr(vars(cause))]
                cause = cause.__cause__
        shown += [repr(target), repr(files.supervisor.snapshot()), str(files.supervisor.snapshot())]
        shown += [repr(event) + str(event) for event in told]
        shown += [f"{record.getMessage()} {vars(record)!r}" for record in caplog.records]
        secrets = [server.created[0].signature, "token-of-a-test", "pass-of-a-test", "y=q"]

    assert len(told) > 2
    for secret in secrets:
        assert not [text for text in shown if secret in text]
