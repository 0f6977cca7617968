"""What the tests of the supervisor process share: it runs as users run it, in a process."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio
from cli_support import CommandLine

PATIENCE = 60

G = TypeVar("G", bound="Going")


class Output:
    """The lines of a stream, as they come."""

    def __init__(self) -> None:
        self.text = ""
        self._news = trio.Condition()
        self._ended = False

    @property
    def lines(self) -> list[str]:
        """Those that are complete."""
        return self.text.split("\n")[:-1]

    async def read(self, stream: trio.abc.ReceiveStream) -> None:
        """Read a stream to its end."""
        async for part in stream:
            await self._tell(part.decode())
        self._ended = True
        await self._tell("")

    async def until(self, text: str) -> str:
        """Wait for a line that has a text in it; return that line."""
        with trio.fail_after(PATIENCE):
            async with self._news:  # held while looking, so that nothing is told in between
                while True:
                    for line in self.lines:
                        if text in line:
                            return line
                    assert not self._ended, f"it ended without {text!r}: {self.text}"
                    await self._news.wait()

    async def line(self, number: int) -> str:
        """Wait for a line, counted from 0; return it."""
        with trio.fail_after(PATIENCE):
            async with self._news:
                while len(self.lines) <= number:
                    assert not self._ended, f"it ended without line {number}: {self.text}"
                    await self._news.wait()
        return self.lines[number]

    async def _tell(self, text: str) -> None:
        async with self._news:
            self.text += text
            self._news.notify_all()


class Going:
    """A process that goes on."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.out = Output()
        self.err = Output()

    async def tell(self, text: str) -> None:
        """Have it read a text."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(text.encode())

    async def wait(self) -> int:
        """Wait for its end; the exit code."""
        with trio.fail_after(PATIENCE):
            return await self.process.wait()


class Running(Going):
    """A running `python -m codex_actors run`."""

    async def ready(self) -> str:
        """Wait until it is; its line."""
        return await self.out.until("ready")

    async def working(self) -> None:
        """Wait until it is ready, and its worker has begun the job that waits for a line."""
        await self.ready()
        await self.out.until("job 1 begins")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def go_on(self) -> None:
        """Let the job that waits for a line go on."""
        await self.tell("\n")


@asynccontextmanager
async def going(
    command: Sequence[str],
    directory: Path,
    env: Mapping[str, str],
    kind: Callable[[trio.Process], G],
) -> AsyncGenerator[G]:
    """Have a process run, its streams read, while a block does; then it is killed."""
    process = await trio.lowlevel.open_process(
        command,
        cwd=directory,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    one = kind(process)
    async with process.stdin, process.stdout, process.stderr, trio.open_nursery() as nursery:
        nursery.start_soon(one.out.read, process.stdout)
        nursery.start_soon(one.err.read, process.stderr)
        try:
            yield one
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


class Launcher:
    """Starts supervisors in a directory of the test, each killed when its block is left."""

    def __init__(self, directory: Path) -> None:
        self.command_line = CommandLine(directory)
        self.directory = directory
        self.staging = self.command_line.staging
        self.socket = directory / "s"
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            # Tests under nohup; what they start would ignore it, too.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """What it sees; nobody but the test manages it."""
        more = more or {}
        paths = {"PYTHONPATH": str(Path(__file__).parent), "CODEX_ACTORS_SOCKET": str(self.socket)}
        environment = self.command_line.environment({**paths, **more})
        for name in {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} - more.keys():
            environment.pop(name, None)
        return environment

    def arguments(self, *arguments: str) -> list[str]:
        """The command."""
        return [sys.executable, "-m", "codex_actors", "run", *arguments]

    @asynccontextmanager
    async def start(
        self, *arguments: str, env: dict[str, str] | None = None
    ) -> AsyncGenerator[Running]:
        """Start one."""
        command, env = self.arguments(*arguments), self.environment(env)
        async with going(command, self.directory, env, Running) as running:
            yield running

    async def run(
        self, *arguments: str, env: dict[str, str] | None = None
    ) -> tuple[int, list[str], list[str]]:
        """Run one to its end: the exit code, the lines of stdout and stderr."""
        async with self.start(*arguments, env=env) as running:
            code = await running.wait()
        return code, running.out.lines, running.err.lines


def documents(lines: list[str]) -> list[dict[str, Any]]:
    """What JSON lines say; each is valid."""
    return [json.loads(line) for line in lines]
