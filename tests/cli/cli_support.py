"""What the tests of the command line share: running it as a user does, in a process."""

import codecs
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

SEVERAL = """
import io, json, sys
from codex_actors.cli.app import main

def run(arguments):
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2)]
    sys.stdout, sys.stderr = streams
    code = main(arguments)
    for stream in streams:
        stream.flush()
    return [code, *(stream.buffer.getvalue().decode() for stream in streams)]

json.dump([run(arguments) for arguments in json.loads(sys.argv[1])], sys.__stdout__)
"""


@frozen
class Done:
    """One run of the command line."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What `--json` printed."""
        document: dict[str, Any] = json.loads(self.out)
        return document


class CommandLine:
    """Runs `python -m codex_actors` in a directory of the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.staging = directory / "staging"

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """What the process sees: nothing of the developer's own codex, home or key.

        A check that has been lost must not start a real turn on a real account.
        """
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
        return kept | {
            "CODEX_ACTORS_STAGING_DIR": str(self.staging),
            "CODEX_ACTORS_CODEX": str(self.directory / "no-codex-here"),
            "CODEX_HOME": str(home),
            "HOME": str(home),
            "COLUMNS": "200",
            **(more or {}),
        }

    async def run(self, *arguments: str | Path, env: dict[str, str] | None = None) -> Done:
        """Run it to its end."""
        with trio.fail_after(60):
            done = await trio.run_process(
                [sys.executable, "-m", "codex_actors", *map(str, arguments)],
                cwd=self.directory,
                env=self.environment(env),
                stdin=subprocess.DEVNULL,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    async def several(self, *commands: tuple[str, ...]) -> list[Done]:
        """Run several one after the other in one process, which starts only once."""
        with trio.fail_after(60):
            done = await trio.run_process(
                [sys.executable, "-c", SEVERAL, json.dumps(commands)],
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                capture_stdout=True,
            )
        return [Done(*each) for each in json.loads(done.stdout)]

    def debris(self) -> list[str]:
        """Every file in the staging directory that is no part of an empty store."""
        return sorted(
            str(path.relative_to(self.staging))
            for path in self.staging.rglob("*")
            if path.is_file()
            and path.name != "CACHEDIR.TAG"
            and not path.name.startswith((".", "manifest"))
        )


class Terminal:
    """A terminal that a process runs at, from the side of who sits there."""

    def __init__(self, stream: trio.lowlevel.FdStream, process: trio.Process) -> None:
        self._stream = stream
        self.process = process
        self.shown = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    async def type(self, text: str) -> None:
        """Press these keys."""
        await self._stream.send_all(text.encode())

    async def wait_for(self, text: str) -> None:
        """Wait until a text is shown; what was shown up to it is forgotten."""
        with trio.fail_after(60):
            while text not in self.shown:
                assert await self._read(), f"the process ended without {text!r}: {self.shown!r}"
        self.shown = self.shown.partition(text)[2]

    async def wait(self) -> int:
        """Read all that is shown until the process has ended; its exit code."""
        with trio.fail_after(60):
            while await self._read():
                pass
            return await self.process.wait()

    async def _read(self) -> bool:
        """Read some of it; tell whether there may be more."""
        try:
            part = await self._stream.receive_some()
        except trio.BrokenResourceError:
            part = b""  # Linux says EIO when the last process has left the terminal
        self.shown += self._decoder.decode(part)
        return bool(part)


@asynccontextmanager
async def open_terminal(
    command: Sequence[str | Path], directory: Path, env: Mapping[str, str]
) -> AsyncGenerator[Terminal]:
    """Run a command at a terminal of its own; it is killed when the block is left."""
    ours, theirs = pty.openpty()
    async with trio.lowlevel.FdStream(ours) as stream:
        try:
            process = await trio.lowlevel.open_process(
                command, cwd=directory, env=env, stdin=theirs, stdout=theirs, stderr=theirs
            )
        finally:
            os.close(theirs)
        try:
            yield Terminal(stream, process)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
