"""What the tests of file verbs share: the same command line alone, and beside a supervisor."""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from cli_support import CommandLine, Done
from process_support import Going, Launcher, Running, going

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
        self._shell: Going | None = None

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """What verbs see."""
        return self._launcher.environment({**self._mine, **(more or {})})

    async def ask(self, *arguments: str) -> Done:
        """Run a verb to its end, in the process that runs such verbs one after the other."""
        assert self._shell is not None
        number = len(self._shell.out.lines)
        await self._shell.tell(f"{json.dumps(arguments)}\n")
        return Done(*json.loads(await self._shell.out.line(number)))

    @asynccontextmanager
    async def shell(self) -> AsyncGenerator[None]:
        """Have that process while a block runs."""
        command = [sys.executable, "-c", _SHELL]
        async with going(command, self.directory, self.environment(), Going) as shell:
            self._shell = shell
            yield

    @asynccontextmanager
    async def going(
        self, *arguments: str, env: dict[str, str] | None = None
    ) -> AsyncGenerator[Going]:
        """Start a verb in a process of its own; it is killed when the block is left."""
        command = [sys.executable, "-m", "codex_actors", *arguments]
        async with going(command, self.directory, self.environment(env), Going) as verb:
            yield verb

    @asynccontextmanager
    async def supervisor(self, *options: str) -> AsyncGenerator[Running]:
        """Have a supervisor run while a block does."""
        async with self._launcher.start(*options, env=self._theirs) as running:
            await running.ready()
            self.running = running
            yield running


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
