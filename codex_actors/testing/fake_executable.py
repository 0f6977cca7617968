"""Owns a stand-in for the codex executable, for machines without it.

Invariant: what it takes and prints is what codex 0.163 does, as far as `codex exec --json` goes:
the same tests pass against both. Each invocation leaves one record. Must not know our own argument
vector: it parses what it gets.
"""

from __future__ import annotations

import base64
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    import os

__all__ = ["FakeCall", "FakeCodex", "FakeImage", "fake_codex"]


@frozen
class FakeImage:
    """A path given with `-i`, after codex's splitting at commas.

    Attributes:
        path: As given.
        data: What was there when codex read it, None when it could not be read.
    """

    path: str
    data: bytes | None = field(repr=False)


@frozen(kw_only=True)
class FakeCall:
    """One invocation of the fake.

    Attributes:
        argv: Without the executable.
        cwd: The working directory.
        env: The environment's variables that were asked for.
        stdin: "null", "file", "pipe", "terminal" or "closed".
        prompt: What codex would have taken for the prompt.
        images: In the order of delivery.
        pid: The process.
        children: Processes that it started and left (`children=`).
    """

    argv: tuple[str, ...]
    cwd: Path
    env: dict[str, str] = field(repr=False)
    stdin: str
    prompt: str
    images: tuple[FakeImage, ...]
    pid: int
    children: tuple[int, ...]


@frozen
class FakeCodex:
    """A fake codex executable; get one from `fake_codex`."""

    path: Path
    records: Path

    def calls(self) -> tuple[FakeCall, ...]:
        """Return what was recorded, one for each invocation that got as far as a turn."""
        return tuple(
            _call(json.loads(path.read_text("utf-8")))
            for path in sorted(self.records.glob("*.json"))
        )


def fake_codex(
    directory: str | os.PathLike[str],
    *,
    name: str = "codex",
    reply: str = "ok",
    exit_code: int = 0,
    stderr: str = "",
    delay: float = 0.0,
    hang: bool = False,
    crash: bool = False,
    garbage: bool = False,
    stubborn: bool = False,
    children: int = 0,
    env_names: tuple[str, ...] = ("CODEX_HOME",),
) -> FakeCodex:
    """Write a fake codex executable into a directory.

    Arguments:
        directory: Made when it does not exist.
        name: The executable's file name.
        reply: The agent's message.
        exit_code: Not 0: the turn fails and this is the exit status.
        stderr: Printed to standard error at the start.
        delay: Seconds before the turn goes on once it has started.
        hang: The turn never ends (the fake does, after five minutes).
        crash: It is killed by SIGKILL in the middle of the turn.
        garbage: It prints a line that is no event.
        stubborn: It ignores SIGTERM.
        children: So many processes are started in its group, which would live for five minutes.
        env_names: The variables to record.
    """
    home = Path(directory).absolute()
    records = home / f"{name}.calls"
    records.mkdir(parents=True)
    settings = {
        "records": str(records),
        "reply": reply,
        "exit_code": exit_code,
        "stderr": stderr,
        "delay": delay,
        "hang": hang,
        "crash": crash,
        "garbage": garbage,
        "stubborn": stubborn,
        "children": children,
        "env_names": list(env_names),
    }
    source = Path(__file__).with_name("fake_codex_script.py").read_text("utf-8")
    script = home / name
    # The interpreter's path may be longer, or have other characters, than a shebang can hold.
    script.write_text(
        f"#!/bin/sh\n'''exec' {shlex.quote(sys.executable)} -I \"$0\" \"$@\"\n' '''\n"
        f"{source}\nrun({settings!r})\n",
        "utf-8",
    )
    script.chmod(0o700)
    return FakeCodex(script, records)


def _call(record: dict[str, Any]) -> FakeCall:
    return FakeCall(
        argv=tuple(record["argv"]),
        cwd=Path(record["cwd"]),
        env=record["env"],
        stdin=record["stdin"],
        prompt=record["prompt"],
        images=tuple(
            FakeImage(path, None if data is None else base64.b64decode(data))
            for path, data in record["images"]
        ),
        pid=record["pid"],
        children=tuple(record["children"]),
    )
