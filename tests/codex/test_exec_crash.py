"""Whatever ends a turn of `codex exec`, with the fake and with the real one, nothing is left of it.

The leases are given back, the processes gone, the links removed, and the staging directory is as it
was: what is staged is there, whole, and can be removed.
"""

from __future__ import annotations

import os
import shlex
import signal
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from codex_support import needs_codex, needs_proc, png, wait_gone

from codex_actors.codex import (
    CodexError,
    ThreadOptions,
    TurnStarted,
    TurnTimeout,
    find_codex,
    open_exec_turn,
)
from codex_actors.files import FilesConfig, open_files
from codex_actors.testing import CodexFault, ModelServer, PrintNonsense, StallTurn, fake_codex

if TYPE_CHECKING:
    from codex_actors.codex import TurnEvents
    from codex_actors.files import Files

pytestmark = needs_proc

ENDINGS = ["killed", "nonsense", "hung", "cancelled", "left"]
BINARIES = ["fake", pytest.param("real", marks=needs_codex)]


class Left(Exception):
    """The block was left by an error of its own."""


def recording(directory: Path, ending: str) -> Path:
    """Stand before the real codex: leaves its process id and arguments, may print nonsense."""
    path = directory / "codex"
    nonsense = "echo 'this is not an event'\n" if ending == "nonsense" else ""
    path.write_text(
        f"#!/bin/sh\necho $$ > {shlex.quote(str(directory / 'pid'))}\n"
        f"printf '%s\\n' \"$@\" > {shlex.quote(str(directory / 'argv'))}\n"
        f'{nonsense}exec {shlex.quote(str(find_codex()))} "$@"\n'
    )
    path.chmod(0o700)
    return path


class Started:
    """A binary that stalls in its turn, and what it leaves behind."""

    def __init__(self, directory: Path, binary: str, ending: str, server: ModelServer) -> None:
        self._directory = directory
        home = directory / "home"
        home.mkdir()
        faults = [CodexFault("item.completed", StallTurn())]
        if ending == "nonsense":
            faults.insert(0, CodexFault("item.completed", PrintNonsense()))
        self._fake = None
        if binary == "fake":
            self._fake = fake_codex(directory / "bin", faults=faults, children=2)
        self.options = ThreadOptions(
            cwd=directory,
            codex_path=self._fake.path if self._fake else recording(directory, ending),
            config=server.config(),
            env={**server.env(), "CODEX_HOME": str(home), "HOME": str(home)},
        )

    def pids(self) -> tuple[int, ...]:
        """Every process that it had."""
        if self._fake is None:
            return (int((self._directory / "pid").read_text()),)
        (call,) = self._fake.calls()
        assert len(call.children) == 2
        return (call.pid, *call.children)

    def links(self) -> Path:
        """The directory that its image lay in."""
        if self._fake is None:
            argv = (self._directory / "argv").read_text().splitlines()
        else:
            argv = list(self._fake.calls()[0].argv)
        return Path(argv[argv.index("-i") + 1]).parent


async def end(events: TurnEvents, started: Started, ending: str, turn: trio.CancelScope) -> None:
    """Have a turn until it has begun, and end it in one of the ways."""
    async for event in events:
        if isinstance(event, TurnStarted):
            match ending:
                case "killed":
                    os.kill(started.pids()[0], signal.SIGKILL)
                case "cancelled":
                    turn.cancel()
                case "left":
                    raise Left
                case _:
                    pass


@pytest.mark.parametrize("binary", BINARIES)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_turn_that_ends_badly_leaves_nothing(
    tmp_path: Path, binary: str, ending: str
) -> None:
    """Killed, printing nonsense, hanging, cancelled, left: always the same order afterwards."""
    # F37
    errors: dict[str, Any] = {
        "killed": pytest.raises(CodexError, match="killed by signal 9"),
        "nonsense": pytest.raises(CodexError, match="this is not an event"),
        "hung": pytest.raises(TurnTimeout),
        "left": pytest.raises(Left),
    }
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ModelServer(stalled=True))
        files = await stack.enter_async_context(
            open_files(FilesConfig(staging_dir=tmp_path / "staging"))
        )
        picture = await files.stage(png(), name="a.png", ttl=0)
        started = Started(tmp_path, binary, ending, server)
        options = files.attach(started.options, picture)
        turn = trio.CancelScope()

        with turn, errors.get(ending, nullcontext()):
            async with open_exec_turn(
                "Wait.", options, files=files, timeout=2 if ending == "hung" else 60
            ) as events:
                await end(events, started, ending, turn)

        assert turn.cancelled_caught == (ending == "cancelled")
        assert not started.links().exists()
        with trio.fail_after(20):
            for pid in started.pids():
                await wait_gone(pid)
        await assert_clean(files, picture.path)


async def assert_clean(files: Files, path: Path) -> None:
    """No lease, no leftover, and what is staged can be cleaned up."""
    metrics = await files.metrics()
    report = await files.verify()
    assert (metrics.leases, metrics.partial_files, metrics.total_count) == (0, 0, 1)
    assert (report.wrong, report.unknown, report.quarantined) == ((), (), ())
    assert path.read_bytes() == png()
    assert (await files.force_cleanup()).count == 1
    assert not path.exists()
