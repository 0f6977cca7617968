"""What a service manager is told, over real datagram sockets."""

import math
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from process_support import Launcher

from codex_actors.control.process.service_manager import ServiceManager

_KINDS = ["path", "abstract"]
_T = "process_trees:"


@asynccontextmanager
async def _listening(
    kind: str, directory: Path
) -> AsyncGenerator[tuple[str, trio.socket.SocketType]]:
    """A manager's socket, and its address as the environment has it."""
    if kind == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are of Linux")
    name = f"codex-actors-{secrets.token_hex(8)}"
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        if kind == "abstract":
            await listening.bind(f"\0{name}")
            yield f"@{name}", listening
        else:
            await listening.bind(str(directory / "notify"))
            yield str(directory / "notify"), listening


async def _told(listening: trio.socket.SocketType) -> list[str]:
    with trio.fail_after(60):
        return (await listening.recv(4096)).decode().splitlines()


@pytest.mark.parametrize("kind", _KINDS)
async def test_a_process_tells_of_its_life(tmp_path: Path, kind: str) -> None:
    """READY=1 when the line is on stdout, STOPPING=1 when the end begins."""
    launcher = Launcher(tmp_path)
    async with (
        _listening(kind, tmp_path) as (address, listening),
        launcher.start(f"{_T}WORK", env={"NOTIFY_SOCKET": address}) as running,
    ):
        ready = await _told(listening)
        await running.working()
        running.signal(signal.SIGTERM)
        stopping = await _told(listening)
        await running.go_on()
        code = await running.wait()

    assert ready == ["READY=1", f"MAINPID={running.process.pid}", "STATUS=running work"]
    assert stopping == ["STOPPING=1", "STATUS=draining"]
    assert code == 143


async def test_a_short_life_is_told_whole(tmp_path: Path) -> None:
    """The end is told even where it takes no time."""
    async with _listening("path", tmp_path) as (address, listening):
        code, _out, err = await Launcher(tmp_path).run(
            "--once", f"{_T}IDLE", env={"NOTIFY_SOCKET": address}
        )
        told = [(await _told(listening))[0] for _ in range(2)]

    assert (code, told) == (0, ["READY=1", "STOPPING=1"]), err


async def test_a_manager_that_is_busy_is_waited_for(tmp_path: Path) -> None:
    """A full queue costs patience, and no word."""
    async with _listening("path", tmp_path) as (address, listening):
        manager = ServiceManager(address)

        async def tell() -> None:
            for number in range(1_000):
                await manager.ready(str(number))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell)
            told = [(await _told(listening))[2] for _ in range(1_000)]

    assert told == [f"STATUS={number}" for number in range(1_000)]


async def test_a_process_gives_signs_of_life(tmp_path: Path) -> None:
    """Half as often as the watchdog bites, beginning before the trees are up."""
    launcher = Launcher(tmp_path)
    async with _listening("path", tmp_path) as (address, listening):
        watched = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"}
        async with launcher.start(f"{_T}HESITANT", env=watched) as running:
            await running.out.until("hesitating")
            signs = [await _told(listening) for _ in range(3)]

    assert signs == [["WATCHDOG=1"]] * 3


async def test_a_watchdog_is_fed_in_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Twice within its time, on the clock."""
    async with _listening("path", tmp_path) as (address, listening):
        manager = ServiceManager(address, watchdog=30.0)
        with trio.move_on_after(100):
            await manager.keep_alive()
        signs = 0
        with trio.move_on_after(1):
            while True:
                await listening.recv(4096)
                signs += 1

    assert signs == 7


@pytest.mark.parametrize(
    "address", ["/no/such/socket", "relative", "@", f"/{'x' * 200}", "vsock:2:1234"]
)
async def test_a_manager_that_cannot_be_reached_is_told_once(address: str) -> None:
    """It is no error of the process."""
    errors: list[Exception] = []
    manager = ServiceManager(address, on_error=errors.append)

    await manager.ready("it runs")
    await manager.stopping("it ends")

    assert len(errors) == 1


async def test_without_a_manager_nothing_happens() -> None:
    """No variables, no words; nor with those that are another process's."""
    errors: list[Exception] = []
    nobody = ServiceManager.of({}, errors.append)
    foreign = {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid() + 1)}
    other = ServiceManager.of({"NOTIFY_SOCKET": "/no/such/socket", **foreign}, errors.append)

    await nobody.ready("it runs")
    await nobody.keep_alive()
    await other.keep_alive()

    assert errors == []


@pytest.mark.parametrize("micros", ["", "0", "-5", "soon", "²", "9" * 400])
def test_a_watchdog_that_makes_no_sense_is_none(micros: str) -> None:
    """Nothing is fed."""
    manager = ServiceManager.of({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": micros})

    assert manager.watchdog == math.inf
