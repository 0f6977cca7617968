"""Owns a codex process and everything it started.

Invariant: when the block ends, codex has exited and no process of its group is left, in bounded
time, however the block ends. Unless codex exited with status 0 and was not to be ended thoroughly,
neither is any process that codex had started outside its group: codex runs the agent's commands in
sessions of their own, which outlive it when the sandbox is `danger-full-access`. Must not know
codex's arguments or events.
"""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, final

import trio

from codex_actors._background import open_background
from codex_actors.codex.lines import LineReader, Tail

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

__all__ = ["MAX_LINE", "TERMINATE_GRACE", "CodexProcess", "open_codex_process"]

TERMINATE_GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""
MAX_LINE = 16 * 2**20
"""Bytes of one event: it can hold the whole output of a command."""

STDERR_KEPT = 16 * 2**10
STDERR_DRAIN = 1.0
SWEEP_TIMEOUT = 5.0
MARKER = "CODEX_ACTORS_TURN"
_PROC = Path("/proc")


@final
class CodexProcess:
    """A running codex. Obtained from `open_codex_process`."""

    def __init__(self, process: trio.Process, marker: str, tail: Tail, *, thorough: bool) -> None:
        if process.stdout is None or process.stderr is None:
            raise ValueError("a CodexProcess needs its output piped")
        self._process = process
        self._marker = marker
        self._tail = tail
        self._thorough = thorough
        self._group_swept = False
        self._stderr = process.stderr
        self.stdout = LineReader(process.stdout, max_line=MAX_LINE)

    @property
    def pid(self) -> int:
        """The process id, which is its group's too."""
        return self._process.pid

    @property
    def stdin(self) -> trio.abc.SendStream:
        """Where codex reads; for a process that was opened with `stdin=subprocess.PIPE`."""
        if self._process.stdin is None:
            raise ValueError("the standard input of this codex is no pipe")
        return self._process.stdin

    async def wait(self) -> int:
        """Wait until codex has exited and its standard error is read; return the exit status."""
        status = await self._process.wait()
        with trio.move_on_after(STDERR_DRAIN):
            await self._tail.ended.wait()
        return status

    async def pump(self) -> None:
        """Read standard error, and end what is left of the group once codex has exited.

        A straggler of the group would else keep the output open, and its reader waiting.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tail.pump, self._stderr)
            await self._process.wait()
            self._sweep_group()

    async def end(self) -> None:
        """End codex and what it started: SIGTERM, `TERMINATE_GRACE`, SIGKILL. Not cancellable."""
        with trio.CancelScope(shield=True):
            if self._process.returncode is None:
                self._signal_group(signal.SIGTERM)
                await self._signal_marked(signal.SIGTERM)
                with trio.move_on_after(TERMINATE_GRACE):
                    await self._process.wait()
            if self._process.returncode is None:
                # The group is signalled before its leader is reaped: its number is still taken.
                self._signal_group(signal.SIGKILL)
                await self._process.wait()
            self._sweep_group()
            if self._thorough or self._process.returncode != 0:
                with trio.move_on_after(SWEEP_TIMEOUT):
                    # Again until none is found: one may have been starting another.
                    found = True
                    while found:
                        found = await self._signal_marked(signal.SIGKILL)
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    await stream.aclose()

    def _sweep_group(self) -> None:
        """Kill what is left of the group, once: its number is free for others soon after."""
        if not self._group_swept:
            self._group_swept = True
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        # PermissionError is what macOS says of a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _signal_marked(self, number: signal.Signals) -> bool:
        """Signal every process that carries this turn's mark; tell whether there was one."""
        return await trio.to_thread.run_sync(
            _signal_marked, self._marker, self._process.pid, number
        )


def _signal_marked(marker: str, leader: int, number: signal.Signals) -> bool:
    """Find processes by their environment, as build servers do. Only where there is a /proc."""
    found = False
    for entry in _PROC.glob("[0-9]*"):
        # Gone meanwhile, or not ours to look into.
        with suppress(OSError):
            if int(entry.name) != leader and marker.encode() in (entry / "environ").read_bytes():
                os.kill(int(entry.name), number)
                found = True
    return found


@asynccontextmanager
async def open_codex_process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    tail: Tail,
    cwd: Path | None = None,
    stdin: IO[bytes] | int | None = None,
    thorough: bool = False,
) -> AsyncGenerator[CodexProcess]:
    """Start codex in a session of its own, and end all of it when the block ends.

    `tail` collects the end of standard error, and can still be asked afterwards. Without `stdin`,
    standard input is /dev/null; `subprocess.PIPE` makes a pipe of it. `thorough` ends what codex
    left in sessions of their own even when it exits by itself, with status 0.

    Raises:
        OSError: It cannot be started.
    """
    marker = uuid.uuid4().hex
    process = await trio.lowlevel.open_process(
        argv,
        # Appended: a turn inside a turn carries both marks.
        env={**env, MARKER: f"{env.get(MARKER, '')}:{marker}"},
        cwd=cwd,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    codex = CodexProcess(process, marker, tail, thorough=thorough)
    try:
        async with open_background() as nursery:
            nursery.start_soon(codex.pump)
            yield codex
    finally:
        await codex.end()  # noqa: ASYNC102 - shields and bounds itself
