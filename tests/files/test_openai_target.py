"""The OpenAI target against a server on loopback: one request at a time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from http_targets_support import DATA, MIB, Bytes, opened, outgoing, send_parts

from codex_actors.files.targets.openai import OpenAITarget
from codex_actors.files.targets.protocol import (
    Corrupted,
    Finished,
    OutcomeUnknown,
    Part,
    Receipt,
    Refused,
    Remote,
    Retryable,
)
from codex_actors.testing import (
    AnswerGarbage,
    AnswerTruncated,
    AnswerTwice,
    AnswerWith,
    OpenAIUploadServer,
    ResetConnection,
    UploadFault,
)

if TYPE_CHECKING:
    from codex_actors.files.targets.protocol import Session


async def one_request(session: Session, step: str, remote: Remote) -> object:
    """Make one request of a step that may be repeated."""
    match step:
        case "create":
            return await session.begin(outgoing(b"abc"))
        case "part":
            return await session.send_part(outgoing(b"abc"), remote, Part(0, 0, 3), Bytes(b"abc"))
        case "cancel":
            await session.abort(outgoing(b"abc"), remote)
            return None
        case _:
            return await session.confirm("file-000009")


async def test_parts_out_of_order_make_the_file() -> None:
    """Receipts in file order make the file, whatever order the parts were sent in."""
    # F52
    async with OpenAIUploadServer() as server, opened(server) as (_, session):
        file = outgoing(DATA, "wörld, 'a' \"b\".bin")
        remote = await session.begin(file)
        parts = [
            Part(number, number * MIB, min(MIB, len(DATA) - number * MIB)) for number in range(3)
        ]
        receipts: dict[int, Receipt] = {}

        async def send(part: Part) -> None:
            body = Bytes(DATA[part.offset : part.offset + part.size])
            receipts[part.number] = await session.send_part(file, remote, part, body)

        for part in reversed(parts):
            await send(part)
        finished = await session.complete(file, remote, [receipts[number] for number in range(3)])

        stored = server.files[finished.file_id]
        assert stored.read() == DATA
        assert (stored.name, stored.purpose) == (file.name, "user_data")
        assert remote.expires_at is not None
        assert finished.expires_at is None
        assert server.of("complete")[0].json == {
            "part_ids": [receipts[number].token for number in range(3)]
        }


async def test_a_small_file_takes_one_request() -> None:
    """One `POST /files`, with the settings, and a name that needs quoting."""
    async with (
        OpenAIUploadServer() as server,
        opened(server, purpose="vision", expires_after=3600) as (target, session),
    ):
        file = outgoing(b"abc", 'a "quoted" näme.txt')

        finished = await session.send_whole(file, Bytes(b"abc"))

        (request,) = server.requests
        stored = server.files[finished.file_id]
        assert (request.step, request.headers["authorization"]) == ("file", "Bearer sk-test")
        assert (stored.name, stored.read(), stored.purpose) == (file.name, b"abc", "vision")
        assert finished.expires_at is not None
        assert finished.expires_at.timestamp() == stored.created_at + 3600
        assert target.limits.whole_bytes == MIB


async def test_headers_of_organization_and_project() -> None:
    """They go with every request, and requests share no connection."""
    async with (
        OpenAIUploadServer() as server,
        opened(server, organization="org", project="proj", md5=True) as (_, session),
    ):
        md5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
        file = outgoing(DATA, md5=md5)
        remote = await session.begin(file)
        receipts = await send_parts(session, file, remote, DATA, MIB)
        await session.complete(file, remote, receipts)

        assert {request.headers["openai-organization"] for request in server.requests} == {"org"}
        assert {request.headers["openai-project"] for request in server.requests} == {"proj"}
        assert {request.headers["connection"] for request in server.requests} == {"close"}
        assert server.of("complete")[0].json["md5"] == md5


async def test_a_body_is_streamed_and_never_whole() -> None:
    """The multipart head announces the length; the body comes in chunks."""
    # F58
    async with OpenAIUploadServer() as server, opened(server) as (_, session):
        file = outgoing(DATA)
        remote = await session.begin(file)
        body = Bytes(DATA[:MIB])

        await session.send_part(file, remote, Part(0, 0, MIB), body)

        (request,) = server.of("part")
        assert body.taken == 4
        assert "transfer-encoding" not in request.headers
        assert int(request.headers["content-length"]) == request.received


async def test_cancel_leaves_nothing_and_may_be_repeated() -> None:
    """Aborting is done when the server says that there is nothing to abort, not when there is."""
    async with OpenAIUploadServer() as server, opened(server) as (_, session):
        file = outgoing(b"abc")
        remote = await session.begin(file)
        await session.abort(file, remote)
        await session.abort(file, remote)
        server.faults = [UploadFault("cancel", ResetConnection(), takes_effect=True)]
        other = await session.begin(file)
        with pytest.raises(Retryable):
            await session.abort(file, other)
        await session.abort(file, other)
        done = await session.begin(file)
        receipts = await send_parts(session, file, done, b"abc", MIB)
        await session.complete(file, done, receipts)

        with pytest.raises(Refused, match="is completed"):
            await session.abort(file, done)
        assert [upload.status for upload in server.uploads] == [
            "cancelled",
            "cancelled",
            "completed",
        ]


@pytest.mark.parametrize("step", ["create", "part", "cancel", "retrieve"])
@pytest.mark.parametrize(
    ("then", "failure"),
    [
        (AnswerWith(500), Retryable),
        (AnswerWith(503, body=""), Retryable),
        (AnswerWith(408), Retryable),
        (AnswerWith(409), Retryable),
        (AnswerWith(429, retry_after=7), Retryable),
        (AnswerWith(400), Refused),
        (AnswerWith(401), Refused),
        (AnswerWith(403), Refused),
        (AnswerWith(413), Refused),
        (AnswerWith(418, body="x" * 5000), Refused),
        (AnswerWith(307, headers={"location": "http://127.0.0.1:9/?sig=x"}), Refused),
        (ResetConnection(), Retryable),
        (AnswerTruncated(), Retryable),
        (AnswerGarbage(), Retryable),
    ],
    ids=str,
)
async def test_what_a_failure_means(step: str, then: Any, failure: type[Exception]) -> None:
    """Retryable: connection errors, 408, 409, 429, 5xx, answers that are none; never other 4xx."""
    # F53, F54, F55, F59
    if step == "cancel" and isinstance(then, AnswerGarbage | AnswerTruncated):
        then = AnswerWith(502)  # the answer to a cancel says nothing that is needed
    async with OpenAIUploadServer() as server, opened(server) as (_, session):
        file = outgoing(b"abc")
        remote = await session.begin(file)
        server.faults = [UploadFault(step, then)]

        with pytest.raises(failure) as failed:
            await one_request(session, step, remote)

        assert isinstance(failed.value, Retryable | Refused)
        assert failed.value.status == getattr(then, "status", failed.value.status)
        assert len(failed.value.message) < 700
        if isinstance(failed.value, Retryable) and isinstance(then, AnswerWith):
            assert failed.value.retry_after == then.retry_after


async def test_an_early_refusal_is_seen() -> None:
    """The server answers in the middle of the body: its words, not a broken connection."""
    # F55
    data = bytes(16 * MIB)
    fault = UploadFault("file", AnswerWith(413), after=MIB)
    async with OpenAIUploadServer(faults=[fault]) as server, opened(server) as (_, session):
        body = Bytes(data)
        with pytest.raises(Refused, match="413") as refused:
            await session.send_whole(outgoing(data), body)

        assert refused.value.status == 413
        assert not server.files


async def test_an_answer_that_comes_twice_misleads_nobody() -> None:
    """Each request has its own connection: no answer is taken for another's."""
    faults = [UploadFault(step, AnswerTwice(), times=99) for step in OpenAIUploadServer.STEPS]
    async with OpenAIUploadServer(faults=faults) as server, opened(server) as (_, session):
        file = outgoing(DATA)
        remote = await session.begin(file)
        receipts = await send_parts(session, file, remote, DATA, MIB)
        finished = await session.complete(file, remote, receipts)

        assert server.files[finished.file_id].read() == DATA


async def test_a_wrong_md5_is_refused_for_good() -> None:
    """The server's word about the checksum is in the error."""
    # F65
    async with OpenAIUploadServer() as server, opened(server) as (_, session):
        file = outgoing(b"abc", md5="0" * 32)
        remote = await session.begin(file)
        receipts = await send_parts(session, file, remote, b"abc", MIB)

        with pytest.raises(Corrupted, match="md5"):
            await session.complete(file, remote, receipts)
        await session.abort(file, remote)

        assert [upload.status for upload in server.uploads] == ["cancelled"]


@pytest.mark.parametrize("size", ["[]", "{}", '"3"', "3.5"])
@pytest.mark.parametrize("given", ['"\\ud800"', '"\\u001b[2J"', '""', "7", "null", '"a"'])
async def test_an_id_or_size_that_is_none(given: str, size: str) -> None:
    """What could be neither recorded nor shown is an answer that is none."""
    # F59
    size = size if given == '"a"' else "3"
    described = f'"id": {given}, "bytes": {size}'
    body = f'{{"object": "file", {described}, "upload_id": "a"}}'
    async with OpenAIUploadServer() as server, opened(server) as (_, session):
        file = outgoing(b"abc")
        server.faults = [
            UploadFault(step, AnswerWith(200, body=body), times=9)
            for step in ("create", "complete", "file")
        ]

        with pytest.raises(Retryable, match="no Upload"):
            await session.begin(file)
        with pytest.raises(OutcomeUnknown, match="no complete file"):
            await session.complete(file, Remote("a"), [])
        with pytest.raises(OutcomeUnknown, match="no complete file"):
            await session.send_whole(file, Bytes(b"abc"))

        listed = f'{{"data": [{{{described}, "purpose": "user_data"}}], "has_more": true}}'
        server.faults = [UploadFault("list", AnswerWith(200, body=listed), times=99)]
        assert not isinstance(await session.settle(file, None, []), Finished)


async def test_a_file_of_an_earlier_upload_is_asked_for() -> None:
    """Still there, gone, expired."""
    # F67
    now = 2_000_000_000.0
    async with (
        OpenAIUploadServer(clock=lambda: now) as server,
        opened(server, expires_after=3600) as (_, session),
    ):
        finished = await session.send_whole(outgoing(b"abc"), Bytes(b"abc"))

        assert await session.confirm(finished.file_id)
        assert not await session.confirm("file-none")
        now += 3600
        assert not await session.confirm(finished.file_id)


async def test_nobody_listens() -> None:
    """An unreachable host is worth another try, and the message says what happened."""
    async with OpenAIUploadServer() as server:
        target = OpenAITarget(server.base_url, server.api_key)
    async with target.open_session() as session:
        with pytest.raises(Retryable, match="no connection to 127"):
            await session.begin(outgoing(b"abc"))
        with pytest.raises(Retryable, match="no connection to 127"):
            await session.send_whole(outgoing(b"abc"), Bytes(b"abc"))
