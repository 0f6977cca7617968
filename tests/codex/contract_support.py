"""What the contract tests share: a session with an app-server, and what is the same of two of them.

A `Session` is spoken to without our own client: what is compared is what a process prints. What
must differ between two runs (ids, times, directories) is replaced by what it stands for.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import trio
from attrs import field, frozen

from codex_actors.codex.lines import LineReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path

MAX_LINE = 16 * 2**20
_NOISE = frozenset(
    {
        "configWarning",  # about this machine
        "warning",  # about the test's model, which the real one does not know
        "thread/readState/changed",  # comes or not, as it happens
    }
)
_OF_TURNS = frozenset({"turn/started", "item/started", "item/completed", "error", "turn/completed"})
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MESSAGE_ID = re.compile(r"msg_[0-9a-f-]+")
_ROLLOUT = re.compile(r"sessions/\d+/\d+/\d+/rollout-[0-9T-]+-id")
_CURSOR_TIME = re.compile(r"\|\d+\|")
_DIFFERING = re.compile(r"(At|AtMs|durationMs|BackwardsCursor)$")


@frozen
class Codex:
    """One of the two: an executable, its environment and arguments, and where it runs."""

    path: Path
    work: Path
    home: Path
    config: Sequence[str] = ()
    env: Mapping[str, str] = field(factory=dict[str, str])

    def environment(self) -> dict[str, str]:
        """The whole environment of its processes."""
        return {**os.environ, **self.env, "HOME": str(self.home), "CODEX_HOME": str(self.home)}

    async def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run `codex exec`, whatever it exits with."""
        return await trio.run_process(
            [str(self.path), "exec", *self.config, *arguments],
            cwd=self.work,
            env=self.environment(),
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )


class Session:
    """A conversation with one process of the app-server; obtained from `open_session`."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self._lines = LineReader(process.stdout, max_line=MAX_LINE)
        self._next_id = 0
        self._status: object = None
        self.answers: list[dict[str, Any]] = []
        self.notifications: list[dict[str, Any]] = []

    def said(self) -> list[list[dict[str, Any]]]:
        """Return everything: the answers, then the notifications.

        Those of turns keep their order, and so do those of each other kind; the real one sends
        different kinds from different tasks, one before the other as it happens.
        """
        order = {"": 0}
        for message in sorted(self.notifications, key=lambda message: str(message["method"])):
            if message["method"] not in _OF_TURNS:
                order.setdefault(message["method"], len(order))
        return [
            self.answers,
            sorted(self.notifications, key=lambda message: order.get(message["method"], 0)),
        ]

    async def send(self, data: bytes) -> None:
        """Send a line as it is."""
        await self._stdin.send_all(data + b"\n")

    async def post(self, method: str, **params: Any) -> int:
        """Send a request; return its id."""
        self._next_id += 1
        message = {"id": self._next_id, "method": method, "params": params}
        await self.send(json.dumps(message).encode())
        return self._next_id

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request; return its answer."""
        id_ = await self.post(method, **params)
        await self._until(lambda message: message.get("id") == id_)
        return self.answers[-1]

    async def wait(self, method: str) -> dict[str, Any]:
        """Wait for the next notification of a kind."""
        await self._until(lambda message: message.get("method") == method)
        return self.notifications[-1]

    async def turn(self, thread_id: str, *given: Mapping[str, Any]) -> None:
        """Have a turn from its start to its end."""
        await self.ask("turn/start", threadId=thread_id, input=list(given))
        await self.wait("turn/completed")

    async def finish(self) -> None:
        """End standard input, and take what is still said."""
        await self._stdin.aclose()
        await self._until(lambda _message: False)

    async def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        while (line := await self._lines.next_line()) is not None:
            message = json.loads(line)
            self._take(message)
            if wanted(message):
                break

    def _take(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method is None:
            self.answers.append(message)
        elif method == "thread/status/changed":
            # The real one now and then says one thing twice.
            if message["params"] != self._status:
                self.notifications.append(message)
            self._status = message["params"]
        elif method not in _NOISE:
            self.notifications.append(message)


@asynccontextmanager
async def open_session(codex: Codex) -> AsyncGenerator[Session]:
    """Start an app-server; it has ended when the block ends."""
    process = await trio.lowlevel.open_process(
        [str(codex.path), "app-server", *codex.config],
        cwd=codex.work,
        env=codex.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        session = Session(process)
        yield session
        await session.finish()
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


def normalised(value: Any, codex: Codex) -> Any:
    """Replace what differs between two runs; ids are counted in the order of appearance."""
    return _normalised(value, codex, {})


def _normalised(value: Any, codex: Codex, ids: dict[str, str]) -> Any:
    match value:
        case dict():
            members = cast("dict[str, Any]", value)
            return {key: _member(key, member, codex, ids) for key, member in members.items()}
        case list() | tuple():
            return [_normalised(member, codex, ids) for member in cast("Sequence[Any]", value)]
        case str():
            return _text(value, codex, ids)
        case _:
            return value


def _member(key: str, value: Any, codex: Codex, ids: dict[str, str]) -> Any:
    if _DIFFERING.search(key):
        return type(value).__name__
    match key:
        case "userAgent":
            return value.split(" ")[0]
        case "serverName" | "installationId" | "platformOs":
            return type(value).__name__
        case _:
            return _normalised(value, codex, ids)


def _text(text: str, codex: Codex, ids: dict[str, str]) -> str:
    text = text.replace(str(codex.home), "HOME").replace(str(codex.work), "WORK")
    text = _MESSAGE_ID.sub("msg", text)
    text = _UUID.sub(lambda found: ids.setdefault(found[0], f"id{len(ids)}"), text)
    return _CURSOR_TIME.sub("|time|", _ROLLOUT.sub("rollout-id", text))
