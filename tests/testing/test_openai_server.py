"""The server for OpenAI's Uploads API, as OpenAI's own client sees it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import openai
import pytest
import trio

from codex_actors.testing import (
    AnswerGarbage,
    AnswerTruncated,
    AnswerTwice,
    AnswerWith,
    NeverAnswer,
    OpenAIUploadServer,
    ResetConnection,
    UploadFault,
)

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20


def client_of(server: OpenAIUploadServer, *, retries: int = 0) -> openai.AsyncOpenAI:
    """Return the official client, pointed at a server."""
    return openai.AsyncOpenAI(
        base_url=server.base_url, api_key=server.api_key, max_retries=retries, timeout=30.0
    )


def hurried(client: openai.AsyncOpenAI, then: object) -> openai.AsyncOpenAI:
    """Return a client that does not wait long, where there will be no answer."""
    return client.with_options(timeout=0.3) if isinstance(then, NeverAnswer) else client


async def begin(client: openai.AsyncOpenAI, size: int = 6) -> str:
    """Begin an upload, return its id."""
    upload = await client.uploads.create(
        bytes=size, filename="a.bin", mime_type="application/octet-stream", purpose="user_data"
    )
    return upload.id


async def test_upload_file_chunked_works_unchanged(tmp_path: Path) -> None:
    """The official client's chunked upload arrives whole, in three parts."""
    data = bytes(range(256)) * 4096 * 2 + b"tail"
    path = tmp_path / "data.bin"
    path.write_bytes(data)

    async with OpenAIUploadServer() as server, client_of(server) as client:
        upload = await client.uploads.upload_file_chunked(
            file=path,
            mime_type="application/octet-stream",
            purpose="user_data",
            part_size=MIB,
            md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        )

        assert upload.status == "completed"
        assert upload.file is not None
        assert upload.file.filename == "data.bin"
        assert server.files[upload.file.id].sha256() == hashlib.sha256(data).hexdigest()
        assert [request.step for request in server.requests] == [
            "create",
            "part",
            "part",
            "part",
            "complete",
        ]
        assert not server.pending


async def test_the_synchronous_client_on_bytes(tmp_path: Path) -> None:
    """It does not matter which of the official clients it is."""
    async with OpenAIUploadServer() as server:

        def upload() -> openai.types.Upload:
            with openai.OpenAI(base_url=server.base_url, api_key=server.api_key) as client:
                return client.uploads.upload_file_chunked(
                    file=b"abc", filename="a.txt", bytes=3, mime_type="text/plain", purpose="vision"
                )

        done = await trio.to_thread.run_sync(upload)

        assert done.file is not None
        assert server.files[done.file.id].read() == b"abc"
        assert server.files[done.file.id].content_type == "text/plain"


async def test_files_are_created_listed_read_and_deleted() -> None:
    """The official client's `files` methods work."""
    async with OpenAIUploadServer() as server, client_of(server) as client:
        first = await client.files.create(file=('a "b".txt', b"one"), purpose="user_data")
        second = await client.files.create(
            file=("b.txt", b"two"),
            purpose="vision",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )

        assert (await client.files.retrieve(first.id)).filename == 'a "b".txt'
        assert (await client.files.content(second.id)).content == b"two"
        assert [file.id async for file in client.files.list()] == [second.id, first.id]
        assert [file.id async for file in client.files.list(limit=1)] == [second.id, first.id]
        assert [file.id async for file in client.files.list(purpose="user_data")] == [first.id]
        assert second.expires_at == second.created_at + 3600
        assert (await client.files.delete(first.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.files.retrieve(first.id)


async def test_parts_are_joined_in_the_order_of_complete() -> None:
    """Parts may come in any order and in parallel; `part_ids` decide, and the rest is left out."""
    async with OpenAIUploadServer() as server, client_of(server) as client:
        upload_id = await begin(client)
        last = await client.uploads.parts.create(upload_id, data=b"def")
        unused = await client.uploads.parts.create(upload_id, data=b"xxx")
        first = await client.uploads.parts.create(upload_id, data=b"abc")

        done = await client.uploads.complete(upload_id, part_ids=[first.id, last.id])

        assert done.file is not None
        assert server.files[done.file.id].read() == b"abcdef"
        assert server.of("complete")[0].json == {"part_ids": [first.id, last.id]}
        assert unused.upload_id == upload_id


async def test_what_the_real_one_refuses_is_refused() -> None:
    """Wrong ids, counts, sums, repeated and late requests: errors that the client knows."""
    async with OpenAIUploadServer() as server, client_of(server) as client:
        upload_id = await begin(client)
        part = await client.uploads.parts.create(upload_id, data=b"abcdef")

        for part_ids, md5, told in (
            ([], None, "part_ids"),
            ([part.id, part.id], None, "part_ids"),
            (["part_x"], None, "No such part"),
            ([part.id], "0" * 32, "md5"),
        ):
            with pytest.raises(openai.BadRequestError, match=told):
                await client.uploads.complete(
                    upload_id, part_ids=part_ids, md5=openai.omit if md5 is None else md5
                )
        short = await client.uploads.parts.create(upload_id, data=b"abc")
        with pytest.raises(openai.BadRequestError, match="3 bytes, and 6 were announced"):
            await client.uploads.complete(upload_id, part_ids=[short.id])
        await client.uploads.complete(upload_id, part_ids=[part.id])
        with pytest.raises(openai.BadRequestError, match="is completed"):
            await client.uploads.complete(upload_id, part_ids=[part.id])
        with pytest.raises(openai.BadRequestError, match="is completed"):
            await client.uploads.cancel(upload_id)
        with pytest.raises(openai.BadRequestError, match="is completed"):
            await client.uploads.parts.create(upload_id, data=b"abc")
        with pytest.raises(openai.NotFoundError):
            await client.uploads.cancel("upload_x")
        with pytest.raises(openai.BadRequestError, match="File is empty"):
            await client.files.create(file=("a", b""), purpose="user_data")
        with pytest.raises(openai.BadRequestError, match="'bytes'"):
            await begin(client, 0)
        with pytest.raises(openai.BadRequestError, match="'bytes'"):
            await begin(client, 8 * 2**30 + 1)
        assert len(server.files) == 1


async def test_a_part_above_the_limit_is_refused_and_leaves_nothing() -> None:
    """64 MiB is the largest part."""
    async with OpenAIUploadServer(keep_bytes=False) as server, client_of(server) as client:
        upload_id = await begin(client, 64 * MIB + 1)

        await client.uploads.parts.create(upload_id, data=bytes(64 * MIB))
        with pytest.raises(openai.APIStatusError) as refused:
            await client.uploads.parts.create(upload_id, data=bytes(64 * MIB + 1))

        assert refused.value.status_code == 413
        assert [part.spool.size for part in server.uploads[0].parts] == [64 * MIB]


async def test_only_the_right_key_gets_in() -> None:
    """A missing or wrong key is a 401, and is not repeated in its message."""
    async with OpenAIUploadServer() as server:
        async with openai.AsyncOpenAI(
            base_url=server.base_url, api_key="sk-wrong", max_retries=0
        ) as client:
            with pytest.raises(openai.AuthenticationError) as refused:
                await client.files.list()

        assert refused.value.code == "invalid_api_key"
        assert "sk-wrong" not in str(refused.value)


async def test_an_upload_ends_once_cancelled_or_expired() -> None:
    """States are those of the API; expiry comes an hour after creation, by the server's clock."""
    now = 1_000_000.0
    async with OpenAIUploadServer(clock=lambda: now) as server, client_of(server) as client:
        cancelled = await begin(client)
        expired = await begin(client)
        assert (await client.uploads.cancel(cancelled)).status == "cancelled"
        assert [upload.id for upload in server.pending] == [expired]

        now += 3600

        with pytest.raises(openai.BadRequestError, match="is expired"):
            await client.uploads.parts.create(expired, data=b"abc")
        with pytest.raises(openai.BadRequestError, match="is cancelled"):
            await client.uploads.cancel(cancelled)
        assert [upload.status for upload in server.uploads] == ["cancelled", "expired"]


async def test_organization_and_project_are_seen() -> None:
    """Headers are recorded as they came."""
    async with (
        OpenAIUploadServer() as server,
        openai.AsyncOpenAI(
            base_url=server.base_url, api_key=server.api_key, organization="org", project="proj"
        ) as client,
    ):
        await begin(client)

        (request,) = server.requests
        assert request.headers["openai-organization"] == "org"
        assert request.headers["openai-project"] == "proj"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (UploadFault("create", AnswerWith(500)), openai.InternalServerError),
        (UploadFault("create", AnswerWith(500, body="")), openai.InternalServerError),
        (UploadFault("create", AnswerWith(429, retry_after=7)), openai.RateLimitError),
        (UploadFault("create", AnswerWith(413, body="no")), openai.APIStatusError),
        (UploadFault("create", ResetConnection()), openai.APIConnectionError),
        (UploadFault("create", ResetConnection(), after=10), openai.APIConnectionError),
        (UploadFault("create", NeverAnswer()), openai.APITimeoutError),
        (UploadFault("create", AnswerTruncated()), openai.APIConnectionError),
        (UploadFault("create", AnswerWith(503), after=10), openai.InternalServerError),
    ],
    ids=lambda value: "" if isinstance(value, type) else f"{value.then}-{value.after}",
)
async def test_a_fault_is_what_the_client_sees(
    fault: UploadFault, expected: type[Exception]
) -> None:
    """A fault strikes once, nothing takes effect, and the next request is served."""
    async with (
        OpenAIUploadServer(faults=[fault]) as server,
        client_of(server) as client,
    ):
        with pytest.raises(expected):
            await begin(hurried(client, fault.then))
        assert not server.uploads

        await begin(client)

        assert len(server.pending) == 1


@pytest.mark.parametrize(
    "then",
    [AnswerWith(500), ResetConnection(), NeverAnswer(), AnswerTruncated(), AnswerGarbage()],
    ids=lambda then: type(then).__name__,
)
async def test_a_request_takes_effect_and_its_answer_is_lost(then: object) -> None:
    """With `takes_effect` the server has done what the client does not get to know."""
    fault = UploadFault("create", then, takes_effect=True)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - one of those
    async with (
        OpenAIUploadServer(faults=[fault]) as server,
        client_of(server) as client,
    ):
        with pytest.raises((openai.APIError, AttributeError)):
            await begin(hurried(client, then))

        assert len(server.pending) == 1


async def test_faults_are_counted_by_step() -> None:
    """`nth` and `times` count the requests of one step; the client's own retries get through."""
    faults = [UploadFault("part", AnswerWith(503, retry_after=0.01), nth=2, times=2)]
    async with (
        OpenAIUploadServer(faults=faults) as server,
        client_of(server, retries=2) as client,
    ):
        await client.uploads.upload_file_chunked(
            file=b"abcdef", filename="a", bytes=6, mime_type="a/b", purpose="vision", part_size=3
        )

        assert [request.status for request in server.of("part")] == [200, 503, 503, 200]


async def test_a_slow_reader_takes_its_time() -> None:
    """`bytes_per_second` bounds the speed at which a body is read."""
    fault = UploadFault("part", bytes_per_second=10 * MIB)
    async with OpenAIUploadServer(faults=[fault]) as server, client_of(server) as client:
        upload_id = await begin(client, MIB)
        started = trio.current_time()

        await client.uploads.parts.create(upload_id, data=bytes(MIB))

        assert trio.current_time() - started >= 0.1


async def test_an_answer_comes_twice() -> None:
    """The second copy lies in the connection, where a client may take it for the next answer."""
    document = b'{"bytes": 6, "filename": "a", "mime_type": "a/b", "purpose": "vision"}'
    async with OpenAIUploadServer(faults=[UploadFault("create", AnswerTwice())]) as server:
        head = (
            f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.api_key}\r\n"
            f"Connection: close\r\nContent-Length: {len(document)}\r\n\r\n"
        )
        port = int(server.url.rpartition(":")[2])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(head.encode() + document)
            received = b"".join([chunk async for chunk in stream])

        assert received.count(b"HTTP/1.1 200 OK") == 2
        assert received.count(b'"id": "upload_000001"') == 2
        assert len(server.uploads) == 1


def test_a_fault_that_contradicts_itself_is_refused() -> None:
    """What was not read cannot be carried out, and steps have names."""
    with pytest.raises(ValueError, match="cannot be carried out"):
        UploadFault("part", after=10)
    with pytest.raises(ValueError, match="cannot be carried out"):
        UploadFault("part", ResetConnection(), after=10, takes_effect=True)
    with pytest.raises(ValueError, match="count from 1"):
        UploadFault("part", nth=0)
    with pytest.raises(ValueError, match="no step 'put'"):
        OpenAIUploadServer(faults=[UploadFault("put")])
