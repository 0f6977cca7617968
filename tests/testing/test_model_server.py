"""The model server as a client sees it, well-behaved or not."""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import subprocess
import sys
import tomllib
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import frozen
from codex_support import needs_codex, png

from codex_actors.codex.lines import LineReader
from codex_actors.testing import ModelRequest, ModelServer, assistant_message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


async def talk(server: ModelServer, sent: bytes) -> bytes:
    """Send bytes, end the sending side, and return everything that comes back."""
    port = int(server.url.rpartition(":")[2])
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(sent)
        await stream.send_eof()
        return b"".join([chunk async for chunk in stream])


def request(body: object, path: str = "/v1/responses", method: str = "POST") -> bytes:
    """Return a request with a JSON body."""
    data = json.dumps(body).encode()
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        + data
    )


def answers(received: bytes) -> list[tuple[int, bytes]]:
    """Return status and body of each answer."""
    found: list[tuple[int, bytes]] = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        (length,) = (
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"content-length" in line
        )
        found.append((status, rest[:length]))
        received = rest[length:]
    return found


def events(body: bytes) -> list[dict[str, Any]]:
    """Return the data of server-sent events, whose names must be their types."""
    found: list[dict[str, Any]] = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return an input item of the user."""
    return {"type": "message", "role": "user", "content": list(parts)}


def text(value: str) -> dict[str, Any]:
    """Return a text part."""
    return {"type": "input_text", "text": value}


def picture(data: bytes) -> dict[str, Any]:
    """Return an image part."""
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"type": "input_image", "image_url": url}


async def test_answer_is_a_stream_of_three_events() -> None:
    """Created, the message, completed with usage."""
    async with ModelServer(reply="Hello.") as server:
        ((status, body),) = answers(await talk(server, request({"input": [], "stream": True})))

    created, done, completed = events(body)
    assert status == 200
    assert created["type"] == "response.created"
    assert done["type"] == "response.output_item.done"
    assert done["item"]["content"] == [{"type": "output_text", "text": "Hello."}]
    assert completed["type"] == "response.completed"
    assert completed["response"]["usage"]["total_tokens"] == 18
    assert completed["response"]["id"] == created["response"]["id"]


async def test_answer_without_streaming_is_the_response() -> None:
    """A client that wants no stream gets the object."""
    async with ModelServer(reply="Hello.") as server:
        ((status, body),) = answers(await talk(server, request({"input": [], "stream": False})))

    assert status == 200
    assert json.loads(body)["output"][0]["content"][0]["text"] == "Hello."


async def test_requests_are_recorded_in_order() -> None:
    """Method, path, headers and body of each, on one connection."""
    async with ModelServer() as server:
        sent = (
            request({"input": [], "n": 1}) + b"GET /v1/models?x=1 HTTP/1.1\r\nA: b\r\nA: c\r\n\r\n"
        )
        received = answers(await talk(server, sent))

        first, second = server.requests
    assert [status for status, _ in received] == [200, 200]
    assert (first.method, first.path, first.body) == (
        "POST",
        "/v1/responses",
        {"input": [], "n": 1},
    )
    assert (second.method, second.path, second.body) == ("GET", "/v1/models", None)
    assert second.headers["a"] == "b, c"


async def test_images_and_texts_are_those_of_the_last_turn() -> None:
    """Earlier turns, which codex repeats, do not count; what a tool shows does."""
    items = [
        user(text("before"), picture(b"old")),
        assistant_message("seen"),
        user(text("now"), picture(b"one"), picture(b"two")),
        {"type": "function_call_output", "call_id": "c", "output": [picture(b"three")]},
    ]
    async with ModelServer() as server:
        assert server.images() == ()
        assert server.texts() == ()

        await talk(server, request({"input": items}))

        assert server.images() == (b"one", b"two", b"three")
        assert server.texts() == ("now",)


async def test_respond_decides() -> None:
    """A test may answer each request as it likes, and change the reply while serving."""

    def respond(received: ModelRequest) -> list[dict[str, Any]]:
        return [assistant_message(received.texts()[0].upper())]

    async with ModelServer(respond=respond) as server:
        ((_, first),) = answers(await talk(server, request({"input": [user(text("hi"))]})))
        server.respond = None
        server.reply = "changed"
        ((_, second),) = answers(await talk(server, request({"input": []})))

    assert b"HI" in first
    assert b"changed" in second


async def test_respond_that_fails_is_an_answer() -> None:
    """The error reaches the client, and the server goes on."""

    def respond(received: ModelRequest) -> list[dict[str, Any]]:
        raise KeyError(received.path)

    async with ModelServer(respond=respond) as server:
        ((status, body),) = answers(await talk(server, request({"input": []})))
        await check_alive(server)

    assert status == 400
    assert b"KeyError" in body


async def check_alive(server: ModelServer) -> None:
    """Get an answer to a good request."""
    ((status, _),) = answers(await talk(server, b"GET /v1/models HTTP/1.1\r\n\r\n"))
    assert status == 200


POST = b"POST /v1/responses HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET /v1/models", 400),
        (b"GET /v1/models HTTP/2.0\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 1_0\r\n\r\n", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: 10\r\n\r\n{}", 400),
        (POST + b"Content-Length: 1001\r\n\r\n", 413),
        (POST + b"Content-Length: 2\r\n\r\n{]", 400),
        (POST + b"Content-Length: 2\r\n\r\n[]", 400),
        (POST + b"Content-Length: 2\r\n\r\n\xff\xff", 400),
        (POST + b"\r\n", 400),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nA: b\r\n\r\n", 200),
        (b"GET /v1/responses HTTP/1.1\r\n\r\n", 405),
        (b"GET /v1/nothing HTTP/1.1\r\n\r\n", 404),
        (b"", None),
    ],
)
async def test_wrong_input_is_answered(sent: bytes, expected: int | None) -> None:
    """Whatever comes, the client gets a status, and the next client is served."""
    async with ModelServer(max_body=1000) as server:
        received = answers(await talk(server, sent))
        await check_alive(server)

    assert [status for status, _ in received] == ([] if expected is None else [expected])


async def test_deep_nesting_is_answered() -> None:
    """A body that no parser follows is refused like any other."""
    async with ModelServer() as server:
        body = b"[" * 200_000
        sent = POST + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        ((status, _),) = answers(await talk(server, sent))
        await check_alive(server)

    assert status == 400


async def test_client_that_hangs_up_does_no_harm() -> None:
    """A connection that is cut in the middle is forgotten."""
    async with ModelServer() as server:
        port = int(server.url.rpartition(":")[2])
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(POST + b"Content-Length: 100\r\n\r\n{")
        await trio.aclose_forcefully(stream)
        await check_alive(server)


async def test_stalled_server_records_and_waits() -> None:
    """The request is seen, the answer never comes."""
    async with ModelServer(stalled=True) as server, trio.open_nursery() as nursery:
        nursery.start_soon(talk, server, request({"input": []}))
        await server.wait_requests(1)

        assert server.turns[0].body == {"input": []}
        assert server.answered == 0
        nursery.cancel_scope.cancel()


async def test_body_error_passes_bare() -> None:
    """A failing test fails with its own error."""

    async def body() -> None:
        async with ModelServer():
            raise KeyError

    with pytest.raises(KeyError):
        await body()


def test_address_is_known_only_while_running() -> None:
    """Asking too early is a clear error."""
    with pytest.raises(RuntimeError, match="async with"):
        _ = ModelServer().config()


@asynccontextmanager
async def open_program(*arguments: str) -> AsyncGenerator[Program]:
    """Run the server as a program, and stop it when the block ends."""
    module = "codex_actors.testing.model_server"
    command = [sys.executable, "-W", "error", "-m", module, *arguments]
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
        )
        assert process.stdout is not None
        lines = LineReader(process.stdout, max_line=10_000)
        word, url = (await next_line(lines)).split()
        assert word == "ready"
        yield Program(process, url, lines)
        nursery.cancel_scope.cancel()


@frozen
class Program:
    """A server that runs as a program: what it has printed after its first line is in `lines`."""

    process: trio.Process
    url: str
    lines: LineReader

    async def open_stream(self) -> trio.SocketStream:
        """Connect to the server."""
        port = int(self.url.removesuffix("/v1").rpartition(":")[2])
        return await trio.open_tcp_stream("127.0.0.1", port)


async def next_line(lines: LineReader) -> str:
    """Return the next line of a program that has not ended."""
    line = await lines.next_line()
    assert line is not None
    return line.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_program_ends_by_signal(number: signal.Signals) -> None:
    """One ready line, then it serves until it is told to end, and ends well."""
    async with open_program("--reply", "Hi") as program:
        async with await program.open_stream() as stream:
            await stream.send_all(request({"input": []}))
            assert b"200 OK" in await stream.receive_some()
        os.kill(program.process.pid, number)

        assert await program.process.wait() == 0


async def test_program_ends_when_idle() -> None:
    """Forgotten, it goes away."""
    async with open_program("--idle-timeout", "0.2") as program:
        assert await program.process.wait() == 0


async def test_program_ends_after_one_reply() -> None:
    """With --once the first reply is the last; other requests do not count."""
    async with open_program("--once", "--reply", "Hi") as program:
        async with await program.open_stream() as stream:
            sent = b"GET /v1/models HTTP/1.1\r\n\r\n" + request({"input": []})
            await stream.send_all(sent)
            received = b"".join([chunk async for chunk in stream])

        assert len(answers(received)) == 2
        assert await program.process.wait() == 0


async def test_program_tells_how_to_point_codex_at_it() -> None:
    """An assignment for the shell, then options for the command line that a shell leaves whole."""
    async with open_program() as program:
        export = await next_line(program.lines)
        options = shlex.split(await next_line(program.lines))

    assert export == "export CODEX_ACTORS_TEST_MODEL_KEY=test-key"
    assert options[::2] == ["-c"] * 3
    settings = tomllib.loads("\n".join(options[1::2]))
    assert settings["model"] == "gpt-5"
    provider = settings["model_providers"][settings["model_provider"]]
    assert provider["base_url"] == program.url
    assert provider["env_key"] == "CODEX_ACTORS_TEST_MODEL_KEY"


async def test_program_tells_what_it_received() -> None:
    """Each request for a response is a line: its images as they can be checked, and the reply."""
    one, two = b"first picture", b"second"
    broken = {"type": "input_image", "image_url": "data:image/png;base64,!"}
    async with open_program("--reply", 'line\nof "Ünï" \x1b[1m') as program:
        async with await program.open_stream() as stream:
            for parts in ([text("Hi")], [picture(one)], [picture(one), picture(two)], [broken]):
                await stream.send_all(request({"input": [user(*parts)], "stream": True}))
            await stream.send_all(request([]))  # Refused: no turn.
            await stream.send_eof()
            statuses = [s for s, _ in answers(b"".join([chunk async for chunk in stream]))]
        os.kill(program.process.pid, signal.SIGTERM)
        printed: list[str] = []
        while (line := await program.lines.next_line()) is not None:
            printed.append(line.decode())

    reply = """reply 'line\\nof "Ünï" \\x1b[1m'"""
    first = f"13 bytes sha256 {sha256(one).hexdigest()[:12]}"
    second = f"6 bytes sha256 {sha256(two).hexdigest()[:12]}"
    assert statuses == [200, 200, 200, 200, 400]
    assert printed[2:5] == [
        f"turn 1: no image; {reply}",
        f"turn 2: 1 image ({first}); {reply}",
        f"turn 3: 2 images ({first}, {second}); {reply}",
    ]
    assert printed[5].startswith("turn 4: an image that is none (the data URL ")
    assert printed[5].endswith(reply)
    assert len(printed) == 6


async def test_program_tells_of_its_last_turn() -> None:
    """The line of the reply that ends it is printed before it ends."""
    async with open_program("--once") as program:
        async with await program.open_stream() as stream:
            await stream.send_all(request({"input": [user(picture(b"x"))]}))
            printed = [await next_line(program.lines) for _ in range(3)]

        assert printed[2].startswith("turn 1: 1 image (1 bytes")
        assert await program.process.wait() == 0


@pytest.mark.parametrize("closed", [True, False])
async def test_program_serves_whether_or_not_it_is_read(*, closed: bool) -> None:
    """Output that nobody reads any more, or that nobody reads yet, keeps no client waiting."""
    long = "x" * 50_000
    async with open_program("--reply", long) as program:
        if closed:
            assert program.process.stdout is not None
            await program.process.stdout.aclose()
        async with await program.open_stream() as stream:
            for _ in range(4):
                await stream.send_all(request({"input": []}))
            await stream.send_eof()
            received = answers(b"".join([chunk async for chunk in stream]))
        os.kill(program.process.pid, signal.SIGTERM)

        assert [status for status, _ in received] == [200] * 4
        assert await program.process.wait() == 0


async def test_program_names_a_port_that_is_taken() -> None:
    """The mistake is one line, not a traceback."""
    async with ModelServer() as server:
        port = server.url.rpartition(":")[2]
        module = "codex_actors.testing.model_server"
        command = [sys.executable, "-W", "error", "-m", module, "--port", port]
        done = await trio.run_process(command, capture_stderr=True, check=False)

    assert done.returncode == 2
    assert f"port {port} cannot be served".encode() in done.stderr
    assert b"Traceback" not in done.stderr


@needs_codex
async def test_what_the_program_prints_can_be_pasted(tmp_path: Path) -> None:
    """The lines make the command line's turn come here, and show that the picture arrived."""
    data = png()
    (tmp_path / "pic.png").write_bytes(data)
    home = tmp_path / "home"
    home.mkdir()
    env = {**os.environ, "HOME": str(home), "CODEX_HOME": str(home)}

    async with open_program("--reply", "It is red.") as program:
        export, options = [await next_line(program.lines) for _ in range(2)]
        exec_ = f'"{sys.executable}" -m codex_actors exec "What is it?" {options}'
        script = f"{export}\n{exec_} --attach pic.png --ephemeral --timeout 60 --staging-dir st\n"
        with trio.fail_after(90):
            done = await trio.run_process(
                ["/bin/sh", "-c", script], cwd=tmp_path, env=env, capture_stdout=True
            )
            turn = await next_line(program.lines)

    assert done.stdout == b"It is red.\n"
    seen = f"{len(data)} bytes sha256 {sha256(data).hexdigest()[:12]}"
    assert turn == f"turn 1: 1 image ({seen}); reply 'It is red.'"
