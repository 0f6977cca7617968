"""The server for the codex backend's upload protocol, as an HTTP client sees it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from codex_actors.testing import (
    AnswerWith,
    CodexUploadServer,
    OpenAIUploadServer,
    ResetConnection,
    UploadFault,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

BLOB = {"x-ms-blob-type": "BlockBlob"}


@asynccontextmanager
async def open_client(server: CodexUploadServer) -> AsyncGenerator[httpx2.AsyncClient]:
    """Open a client with the server's credentials."""
    headers = {
        "Authorization": f"Bearer {server.access_token}",
        "ChatGPT-Account-ID": server.account_id,
    }
    async with httpx2.AsyncClient(base_url=server.base_url, headers=headers) as client:
        yield client


async def create(client: httpx2.AsyncClient, size: int = 3) -> dict[str, Any]:
    """Announce a file."""
    announced = {"file_name": "a.txt", "file_size": size, "use_case": "codex"}
    answer = await client.post("/files", json=announced)
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


async def finalise(client: httpx2.AsyncClient, file_id: str) -> dict[str, Any]:
    """Ask for the finalisation."""
    document: dict[str, Any] = (await client.post(f"/files/{file_id}/uploaded", json={})).json()
    return document


async def test_three_steps_make_a_file() -> None:
    """Create, put without credentials, poll until it is there."""
    # F68
    async with CodexUploadServer(finalise=["retry", "success"]) as server, open_client(server) as c:
        created = await create(c)
        async with httpx2.AsyncClient() as anonymous:
            put = await anonymous.put(created["upload_url"], content=b"abc", headers=BLOB)
        polled = [await finalise(c, created["file_id"]) for _ in range(2)]

        assert put.status_code == 201
        assert [answer["status"] for answer in polled] == ["retry", "success"]
        assert polled[1]["file_name"] == "a.txt"
        assert server.files[created["file_id"]].read() == b"abc"
        assert [request.step for request in server.requests] == [
            "create",
            "put",
            "finalise",
            "finalise",
        ]


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({**BLOB, "Authorization": "Bearer test-token"}, None, 400),
        ({}, None, 400),
        (BLOB, "sig=wrong", 403),
        ({**BLOB, "Transfer-Encoding": "chunked"}, None, 411),
    ],
    ids=["credentials", "no blob type", "wrong signature", "no length"],
)
async def test_a_put_is_as_the_blob_storage_wants_it(
    headers: dict[str, str], query: str | None, status: int
) -> None:
    """What the real storage refuses is refused, and leaves nothing."""

    # F68
    async def chunked() -> AsyncGenerator[bytes]:
        yield b"abc"

    async with CodexUploadServer() as server, open_client(server) as client:
        created = await create(client)
        url = httpx2.URL(created["upload_url"])
        if query is not None:
            url = url.copy_with(query=query.encode())

        async with httpx2.AsyncClient() as anonymous:
            content = chunked() if "Transfer-Encoding" in headers else b"abc"
            put = await anonymous.put(url, content=content, headers=headers)

        assert put.status_code == status
        assert server.created[0].blob is None
        assert (await finalise(client, created["file_id"]))["status"] == "error"
        assert not server.files


async def test_create_and_finalise_need_the_account() -> None:
    """Without token 401, with another account 403, with another document 422."""
    async with CodexUploadServer() as server, open_client(server) as client:
        created = await create(client)
        finalised = f"{server.base_url}/files/{created['file_id']}/uploaded"
        for url in (f"{server.base_url}/files", finalised):
            without = await client.post(url, json={}, headers={"Authorization": ""})
            other = await client.post(url, json={}, headers={"ChatGPT-Account-ID": "other"})

            assert (without.status_code, other.status_code) == (401, 403)
        assert (await client.post("/files", json={"file_name": "a"})).status_code == 422
        assert (await client.post(finalised, json={"a": 1})).status_code == 422
        assert (await client.get("/files")).status_code == 404
        assert len(server.created) == 1


async def test_a_failure_has_its_message() -> None:
    """The script of the finalisation can end in a failure."""
    async with CodexUploadServer(finalise=["virus found"]) as server, open_client(server) as client:
        created = await create(client)
        async with httpx2.AsyncClient() as anonymous:
            await anonymous.put(created["upload_url"], content=b"abc", headers=BLOB)

        answer = await finalise(client, created["file_id"])

        assert answer == {"status": "error", "error_message": "virus found"}
        assert not server.files


async def test_faults_strike_here_too() -> None:
    """A put can be carried out without an answer, and repeated."""
    faults = [
        UploadFault("put", ResetConnection(), takes_effect=True),
        UploadFault("put", AnswerWith(503), nth=2),
    ]
    async with CodexUploadServer(faults=faults) as server, open_client(server) as client:
        created = await create(client)
        async with httpx2.AsyncClient() as anonymous:
            with pytest.raises(httpx2.ReadError):
                await anonymous.put(created["upload_url"], content=b"abc", headers=BLOB)
            first = server.created[0].blob
            again = await anonymous.put(created["upload_url"], content=b"abd", headers=BLOB)
            last = await anonymous.put(created["upload_url"], content=b"abe", headers=BLOB)

        assert first is not None
        assert (again.status_code, last.status_code) == (503, 201)
        assert (await finalise(client, created["file_id"]))["status"] == "success"
        assert server.files[created["file_id"]].read() == b"abe"


def test_a_server_that_was_not_entered_has_no_address() -> None:
    """The message says what to do."""
    for server in (CodexUploadServer(), OpenAIUploadServer()):
        with pytest.raises(RuntimeError, match="async with"):
            _ = server.base_url
