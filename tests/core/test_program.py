"""A tree as a program: real processes, real signals, real exit codes.

Nothing here sleeps: the program says what it has reached, and waits to be told to go on.
"""

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).with_name("program_child.py")


class _Program:
    """The program, from outside."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def read_until(self, last: str) -> list[str]:
        """The lines that it says, up to this one."""
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            lines.append(line.rstrip())
            if lines[-1] == last:
                return lines
        raise AssertionError(f"it never said {last!r}, but {lines}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def go_on(self) -> None:
        """Let the job in hand finish."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def finish(self) -> tuple[int, list[str], str]:
        """Wait for its end: the exit code, the other lines, and what is on stderr."""
        out, err = self._process.communicate(timeout=60)
        return self._process.returncode, out.split("\n")[:-1], err


@contextmanager
def _start(what: str) -> Generator[_Program]:
    pipe = subprocess.PIPE
    command = [sys.executable, str(_SCRIPT), what]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield _Program(process)
        finally:
            process.kill()


_SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", _SIGNALS)
def test_the_first_signal_drains(number: signal.Signals) -> None:
    """What was admitted is handled before the tree stops; the code names the signal."""
    with _start("work") as program:
        program.read_until("ready")

        program.signal(number)
        program.read_until("stopping")
        program.go_on()
        code, lines, err = program.finish()

    assert lines == ["job 2", "job 3", "work ended: shutdown"]
    assert (code, err) == (128 + number, "")


@pytest.mark.parametrize("number", _SIGNALS)
def test_the_second_signal_cancels(number: signal.Signals) -> None:
    """A job that does not end is cancelled; cleanup still runs."""
    with _start("hang") as program:
        program.read_until("ready")

        program.signal(number)
        program.read_until("stopping")
        program.signal(number)
        code, lines, err = program.finish()

    assert lines == ["hang ended: killed"]
    assert (code, err) == (128 + number, "")


def test_a_tree_that_ends_by_itself() -> None:
    """auto_shutdown is a good end: 0."""
    # A2
    with _start("finish") as program:
        code, lines, err = program.finish()

    assert [line for line in lines if line != "ready"] == [
        "job 1",
        "finish ended: normal",
        "stopping",
    ]
    assert (code, err) == (0, "")


def test_giving_up() -> None:
    """A tree that gave up exits with 70 and says why, in one line."""
    # I5
    with _start("crash") as program:
        code, lines, err = program.finish()

    assert [line for line in lines if line != "ready"] == [
        "job 1",
        "crash ended: crash",
        "stopping",
    ]
    assert code == 70
    assert err.startswith("program: ")
    assert "'worker'" in err
    assert err.count("\n") == 1


def test_a_failed_start() -> None:
    """A tree that could not be started exits with 1, names the child, and leaves nothing."""
    # S1
    with _start("broken-start") as program:
        code, lines, err = program.finish()

    assert code == 1
    assert "'worker'" in err
    assert "cannot start" in err
    assert err.count("\n") == 1
    assert not any("ended" in line for line in lines)


def test_a_system_exit_passes() -> None:
    """sys.exit in a child takes the tree down in order, and its code is the program's."""
    # X5
    with _start("exit") as program:
        code, lines, err = program.finish()

    assert "exit ended: crash" in lines
    assert (code, err) == (3, "")


@pytest.mark.parametrize("number", _SIGNALS)
def test_a_signal_during_the_start(number: signal.Signals) -> None:
    """A tree that is still starting ends in order too, and with the same code."""
    with _start("slow-start") as program:
        program.read_until("starting")

        program.signal(number)
        code, lines, err = program.finish()

    assert "stopping" in lines
    assert (code, err) == (128 + number, "")
