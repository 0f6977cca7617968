"""What the tests of verbs that ask a supervisor share: one that runs, in a process of its own."""

import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from cli_support import CommandLine
from process_support import PATIENCE, Going, going


class Supervised(CommandLine):
    """A command line beside a supervisor that runs.

    Attributes:
        process: The supervisor; None while none runs.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.socket = directory / "s"
        self.process: subprocess.Popen[str] | None = None

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """What both see."""
        paths = {
            "PYTHONPATH": str(Path(__file__).parent),
            "CODEX_ACTORS_SOCKET": str(self.socket),
        }
        return super().environment({**paths, **(more or {})})

    def command(self, *arguments: str) -> list[str]:
        """What runs a verb."""
        return [sys.executable, "-m", "codex_actors", *arguments]

    def start(self, tree: str, *options: str, until: tuple[str, ...] = ("ready",)) -> None:
        """Start it and wait for what it says."""
        command = self.command("run", f"supervised_trees:{tree}", *options)
        with (self.directory / "log").open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        missing = set(until)
        while missing:
            line = self.process.stdout.readline()
            assert line, (self.directory / "log").read_text()
            missing -= {word for word in missing if line.startswith(word)}

    @asynccontextmanager
    async def going_on(self, *arguments: str) -> AsyncGenerator[Going]:
        """Run a verb that does not end by itself; it is killed when the block is left."""
        command = self.command(*arguments)
        async with going(command, self.directory, self.environment(), Going) as verb:
            yield verb

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def stop(self) -> None:
        """Have none running."""
        if self.process is not None:
            assert self.process.stdout is not None
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process.stdout.close()
            self.process = None


@contextmanager
def supervised(
    directory: Path, tree: str, *options: str, until: tuple[str, ...] = ("ready",)
) -> Generator[Supervised]:
    """Have a supervisor run while a block does."""
    running = Supervised(directory)
    try:
        running.start(tree, *options, until=until)
        yield running
    finally:
        running.stop()
