"""The asking end: every request ends, whatever the other end does."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.lowlevel
from wire_support import Ask, Desk, serving, short_folder

from codex_actors.control.client import Client, open_client
from codex_actors.control.errors import NotFound, NotRunning, RequestFailed, Unreachable
from codex_actors.control.limits import Limits
from codex_actors.control.session import Notify

if TYPE_CHECKING:
    from codex_actors.control.session import Session


@pytest.fixture
def path() -> Generator[Path]:
    """Where a socket may be."""
    with short_folder() as folder:
        yield folder / "s.sock"


@asynccontextmanager
async def talking(
    path: Path, other_end: Callable[[trio.SocketStream], Awaitable[object]]
) -> AsyncGenerator[Client]:
    """A client of somebody who is no supervisor of ours."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(path))
        listening.listen()
        async with open_client(path) as client:
            listening.setblocking(True)
            accepted, _ = listening.accept()
            async with trio.open_nursery() as nursery:
                stream = trio.SocketStream(trio.socket.from_stdlib_socket(accepted))
                nursery.start_soon(other_end, stream)
                with trio.fail_after(10):
                    yield client
                nursery.cancel_scope.cancel()
            await stream.aclose()


async def test_requests_are_answered_side_by_side() -> None:
    """Each with its own notes, before its answer."""

    async def chatty(params: object, notify: Notify) -> object:
        for number in range(3):
            notify({"n": number, "of": params})
            await trio.lowlevel.checkpoint()
        return {"of": params}

    answers: dict[int, Any] = {}
    notes: dict[int, list[Any]] = {number: [] for number in range(40)}
    async with serving(Desk(chatty=chatty).answer) as path, open_client(path) as client:
        session: Session = client

        async def ask(number: int) -> None:
            answers[number] = await session.request(
                Ask(name="chatty", value=number), on_note=notes[number].append
            )

        async with trio.open_nursery() as nursery:
            for number in notes:
                nursery.start_soon(ask, number)

    assert answers == {number: {"of": number} for number in range(40)}
    assert notes == {n: [{"n": each, "of": n} for each in range(3)] for n in range(40)}


async def test_an_error_is_raised_as_it_was_said() -> None:
    """With its code, its kind and its data; what the block raises comes out bare."""

    def refuse(_params: object, _notify: Notify) -> object:
        raise NotFound("nobody", data={"name": "x"})

    async def ask(path: Path) -> None:
        async with open_client(path) as client:
            await client.request(Ask(name="refuse"))

    async with serving(Desk(refuse=refuse).answer) as path:
        with pytest.raises(RequestFailed, match="nobody") as failed:
            await ask(path)

    error = failed.value
    assert (error.code, error.kind, error.data) == (-32003, "NotFound", {"name": "x"})


async def test_who_is_cancelled_has_his_request_cancelled() -> None:
    """And so has who waits no longer; the others go on, on the same connection."""
    desk = Desk()
    async with serving(desk.answer) as path, open_client(path) as client:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.request, Ask(name="wait"))
                await desk.wait(desk.begun, "wait")
                scope.cancel()
        await desk.wait(desk.cancelled, "wait")

        with pytest.raises(Unreachable, match=r"within 0\.05 s"):
            await client.request(Ask(name="wait"), timeout=0.05)
        await desk.wait(desk.cancelled, "wait", 2)
        after = await client.request(Ask(value=1))

    assert after == {"params": 1}


async def test_a_request_that_was_not_sent_is_never_sent() -> None:
    """Cancelled at once, it leaves no trace; and cancelled anywhere, the next one is whole."""
    desk = Desk()
    async with serving(desk.answer) as path, open_client(path) as client:
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.request(Ask(value="never"))
        for number in range(30):
            with trio.move_on_after(number * 0.0002):
                await client.request(Ask(value="x" * 500_000))
        after = await client.request(Ask(value="after"))

    assert scope.cancelled_caught
    assert after == {"params": "after"}


async def test_leaving_the_block_cancels_what_was_asked() -> None:
    """The connection is closed, which says it."""
    desk = Desk()
    async with serving(desk.answer) as path:
        async with trio.open_nursery() as nursery, open_client(path) as client:
            nursery.start_soon(client.request, Ask(name="wait"))
            await desk.wait(desk.begun, "wait")
            nursery.cancel_scope.cancel()
        await desk.wait(desk.cancelled, "wait")


async def test_what_a_listener_to_notes_raises_is_raised_by_the_request() -> None:
    """As a closed pipe; the request is given up, the connection goes on."""

    async def chatty(_params: object, notify: Notify) -> object:
        notify({"n": 1})
        notify({"n": 2})
        await trio.sleep_forever()
        return None

    heard: list[Any] = []

    def hear(document: dict[str, Any]) -> None:
        heard.append(document)
        raise BrokenPipeError(errno.EPIPE, "no reader")

    desk = Desk(chatty=chatty)
    async with serving(desk.answer) as path, open_client(path) as client:
        with pytest.raises(BrokenPipeError):
            await client.request(Ask(name="chatty"), on_note=hear)
        await desk.wait(desk.cancelled, "chatty")
        after = await client.request(Ask(value=1))

    assert heard == [{"n": 1}]
    assert after == {"params": 1}


async def test_a_request_that_is_too_long_is_not_sent() -> None:
    """It is refused here, with what to do; the connection goes on."""
    async with serving(Desk().answer) as path, open_client(path) as client:
        with pytest.raises(RequestFailed, match="less") as failed:
            await client.request(Ask(value="x" * 2**20))
        after = await client.request(Ask(value="x" * (2**20 - 200)))

    assert failed.value.kind == "RequestTooLong"
    assert len(after["params"]) == 2**20 - 200


async def test_where_nobody_listens_none_runs(path: Path) -> None:
    """No socket, a stale one, a file, no directory: the way out is named."""
    stale = path.with_name("stale")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.fspath(stale))
    file = path.with_name("file")
    file.touch()

    for place in (path, stale, file, file / "s", path.parent / "no" / "s"):
        with pytest.raises(NotRunning, match=r"codex_actors run"):
            async with open_client(place):
                pass


async def test_one_that_lets_nobody_in_is_unreachable(path: Path) -> None:
    """A full queue is waited for; who is let in meanwhile is served."""
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(path))
        listening.listen(0)
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(os.fspath(path))

        with pytest.raises(Unreachable, match=r"nobody in for 0\.1 s"):
            async with open_client(path, timeout=0.1):
                pass
        async with trio.open_nursery() as nursery:

            async def let_in() -> None:
                await trio.sleep(0.05)
                accepted = [listening.accept()[0] for _ in waiting[:1]]
                await trio.sleep(0.2)
                for each in accepted:
                    each.close()

            nursery.start_soon(let_in)
            async with open_client(path, timeout=5):
                pass
    for each in waiting:
        each.close()


def _garbage(said: bytes) -> Callable[[trio.SocketStream], Awaitable[object]]:
    async def say(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(said)
        await trio.sleep_forever()

    return say


@pytest.mark.parametrize(
    "said",
    [
        b"garbage\n",
        b"[]\n",
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b'{"jsonrpc":"2.0","id":1}\n',
        b'{"jsonrpc":"2.0","id":1,"error":"x"}\n',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":1}}\n',
        b'{"jsonrpc":"2.0","method":"note","params":[]}\n{"id":1,"result":1}\n',
    ],
)
async def test_somebody_else_is_unreachable(path: Path, said: bytes) -> None:
    """All that wait learn it, and whoever asks later."""
    async with talking(path, _garbage(said)) as client:
        for _ in range(2):
            with pytest.raises(Unreachable, match="language"):
                await client.request(Ask())


async def test_what_nobody_waits_for_is_ignored(path: Path) -> None:
    """Late answers, notes for others, notifications that nobody knows."""
    said = (
        b'{"jsonrpc":"2.0","id":99,"result":1}\n'
        b'{"jsonrpc":"2.0","method":"note","params":{"id":99}}\n'
        b'{"jsonrpc":"2.0","method":"news"}\n'
        b'{"jsonrpc":"2.0","id":1,"result":{"x":1}}\n'
    )
    async with talking(path, _garbage(said)) as client:
        answer = await client.request(Ask())

    assert answer == {"x": 1}


async def test_one_that_goes_is_unreachable(path: Path) -> None:
    """In the middle of a request; and before, also when it reads no more."""

    async def leave(stream: trio.SocketStream) -> None:
        await stream.receive_some(5)
        await stream.aclose()

    async with talking(path, leave) as client:
        for _ in range(2):
            with pytest.raises(Unreachable, match="gone"):
                await client.request(Ask(value="x" * 900_000))


async def test_one_that_reads_no_more_but_stays_is_unreachable(path: Path) -> None:
    """It may still say why, for a moment."""

    async def deafen(stream: trio.SocketStream) -> None:
        stream.socket.shutdown(socket.SHUT_RD)
        await trio.sleep_forever()

    async with talking(path, deafen) as client:
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Unreachable, match="gone"):
            await client.request(Ask())


async def test_why_one_is_not_let_in_is_said() -> None:
    """The server's words, though it closes at once."""
    desk = Desk()
    async with (
        serving(desk.answer, limits=Limits(clients=1)) as path,
        open_client(path) as inside,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(inside.request, Ask(name="wait"))
        await desk.wait(desk.begun, "wait")
        async with open_client(path) as late:
            with pytest.raises(Unreachable, match="too many clients"):
                await late.request(Ask(value="x" * 100_000))
        nursery.cancel_scope.cancel()


# Listens as another user, at a socket that everybody may use.
FOREIGN = """
import os, socket, sys
one = socket.socket(socket.AF_UNIX)
one.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
one.listen()
os.write(1, b"r")
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_users_supervisor_is_not_asked(path: Path) -> None:
    """Who listens is what counts, not whose the file is."""
    command = [sys.executable, "-c", FOREIGN, os.fspath(path)]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.receive_some() == b"r"

        with pytest.raises(Unreachable, match="user 65534's"):
            async with open_client(path):
                pass
    finally:
        process.kill()
        await process.wait()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do anything")
async def test_a_socket_that_may_not_be_used_is_unreachable(path: Path) -> None:
    """It is there, so somebody may run."""
    async with serving(Desk().answer) as served:
        served.chmod(0)
        with pytest.raises(Unreachable, match=r"[Pp]ermission"):
            async with open_client(served):
                pass


async def test_an_idle_client_that_gave_way_is_told_so() -> None:
    """Its next request fails at once."""
    async with (
        serving(Desk().answer, limits=Limits(clients=1)) as path,
        open_client(path) as first,
        open_client(path) as second,
    ):
        await second.request(Ask())
        with pytest.raises(Unreachable, match="gone"):
            await first.request(Ask())


async def test_many_clients_come_at_once() -> None:
    """From one process, as from many."""
    desk = Desk()
    answers: list[Any] = []

    async def ask(path: Path, number: int) -> None:
        async with open_client(path) as client:
            answers.append(await client.request(Ask(value=number)))

    async with (
        serving(desk.answer, limits=Limits(clients=400)) as path,
        trio.open_nursery() as asking,
    ):
        for number in range(100):
            asking.start_soon(ask, path, number)

    assert len(answers) == 100
