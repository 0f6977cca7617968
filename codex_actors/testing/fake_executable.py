"""Owns a stand-in for the codex executable, for machines and tests without it.

Invariant: what it takes and prints is what codex 0.163 does, for `codex exec` and for `codex
app-server` over standard input and output: a contract test runs the same sessions against both.
Threads and their attachments outlive the process: below `CODEX_HOME` when that is set, else beside
the executable. Must not know our own argument vector: it parses what it gets.

In a test::

    codex = fake_codex(tmp_path / "bin", reply="It is red.")
    result = await exec_turn("Which colour?", ThreadOptions((a,), codex_path=codex.path), files=...)
    (call,) = codex.calls()
    assert [image.data for image in call.images] == [png]

Not imitated: images are sent as they are (codex scales large ones down, and sends a GIF as a PNG of
its first frame), a turn is one message and calls no tools.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from codex_actors.testing import fake_binary
from codex_actors.testing.codex_faults import CodexFault, fault_script

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["FakeCall", "FakeCodex", "FakeImage", "FakeServer", "FakeTurn", "fake_codex"]


@frozen
class FakeImage:
    """A path that codex was given as an image: by `-i`, split at commas, or as a `localImage`.

    Attributes:
        path: As given.
        data: What was there when codex read it, None when it could not be read.
        sha256: Of `data`, in hex.
        omitted: What the model is told instead of being shown the image, None when it is shown.
    """

    path: str
    data: bytes | None = field(repr=False)
    sha256: str | None = None
    omitted: str | None = None


@frozen(kw_only=True)
class FakeTurn:
    """A turn, as far as the model would know of it.

    Attributes:
        thread_id: The thread.
        turn_id: The turn.
        parts: The content parts of the user's message, as codex sends them to the model.
        images: In the order of delivery.
    """

    thread_id: str
    turn_id: str
    parts: tuple[Mapping[str, Any], ...] = field(repr=False)
    images: tuple[FakeImage, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The text parts."""
        return tuple(part["text"] for part in self.parts if part["type"] == "input_text")


@frozen(kw_only=True)
class _Process:
    """What is known of a process.

    Attributes:
        argv: Without the executable.
        cwd: The working directory.
        env: The environment's variables that were asked for.
        stdin: "null", "file", "pipe", "terminal" or "closed".
        pid: The process.
        children: Processes that it started and left (`children=`).
    """

    argv: tuple[str, ...]
    cwd: Path
    env: dict[str, str] = field(repr=False)
    stdin: str
    pid: int
    children: tuple[int, ...]


@frozen(kw_only=True)
class FakeCall(_Process):
    """One invocation of `codex exec` whose arguments were accepted.

    Attributes:
        prompt: What codex takes for the prompt.
        thread_id: The thread that was begun or resumed.
        turn: What the model would know of it, None when it did not get so far.
    """

    prompt: str
    thread_id: str
    turn: FakeTurn | None

    @property
    def images(self) -> tuple[FakeImage, ...]:
        """The images of the turn, in the order of delivery."""
        return () if self.turn is None else self.turn.images


@frozen(kw_only=True)
class FakeServer(_Process):
    """One process of `codex app-server`.

    Attributes:
        received: The requests and notifications that it was sent, in order.
        turns: What the model would know of its turns.
    """

    received: tuple[Mapping[str, Any], ...] = field(repr=False)
    turns: tuple[FakeTurn, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of `received`, in order: the sequence to assert."""
        return tuple(message["method"] for message in self.received if "method" in message)

    def params(self, method: str) -> tuple[Mapping[str, Any], ...]:
        """Return the parameters of every request for a method, in order."""
        return tuple(
            message.get("params", {})
            for message in self.received
            if message.get("method") == method
        )


@frozen
class FakeCodex:
    """A fake codex executable; get one from `fake_codex`."""

    path: Path
    records: Path

    def calls(self) -> tuple[FakeCall, ...]:
        """Return every invocation of `codex exec`, in the order in which they began."""
        return tuple(
            FakeCall(
                **_process(entries[0]),
                prompt=began["prompt"],
                thread_id=began["thread_id"],
                turn=next(iter(self._turns(entries)), None),
            )
            for entries in self._processes()
            for began in entries
            if began["kind"] == "exec"
        )

    def servers(self) -> tuple[FakeServer, ...]:
        """Return every process of `codex app-server`, in the order in which they began."""
        return tuple(
            FakeServer(
                **_process(entries[0]),
                received=tuple(e["message"] for e in entries if e["kind"] == "message"),
                turns=self._turns(entries),
            )
            for entries in self._processes()
            if entries[0]["argv"][0] == "app-server"
        )

    def _processes(self) -> list[list[dict[str, Any]]]:
        """Return the records of each process."""
        processes: dict[str, list[dict[str, Any]]] = {}
        journal = self.records / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
        for line in lines:
            if line.endswith(b"\n"):
                entry = json.loads(line)
                processes.setdefault(entry["process"], []).append(entry)
        return list(processes.values())

    def _turns(self, entries: Sequence[Mapping[str, Any]]) -> tuple[FakeTurn, ...]:
        return tuple(
            FakeTurn(
                thread_id=entry["thread_id"],
                turn_id=entry["turn_id"],
                parts=tuple(entry["parts"]),
                images=tuple(self._image(**image) for image in entry["images"]),
            )
            for entry in entries
            if entry["kind"] == "turn"
        )

    def _image(self, path: str, sha256: str | None, omitted: str | None) -> FakeImage:
        data = None if sha256 is None else (self.records / "images" / sha256).read_bytes()
        return FakeImage(path, data, sha256, omitted)


def fake_codex(
    directory: str | os.PathLike[str],
    *,
    name: str = "codex",
    reply: str | Sequence[str] = "ok",
    faults: Iterable[CodexFault] = (),
    stderr: str = "",
    stubborn: bool = False,
    children: int = 0,
    env_names: tuple[str, ...] = ("CODEX_HOME",),
) -> FakeCodex:
    """Write a fake codex executable into a directory.

    Arguments:
        directory: Made when it does not exist.
        name: The executable's file name.
        reply: The agent's message; of several, one for each turn, the last one for all after.
        faults: What goes wrong, see `CodexFault`.
        stderr: Printed to standard error at the start.
        stubborn: It ignores SIGTERM.
        children: So many processes are started in its group, which would live for five minutes.
        env_names: The variables to record.
    """
    home = Path(directory).absolute()
    records = home / f"{name}.records"
    records.mkdir(parents=True)
    settings = {
        "records": str(records),
        "replies": [reply] if isinstance(reply, str) else list(reply),
        "faults": fault_script(faults),
        "stderr": stderr,
        "stubborn": stubborn,
        "children": children,
        "env_names": list(env_names),
    }
    script = home / name
    # The interpreter's path may be longer, or have other characters, than a shebang can hold.
    script.write_text(
        f"#!/bin/sh\n'''exec' {shlex.quote(sys.executable)} -I \"$0\" \"$@\"\n' '''\n"
        f"{_START.format(package=fake_binary.__file__, settings=settings)}",
        "utf-8",
    )
    script.chmod(0o700)
    return FakeCodex(script, records)


# By its path: importing `codex_actors` would take longer than codex needs for a whole turn.
_START = """\
import importlib.util
import sys

spec = importlib.util.spec_from_file_location("fake_binary", {package!r})
package = importlib.util.module_from_spec(spec)
sys.modules["fake_binary"] = package
spec.loader.exec_module(package)
package.run({settings!r})
"""


def _process(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "argv": tuple(record["argv"]),
        "cwd": Path(record["cwd"]),
        "env": record["env"],
        "stdin": record["stdin"],
        "pid": record["pid"],
        "children": tuple(record["children"]),
    }
