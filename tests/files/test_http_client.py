"""HTTP as the targets use it: what is imported when, what is logged, what is bounded."""

from __future__ import annotations

import logging
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
from http_targets_support import MIB, Bytes, outgoing, send_parts

from codex_actors.files.errors import InvalidConfig
from codex_actors.files.targets.answers import Redactor
from codex_actors.files.targets.codex import CodexTarget
from codex_actors.files.targets.http_client import MAX_ANSWER, HttpRequest, Lost, open_http
from codex_actors.files.targets.openai import OpenAITarget
from codex_actors.files.targets.protocol import Part, Refused
from codex_actors.testing import (
    AnswerWith,
    CodexUploadServer,
    OpenAIUploadServer,
    UploadFault,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

SELF_SIGNED = Path(__file__).with_name("self_signed.pem")
LOCATION = {"location": "https://elsewhere.example/x?sig=signature-of-a-redirect"}


def test_the_http_client_is_imported_when_it_is_used() -> None:
    """Neither the files nor their targets import it."""
    check = (
        "import sys, codex_actors.files, codex_actors.files.targets.openai,"
        " codex_actors.files.targets.codex;"
        "codex_actors.files.targets.openai.OpenAITarget(api_key='sk').account();"
        "print(sorted({'httpx2', 'httpcore2', 'h11'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


async def test_no_log_line_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """At level DEBUG httpx2 and httpcore2 log URLs and headers; no query, no credential."""
    # F70
    caplog.set_level(logging.DEBUG)
    async with (
        CodexUploadServer(access_token="token-of-a-test") as codex,  # noqa: S106 - of a test
        OpenAIUploadServer(api_key="key-of-a-test") as openai,
    ):
        codex.faults = [UploadFault("put", AnswerWith(307, headers=LOCATION))]
        target = CodexTarget(codex.base_url, codex.access_token, codex.account_id)
        async with target.open_session() as session:
            remote = await session.begin(outgoing(b"abc"))
            part = Part(0, 0, 3)
            with pytest.raises(Refused):
                await session.send_part(outgoing(b"abc"), remote, part, Bytes(b"abc"))
            await session.send_part(outgoing(b"abc"), remote, part, Bytes(b"abc"))
            await session.complete(outgoing(b"abc"), remote, [])
        key = OpenAITarget(openai.base_url, openai.api_key)
        async with key.open_session() as session:
            remote = await session.begin(outgoing(b"abc"))
            await send_parts(session, outgoing(b"abc"), remote, b"abc", MIB)
        signature = codex.created[0].signature

    logged = "\n".join(f"{record.name} {record.getMessage()}" for record in caplog.records)
    assert "httpx2 HTTP Request: PUT" in logged
    assert "httpcore2.http11 send_request_headers.started" in logged
    for secret in (signature, "token-of-a-test", "key-of-a-test", "signature-of-a-redirect"):
        assert secret not in logged
    assert "elsewhere.example/x?<query>" in logged


@asynccontextmanager
async def serving(
    respond: Callable[[trio.abc.Stream], Awaitable[None]], certificate: Path | None = None
) -> AsyncGenerator[str]:
    """Serve connections, with TLS if there is a certificate; give the URL."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]

    async def serve(stream: trio.abc.Stream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):
                await stream.receive_some()
                await respond(stream)

    async with trio.open_nursery() as nursery:
        if certificate is None:
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            yield f"http://127.0.0.1:{port}/x"
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            secure = trio.SSLListener(listener, context)
            nursery.start_soon(trio.serve_listeners, serve, [secure])
            yield f"https://127.0.0.1:{port}/x"
        nursery.cancel_scope.cancel()


async def test_an_answer_without_end_is_cut_off() -> None:
    """A server that goes on and on fills no memory."""

    async def respond(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await stream.send_all(bytes(65_536))

    async with serving(respond) as url, open_http(Redactor()) as client:
        with trio.fail_after(10):
            answer = await client.send(HttpRequest(method="GET", url=url))

    assert (answer.status, answer.whole, len(answer.body)) == (200, False, MAX_ANSWER)


async def test_a_certificate_that_nobody_signed_is_refused() -> None:
    """TLS is verified, and trying again does not help."""

    async def respond(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")

    async with serving(respond, SELF_SIGNED) as url, open_http(Redactor()) as client:
        with pytest.raises(Refused, match="certificate is not trusted"):
            await client.send(HttpRequest(method="GET", url=url))


async def test_the_users_own_authority_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SSL_CERT_FILE` names it, as users of httpx2 expect."""

    async def respond(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")

    monkeypatch.setenv("SSL_CERT_FILE", str(SELF_SIGNED))
    async with serving(respond, SELF_SIGNED) as url, open_http(Redactor()) as client:
        answer = await client.send(HttpRequest(method="GET", url=url))

    assert (answer.status, answer.body, answer.whole) == (200, b"hi", True)


async def test_a_proxy_is_used_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HTTP_PROXY` is, and its credential is not shown."""
    for name in ("no_proxy", "NO_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with OpenAIUploadServer() as proxy:
        with_user = proxy.url.replace("http://", "http://user:proxy-password@")
        monkeypatch.setenv("HTTP_PROXY", with_user)
        target = OpenAITarget("http://nowhere.example/v1", "sk-test")
        async with target.open_session() as session:
            # The server is no proxy: it repeats the request line that it does not understand.
            with pytest.raises(Refused, match="POST http://nowhere") as refused:
                await session.begin(outgoing(b"abc"))

    assert "proxy-password" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SSL_CERT_FILE", "/nowhere/there.pem"),
        ("SSL_CERT_FILE", __file__),
        ("HTTP_PROXY", "nonsense://user:proxy-password@127.0.0.1:1"),
        ("HTTPS_PROXY", "http://user:proxy-password#@127.0.0.1:1"),
    ],
)
async def test_an_environment_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The error names the variable, and shows no password, whatever hangs on it."""
    # F70
    monkeypatch.setenv(variable, value)

    with pytest.raises(InvalidConfig, match=variable) as refused:
        async with open_http(Redactor()):
            pass

    assert not [text for text in hanging_on(refused.value) if "proxy-password" in text]


def hanging_on(error: BaseException) -> list[str]:
    """Return what can be seen of an error and of all that it came from."""
    seen: list[str] = []
    todo: list[BaseException | None] = [error]
    while todo:
        if (each := todo.pop()) is not None:
            seen += [str(each), repr(each), repr(vars(each)), repr(getattr(each, "__notes__", ()))]
            todo += [each.__cause__, each.__context__]
    return seen


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", b"?"])
async def test_no_request_hangs_on_an_error(answer: bytes) -> None:
    """Those of httpx2 hold it, with its headers and its signed address."""
    # F70

    async def respond(stream: trio.abc.Stream) -> None:
        await stream.send_all(answer)

    async with serving(respond) as url, open_http(Redactor()) as client:
        request = HttpRequest(method="GET", url=f"{url}?sig=signature-of-a-test")

        async def read() -> None:
            async with client.stream(request) as (_, pieces):
                async for _ in pieces:
                    pass

        with pytest.raises(Lost) as lost:
            await read()

    assert not [text for text in hanging_on(lost.value) if "signature-of-a-test" in text]


async def test_a_user_in_an_address_is_no_credential() -> None:
    """What somebody else gave as an address is not turned into a header of authorization."""
    # F68
    heads: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            heads.append(await stream.receive_some())
            await stream.send_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery, open_http(Redactor()) as client:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        url = f"http://user:password@127.0.0.1:{port}/put"
        answer = await client.send(HttpRequest(method="PUT", url=url))
        nursery.cancel_scope.cancel()

    assert answer.status == 201
    assert b"authorization" not in heads[0].lower()
