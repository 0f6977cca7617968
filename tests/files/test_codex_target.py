"""The target of the codex backend against a server on loopback: one request at a time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from http_targets_support import MIB, Bytes, outgoing

from codex_actors.files.errors import MissingCredentials
from codex_actors.files.targets.answers import Answer
from codex_actors.files.targets.codex import CodexTarget
from codex_actors.files.targets.codex_session import remote_of
from codex_actors.files.targets.protocol import (
    Fate,
    Finished,
    OutcomeUnknown,
    Part,
    Refused,
    Remote,
    Retryable,
)
from codex_actors.testing import (
    AnswerGarbage,
    AnswerTruncated,
    AnswerWith,
    CodexUploadServer,
    ResetConnection,
    UploadFault,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from codex_actors.files.targets.protocol import Session

DATA = bytes(range(256)) * 4096 + b"tail"
TOKEN = "eyJ.of-a-test.x"  # noqa: S105 - no real one


@asynccontextmanager
async def opened(
    server: CodexUploadServer, *, finalise_timeout: float = 30.0
) -> AsyncGenerator[Session]:
    """Open a session with a running server."""
    target = CodexTarget(
        server.base_url, server.access_token, server.account_id, finalise_timeout=finalise_timeout
    )
    async with target.open_session() as session:
        yield session


async def put(session: Session, data: bytes) -> Remote:
    """Announce a file and send it."""
    file = outgoing(data)
    remote = await session.begin(file)
    await session.send_part(file, remote, Part(0, 0, len(data)), Bytes(data))
    return remote


async def test_three_steps_and_credentials_where_they_belong() -> None:
    """The backend gets the token and the account, the signed address gets neither."""
    # F68
    async with (
        CodexUploadServer(finalise=["retry", "success"]) as server,
        opened(server) as session,
    ):
        remote = await put(session, DATA)

        finished = await session.complete(outgoing(DATA), remote, [])

        created, sent, *finalised = server.requests
        assert server.files[finished.file_id].read() == DATA
        assert len(finalised) == 2
        for request in (created, *finalised):
            assert request.headers["authorization"] == "Bearer test-token"
            assert request.headers["chatgpt-account-id"] == "test-account"
        assert "authorization" not in sent.headers
        assert "chatgpt-account-id" not in sent.headers
        assert sent.headers["x-ms-blob-type"] == "BlockBlob"
        assert sent.headers["content-length"] == str(len(DATA))
        assert created.json == {
            "file_name": "a.bin",
            "file_size": len(DATA),
            "use_case": "codex",
        }


async def test_a_failure_of_the_backend_is_final() -> None:
    """Its message is the error's."""
    async with CodexUploadServer(finalise=["virus found"]) as server, opened(server) as session:
        remote = await put(session, b"abc")

        with pytest.raises(Refused, match="virus found"):
            await session.complete(outgoing(b"abc"), remote, [])
        await session.abort(outgoing(b"abc"), remote)

        assert not server.files


async def test_a_backend_that_is_never_ready() -> None:
    """Polling ends after its time, and what becomes of the file nobody can tell."""
    # F63
    async with (
        CodexUploadServer(finalise=["retry"]) as server,
        opened(server, finalise_timeout=0.3) as session,
    ):
        remote = await put(session, b"abc")

        with pytest.raises(OutcomeUnknown, match="not finalised"):
            await session.complete(outgoing(b"abc"), remote, [])
        assert await session.settle(outgoing(b"abc"), remote, []) is Fate.UNKNOWN

        assert len(server.of("finalise")) == 4


async def test_a_backend_that_is_ready_late_has_one_file() -> None:
    """It finalises while it is asked what became of the file."""
    # F63
    async with (
        CodexUploadServer(finalise=["retry"] * 3 + ["success"]) as server,
        opened(server, finalise_timeout=0.3) as session,
    ):
        remote = await put(session, b"abc")
        with pytest.raises(OutcomeUnknown, match="not finalised"):
            await session.complete(outgoing(b"abc"), remote, [])

        assert await session.settle(outgoing(b"abc"), remote, []) == Finished(remote.id)
        assert list(server.files) == [remote.id]


@pytest.mark.parametrize("step", ["create", "put"])
@pytest.mark.parametrize(
    ("then", "failure"),
    [
        (AnswerWith(500), Retryable),
        (AnswerWith(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"), Retryable),
        (AnswerWith(403), Refused),
        (AnswerWith(302, headers={"location": "http://127.0.0.1:9/"}), Refused),
        (ResetConnection(), Retryable),
    ],
    ids=str,
)
async def test_what_a_failure_means(step: str, then: Any, failure: type[Exception]) -> None:
    """The same rules for both servers; repeating either request does no harm."""
    # F53, F54, F55
    async with CodexUploadServer(faults=[UploadFault(step, then)]) as server:
        async with opened(server) as session:
            with pytest.raises(failure):
                await put(session, DATA)
            remote = await put(session, DATA)
            finished = await session.complete(outgoing(DATA), remote, [])

        assert server.files[finished.file_id].read() == DATA


@pytest.mark.parametrize(
    "then",
    [AnswerWith(500), ResetConnection(), AnswerTruncated(), AnswerGarbage()],
    ids=str,
)
@pytest.mark.parametrize("takes_effect", [True, False])
async def test_a_lost_answer_to_finalise_is_settled(then: Any, takes_effect: bool) -> None:
    """Asking how far the backend is tells."""
    # F63
    faults = [UploadFault("finalise", then, takes_effect=takes_effect)]
    async with CodexUploadServer(faults=faults) as server, opened(server) as session:
        remote = await put(session, DATA)

        with pytest.raises(OutcomeUnknown):
            await session.complete(outgoing(DATA), remote, [])
        settled = await session.settle(outgoing(DATA), remote, [])

        assert settled == Finished(remote.id)
        assert list(server.files) == [remote.id]


async def test_a_second_put_replaces_the_first() -> None:
    """Half a body is no blob; the repeated one is."""
    data = bytes(8 * MIB)
    faults = [UploadFault("put", ResetConnection(), after=MIB)]
    async with CodexUploadServer(faults=faults) as server, opened(server) as session:
        file = outgoing(data)
        remote = await session.begin(file)
        with pytest.raises(Retryable):
            await session.send_part(file, remote, Part(0, 0, len(data)), Bytes(data))

        await session.send_part(file, remote, Part(0, 0, len(data)), Bytes(data))
        finished = await session.complete(file, remote, [])

        assert server.files[finished.file_id].size == len(data)


async def test_the_signed_address_is_never_shown() -> None:
    """Neither by the remote, nor by an error, also not one that the server makes of it."""
    # F70
    async with CodexUploadServer() as server, opened(server) as session:
        remote = await session.begin(outgoing(b"abc"))
        signature = server.created[0].signature
        server.faults = [
            UploadFault(
                "put", AnswerWith(403, body=f"bad signature {signature} at {remote.secret}")
            ),
            UploadFault("put", ResetConnection(), nth=2),
        ]

        shown = [repr(remote)]
        for _ in range(2):
            with pytest.raises((Refused, Retryable)) as failed:
                await session.send_part(outgoing(b"abc"), remote, Part(0, 0, 3), Bytes(b"abc"))
            shown += [str(failed.value), repr(failed.value), str(failed.value.__cause__)]

        assert signature in remote.secret
        assert not any(signature in text for text in shown)
        assert "bad signature <secret> at <secret>" in shown[1]


async def test_an_address_that_is_none() -> None:
    """What the backend gave cannot be used: refused, without the address."""
    async with CodexUploadServer() as server, opened(server) as session:
        for secret in ("ftp://127.0.0.1/x?sig=hidden", "http://[?sig=hidden", "hidden"):
            remote = Remote("file_1", secret=secret)
            with pytest.raises((Refused, Retryable)) as failed:
                await session.send_part(outgoing(b"abc"), remote, Part(0, 0, 3), Bytes(b"abc"))
            assert "hidden" not in str(failed.value)
        assert not server.requests


async def test_credentials_come_from_arguments_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both are needed; neither is shown."""
    for name in ("CODEX_ACCESS_TOKEN", "CODEX_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingCredentials, match="CODEX_ACCOUNT_ID"):
        CodexTarget(None, TOKEN).account()
    with pytest.raises(MissingCredentials, match="CODEX_ACCESS_TOKEN"):
        async with CodexTarget(account_id="a").open_session():
            pass

    monkeypatch.setenv("CODEX_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("CODEX_ACCOUNT_ID", "account")

    target = CodexTarget()
    account = target.account()
    assert account.startswith("https://chatgpt.com/backend-api account ")
    assert account != CodexTarget(None, f"{TOKEN}2").account()
    assert TOKEN not in account + repr(CodexTarget(None, TOKEN))
    assert (target.limits.max_bytes, target.limits.resumable) == (512 * MIB, False)


async def test_a_cancelled_upload_leaves_no_connection() -> None:
    """Cancelling in the middle of a body ends at once."""
    fault = UploadFault("put", bytes_per_second=1000)
    data = bytes(16 * MIB)
    async with CodexUploadServer(faults=[fault]) as server, opened(server) as session:
        file = outgoing(data)
        remote = await session.begin(file)
        body = Bytes(data)
        with trio.move_on_after(0.3) as scope:
            await session.send_part(file, remote, Part(0, 0, len(data)), body)

        assert scope.cancelled_caught
        assert body.taken < 64
        assert not server.files


def test_an_address_without_encryption_is_refused() -> None:
    """A backend that is spoken to over TLS cannot have the file put in the clear."""
    answer = Answer(200, {}, b'{"file_id": "file_1", "upload_url": "http://127.0.0.1/x?sig=1"}')

    assert remote_of(answer, "http://127.0.0.1/backend-api").id == "file_1"
    with pytest.raises(Refused, match="without encryption") as refused:
        remote_of(answer, "https://127.0.0.1/backend-api")
    assert "sig" not in str(refused.value)
