"""The verb `top`: on a terminal and in a pipe, by keys and by signals, across supervisors."""

import fcntl
import os
import signal
import struct
import termios
from collections.abc import Generator
from functools import partial
from typing import Any

import pytest
import trio
from cli_support import open_terminal
from process_support import documents
from supervised_support import Supervised, supervised


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Generator[Supervised]:
    """A command line beside a supervisor whose children have settled."""
    directory = tmp_path_factory.mktemp("top")
    with supervised(directory, "TREE", until=("ready", "settled")) as running:
        yield running


async def test_frames_in_a_pipe(beside: Supervised) -> None:
    """So many as were wanted, as pages and as documents; the busy ones are first."""
    pages = await beside.run("top", "-n", "2", "--interval", "0.1")
    frames = await beside.run("top", "-n", "2", "--interval", "0.1", "--json")

    assert (pages.code, pages.err) == (0, "")
    assert pages.out.startswith("codex-actors ")
    assert pages.out.count("\nNAME ") == 2
    rows = [line for line in pages.out.splitlines() if "worker" in line or "supervisor" in line]
    assert rows[0].startswith("stubborn ")
    one, two = documents(frames.out.splitlines())
    assert (one["schema"], one["process"]["state"]) == (1, "running")
    assert one["rate"] is None
    assert two["rate"] == 0
    assert two["actors"][0]["name"] == "stubborn"
    assert {actor["rate"] for actor in two["actors"]} == {0}


@pytest.mark.parametrize("by_key", [True, False], ids=["q", "Ctrl-C"])
async def test_on_a_terminal(beside: Supervised, by_key: bool) -> None:
    """The whole screen, given back at the end; it heeds the size that the terminal has."""
    env = beside.environment({"TERM": "xterm"})
    del env["COLUMNS"]
    command = beside.command("top", "--interval", "30", "--color", "never")
    async with open_terminal(command, beside.directory, env) as terminal:
        await terminal.wait_for("\x1b[?1049h")
        await terminal.wait_for("NAME")
        await terminal.wait_for("stubborn")
        _resize(terminal, rows=6, columns=30)
        terminal.process.send_signal(signal.SIGWINCH)
        await terminal.wait_for("Actors: 12 total, 12 running;…")
        if by_key:
            await terminal.type("q")
        else:
            terminal.process.send_signal(signal.SIGINT)

        assert await terminal.wait() == 0
        assert "\x1b[?1049l" in terminal.shown
        assert "Traceback" not in terminal.shown


async def test_on_a_terminal_that_only_prints(beside: Supervised) -> None:
    """Page after page, no wider than such a terminal is."""
    env = beside.environment({"TERM": "dumb"})
    command = beside.command("top", "-n", "1")
    async with open_terminal(command, beside.directory, env) as terminal:
        code = await terminal.wait()

    assert code == 0
    assert "\x1b" not in terminal.shown
    assert max(map(len, terminal.shown.splitlines())) == 80


async def test_suspended_it_lends_the_terminal(beside: Supervised) -> None:
    """Ctrl-Z: the shell has screen and keys; after fg there is the picture, and q is heard."""
    env = beside.environment({"TERM": "xterm"})
    async with open_terminal(
        beside.command("top", "--interval", "30"), beside.directory, env
    ) as terminal:
        await terminal.wait_for("NAME")
        terminal.process.send_signal(signal.SIGTSTP)
        await terminal.wait_for("\x1b[?1049l")
        stopped = partial(os.waitid, os.P_PID, terminal.process.pid, os.WSTOPPED | os.WNOWAIT)
        await trio.to_thread.run_sync(stopped)
        lent = _modes(terminal)
        terminal.process.send_signal(signal.SIGCONT)
        await terminal.wait_for("\x1b[?1049h")
        await terminal.wait_for("NAME")
        await terminal.type("q")

        assert await terminal.wait() == 0
        assert lent & termios.ICANON
        assert lent & termios.ECHO


async def test_terminated_it_gives_the_terminal_back(beside: Supervised) -> None:
    """SIGTERM: exit code 143, with the screen as it was."""
    env = beside.environment({"TERM": "xterm"})
    async with open_terminal(beside.command("top"), beside.directory, env) as terminal:
        await terminal.wait_for("NAME")
        terminal.process.send_signal(signal.SIGTERM)

        assert await terminal.wait() == 143
        assert "\x1b[?1049l" in terminal.shown


async def test_it_goes_on_with_the_next_supervisor(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One that is gone is waited for; rates begin anew with the next."""
    with supervised(tmp_path_factory.mktemp("next"), "IDLE") as running:
        async with running.going_on("top", "--interval", "0.1", "--json") as top:
            await top.out.until('"rate": 0')
            first = running.process
            assert first is not None
            running.stop()
            await top.err.until("waiting for the supervisor")
            seen = len(top.out.lines)
            running.start("IDLE")
            second = running.process
            assert second is not None
            await top.out.until(f'"pid": {second.pid}')
            top.process.send_signal(signal.SIGINT)
            assert await top.wait() == 0

    frames = documents(top.out.lines)
    assert {frame["process"]["pid"] for frame in frames[:seen]} == {first.pid}
    assert frames[seen]["process"]["pid"] == second.pid
    assert frames[seen]["rate"] is None


def _resize(terminal: Any, *, rows: int, columns: int) -> None:
    stream = terminal._stream.fileno()
    fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _modes(terminal: Any) -> int:
    modes: int = termios.tcgetattr(terminal._stream.fileno())[3]
    return modes
