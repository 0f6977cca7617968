"""What the tests of file verbs share: the same command line alone, and beside a supervisor."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import field, frozen
from cli_support import CommandLine, Done
from process_support import Launcher, Output, Running

PATIENCE = 60
ALONE, SUPERVISED = "alone", "supervised"
MODES = (ALONE, SUPERVISED)

# Command lines one after the other in one process, for starting one takes longer than most verbs
# do: each has a stdout and a stderr of its own, as from a shell.
_SHELL = """
import json, os, sys, tempfile
from codex_actors.cli.app import main
commands, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for line in commands:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        code = main(json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        texts = [os.pread(each.fileno(), 1 << 24, 0).decode() for each in (out, err)]
    print(json.dumps([code, *texts]), file=answers, flush=True)
"""


@frozen
class Going:
    """A verb under way."""

    process: trio.Process
    out: Output = field(factory=Output)
    err: Output = field(factory=Output)

    async def wait(self) -> int:
        """Wait for its end; the exit code."""
        with trio.fail_after(PATIENCE):
            return await self.process.wait()


class Asking(CommandLine):
    """A command line that asks the supervisor of its directory, where one runs.

    Attributes:
        running: That supervisor, None where there is none.
    """

    def __init__(
        self,
        directory: Path,
        mine: dict[str, str] | None = None,
        theirs: dict[str, str] | None = None,
    ) -> None:
        super().__init__(directory)
        self._launcher = Launcher(directory)
        self._mine = mine or {}
        self._theirs = theirs or {}
        self.running: Running | None = None
        self._shell: trio.Process | None = None
        self._answers = Output()

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """What verbs see."""
        return self._launcher.environment({**self._mine, **(more or {})})

    async def ask(self, *arguments: str) -> Done:
        """Run a verb to its end, in the process that runs such verbs one after the other."""
        assert self._shell is not None
        assert self._shell.stdin is not None
        number = len(self._answers.lines)
        await self._shell.stdin.send_all(f"{json.dumps(arguments)}\n".encode())
        return Done(*json.loads(await self._answers.line(number)))

    @asynccontextmanager
    async def shell(self) -> AsyncGenerator[None]:
        """Have that process while a block runs."""
        async with self._start([sys.executable, "-c", _SHELL], self.environment()) as going:
            self._shell, self._answers = going.process, going.out
            yield

    @asynccontextmanager
    async def going(
        self, *arguments: str, env: dict[str, str] | None = None
    ) -> AsyncGenerator[Going]:
        """Start a verb in a process of its own; it is killed when the block is left."""
        command = [sys.executable, "-m", "codex_actors", *arguments]
        async with self._start(command, self.environment(env)) as going:
            yield going

    @asynccontextmanager
    async def supervisor(self, *options: str) -> AsyncGenerator[Running]:
        """Have a supervisor run while a block does."""
        async with self._launcher.start(*options, env=self._theirs) as running:
            await running.ready()
            self.running = running
            yield running

    @asynccontextmanager
    async def _start(self, command: list[str], env: dict[str, str]) -> AsyncGenerator[Going]:
        process = await trio.lowlevel.open_process(
            command,
            cwd=self.directory,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        going = Going(process)
        async with process.stdin, process.stdout, process.stderr, trio.open_nursery() as nursery:
            nursery.start_soon(going.out.read, process.stdout)
            nursery.start_soon(going.err.read, process.stderr)
            try:
                yield going
            finally:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()


@asynccontextmanager
async def asking(
    mode: str,
    directory: Path,
    *,
    mine: dict[str, str] | None = None,
    theirs: dict[str, str] | None = None,
) -> AsyncGenerator[Asking]:
    """Open a command line, alone or beside a supervisor that runs while the block does.

    Args:
        mode: One of `MODES`.
        directory: Where both work.
        mine: More of the environment of the command line.
        theirs: More of the environment of the supervisor.
    """
    asked = Asking(directory, mine, theirs)
    async with asked.shell():
        if mode == ALONE:
            yield asked
            return
        async with asked.supervisor("-v"):
            yield asked
