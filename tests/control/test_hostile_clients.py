"""Clients that send anything, read nothing, or come in crowds hurt nobody else."""

import contextlib
import json
import os
import resource
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_support import Desk, request, serving, stranger

from codex_actors.control.limits import Limits
from codex_actors.control.session import Notify

GARBAGE = [
    b"\0" * 1000,
    b"\xff\xfe garbage",
    b"{",
    b'{"jsonrpc":"2.0","id":1,"method":"echo"',
    b"[" * 300_000,
    b'{"a":' * 100_000,
    b"9" * 500_000,
    b"1e400",
    b'"\\ud800"',
    b'{"jsonrpc":"2.0","method":"\\ud800\\udfff","id":"\\udc80"}',
    b"[" + b"1," * 400_000 + b"1]",
    b"[" + b"[]," * 300_000 + b"1]",
    b"null",
    b"true",
]


@asynccontextmanager
async def honest(path: Path, at_least: int) -> AsyncGenerator[None]:
    """Somebody who asks all the time is answered each time, so often while the block runs."""
    served = 0
    async with stranger(path) as client, trio.open_nursery() as nursery:

        async def ask() -> None:
            nonlocal served
            while True:
                assert "result" in await client.ask()
                served += 1

        nursery.start_soon(ask)
        yield
        nursery.cancel_scope.cancel()
    assert served >= at_least


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: repr(line[:20]))
async def test_garbage_has_an_answer_and_the_next_line_counts(line: bytes) -> None:
    """One error each, on a connection that goes on."""
    async with serving(Desk().answer) as path, stranger(path) as client:
        await client.send(line)
        error = await client.hear()
        after = await client.ask(id_="after")

    assert after["id"] == "after"
    if b"method" not in line[:30]:
        assert error["id"] is None
        assert error["error"]["code"] in {-32700, -32600}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.binary(max_size=300)
        | st.sampled_from([line[:2000] for line in GARBAGE])
        | st.sampled_from(
            [json.dumps(request(name, 1)).encode() + b"\n" for name in ("wait", "echo", "bad")]
        )
        | st.just(b"\n"),
        max_size=8,
    ),
    st.booleans(),
)
def test_whatever_is_sent_an_honest_client_is_served(pieces: list[bytes], leaves: bool) -> None:
    """Over real sockets; what was begun for a client that leaves is cancelled."""

    def bad(_params: object, _notify: Notify) -> object:
        raise ValueError

    async def main() -> None:
        desk = Desk(bad=bad)
        async with serving(desk.answer, reports=[]) as path, stranger(path) as client:
            async with await trio.open_unix_socket(path) as wild:
                for piece in pieces:
                    await wild.send_all(piece)
                if not leaves:
                    answer = await client.ask()
                    assert "result" in answer
            again = await client.ask()
            assert "result" in again
            await desk.wait(desk.cancelled, "wait", desk.begun.get("wait", 0))

    trio.run(main)


async def test_a_hundred_megabytes_without_a_newline_take_no_memory() -> None:
    """They are told of at once, and the line after them counts; others are served meanwhile."""
    chunk = b"x" * 2**20
    async with serving(Desk().answer) as path, stranger(path) as client, honest(path, 50):
        await client.stream.send_all(chunk * 2)
        error = await client.hear()
        before = _resident()
        most = 0
        for _ in range(100):
            await client.stream.send_all(chunk)
            most = max(most, _resident())
        after = await client.ask(params=None) if await _newline(client.stream) else None

    assert (error["id"], error["error"]["code"]) == (None, -32600)
    assert after is not None
    assert "-32600" in str(after)  # params of None
    assert most - before < 8 * 2**20


async def _newline(stream: trio.SocketStream) -> bool:
    await stream.send_all(b"\n")
    return True


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def test_a_byte_at_a_time_is_a_request_in_the_end() -> None:
    """Until then it is somebody idle, who gives way to others."""
    limits = Limits(clients=2)
    async with (
        serving(Desk().answer, limits=limits) as path,
        stranger(path) as slow,
        stranger(path) as client,
    ):
        for byte in json.dumps(request()).encode() + b"\n":
            await slow.stream.send_all(bytes([byte]))
            await trio.lowlevel.checkpoint()
        answer = await slow.hear()
        await client.ask()
        await slow.stream.send_all(b"{")
        await trio.testing.wait_all_tasks_blocked(0.02)  # it is read
        async with stranger(path) as third:
            other = await third.ask()
            gone = await slow.hear()
            still = await client.ask()

    assert "result" in answer
    assert "result" in other
    assert gone is None
    assert "result" in still


async def test_a_client_that_never_reads_is_closed() -> None:
    """When nothing has moved for the time that it has; what it asked for is cancelled."""
    big = "x" * 400_000
    desk = Desk(big=lambda _params, _notify: big)
    limits = Limits(write_timeout=0.3)
    async with serving(desk.answer, limits=limits) as path, stranger(path) as client:
        began = trio.current_time()
        await client.send(request("wait", 0), *(request("big", n + 1) for n in range(500)))
        await desk.wait(desk.cancelled, "wait")
        took = trio.current_time() - began

    assert took >= limits.write_timeout
    # No more is worked on than fits, and what was in flight then.
    assert desk.begun["big"] <= limits.outbox_bytes // len(big) + limits.in_flight + 2


async def test_a_long_answer_arrives_whole_while_others_are_served() -> None:
    """Twelve megabytes; nobody waits for its making or sending."""
    rows = [{"name": "x" * 40, "number": number, "more": [1, 2, 3]} for number in range(150_000)]
    desk = Desk(rows=lambda _params, _notify: rows)
    async with serving(desk.answer) as path, stranger(path) as client, honest(path, 50):
        answer = await client.ask("rows")

    assert answer["result"] == rows


async def test_an_answer_that_no_client_would_read_is_an_error() -> None:
    """Also as a part of a batch, which the rest survives."""
    desk = Desk(huge=lambda _params, _notify: "x" * (64 * 2**20 + 1))
    async with serving(desk.answer) as path, stranger(path) as client:
        alone = await client.ask("huge")
        await client.send([request("huge", 1), request("echo", 2)])
        both = await client.hear()

    assert alone["error"]["data"] == {"kind": "AnswerTooLong"}
    assert sorted("error" in each for each in both) == [False, True]


async def test_clients_that_vanish_are_no_defects() -> None:
    """At every moment: at once, with answers unread, with requests unread."""
    desk = Desk(big=lambda _params, _notify: "x" * 300_000)
    line = json.dumps(request("big")).encode() + b"\n"
    async with serving(desk.answer) as path, honest(path, 1):
        for sent in (b"", b"{", line, line * 3, line[:-1]):
            for waits in (0, 1, 5):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(os.fspath(path))
                    client.sendall(sent)
                    for _ in range(waits):
                        await trio.sleep(0.001)


async def test_a_crowd_of_idle_clients_keeps_nobody_out(few_descriptors: None) -> None:
    """A thousand connections, as many descriptors as are usual: the longest idle are closed."""
    command = [sys.executable, "-c", CROWD]
    desk = Desk()
    async with serving(desk.answer) as path, honest(path, 50):
        waiting = request("wait", 1)
        async with stranger(path) as busy:
            await busy.send(waiting)
            process = await trio.run_process(
                [*command, str(path), "1000"], capture_stdout=True, stdin=b""
            )
            async with stranger(path) as late:
                served = await late.ask()
            is_kept = desk.cancelled.get("wait", 0)

    assert process.stdout == b"1000 connected, 872 closed\n"
    assert "result" in served
    assert not is_kept


# Connects so often, and tells how many of these have been closed when all are.
CROWD = """
import resource, select, socket, sys, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
crowd = []
for _ in range(int(sys.argv[2])):
    one = socket.socket(socket.AF_UNIX)
    one.connect(sys.argv[1])
    crowd.append(one)
poll = select.poll()
for one in crowd:
    poll.register(one, select.POLLIN)
deadline = time.monotonic() + 10
want = len(crowd) - 128
while True:
    closed = len(poll.poll(50))
    if closed >= want or time.monotonic() > deadline:
        break
print(len(crowd), "connected,", min(closed, want), "closed")
"""


@pytest.fixture
def few_descriptors() -> Generator[None]:
    """The soft limit that is usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _all_of(connected: socket.socket) -> bytes:
    heard = b""
    while data := connected.recv(4096):
        heard += data
    return heard


async def test_when_all_are_busy_the_next_is_told() -> None:
    """By one line, though it has sent something; those inside go on."""
    desk = Desk()
    async with serving(desk.answer, limits=Limits(clients=1)) as path, stranger(path) as inside:
        await inside.send(request("wait", 1))
        await desk.wait(desk.begun, "wait")
        for _ in range(40):
            with socket.socket(socket.AF_UNIX) as knocking:
                knocking.connect(os.fspath(path))
                knocking.sendall(json.dumps(request()).encode() + b"\n")
                heard = await trio.to_thread.run_sync(_all_of, knocking)
            told = json.loads(heard)
            assert (told["id"], told["error"]["code"]) == (None, -32005)
        await inside.send({"jsonrpc": "2.0", "method": "$/cancel", "params": {"id": 1}})
        answer = await inside.hear()
        await trio.testing.wait_all_tasks_blocked()  # the server knows that all is sent
        async with stranger(path) as late:
            served = await late.ask()

    assert answer["id"] == 1
    assert "result" in served


async def test_who_has_asked_does_not_give_way() -> None:
    """Though it is not read yet, as when many come at the same moment."""
    async with serving(Desk().answer, limits=Limits(clients=1)) as path:
        with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
            for client in (first, second):
                client.connect(os.fspath(path))
                client.sendall(json.dumps(request()).encode() + b"\n")
                client.setblocking(False)
            await trio.lowlevel.wait_readable(first)
            answer = first.recv(1000)

    assert b"result" in answer


@pytest.mark.parametrize("is_busy", [False, True])
async def test_without_a_descriptor_the_server_goes_on(is_busy: bool) -> None:
    """Whoever knocks is let in when somebody idle has given way, or later; it is reported once."""
    reports: list[str] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    desk = Desk()
    async with serving(desk.answer, reports=reports) as path, stranger(path) as client:
        await client.ask()
        if is_busy:
            await client.send(request("wait", 1))
            await desk.wait(desk.begun, "wait")
        with socket.socket(socket.AF_UNIX) as knocking, contextlib.ExitStack() as stack:
            highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir()) + 3
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
            try:
                with contextlib.suppress(OSError):
                    while True:
                        stack.enter_context(socket.socket())
                knocking.connect(os.fspath(path))
                await trio.sleep(0.35)
                told = len(reports)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            knocking.sendall(json.dumps(request()).encode() + b"\n")
            answer = await trio.to_thread.run_sync(knocking.recv, 1000)
        is_kept = not desk.cancelled

    assert b"result" in answer
    assert told == 1
    assert "Too many open files" in reports[0]
    assert is_kept


# Connects as another user, and prints what it hears.
FOREIGN = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
one = socket.socket(socket.AF_UNIX)
one.connect(sys.argv[1])
try:
    one.sendall(b'{"jsonrpc":"2.0","id":1,"method":"echo"}\\n')
except BrokenPipeError:
    pass
heard = b""
while data := one.recv(4096):
    heard += data
print(heard.decode(), end="")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_told_and_refused() -> None:
    """By who he is, though the modes would let him in."""
    desk = Desk()
    async with serving(desk.answer) as path:
        path.parent.chmod(0o711)
        path.chmod(0o666)
        process = await trio.run_process(
            [sys.executable, "-c", FOREIGN, str(path)], capture_stdout=True, stdin=b""
        )

    heard = json.loads(process.stdout)
    assert heard["error"]["code"] == -32006
    assert "65534" in heard["error"]["message"]
    assert not desk.begun
