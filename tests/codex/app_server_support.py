"""What the tests of the app-server share: wrappers that record, a liar, a command that lingers."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio
from attrs import frozen

from codex_actors import ChildStarted, Event
from codex_actors.codex import AppServer, find_codex, open_app_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from codex_actors.codex import Leaser
    from codex_actors.testing import ModelServer

_LINGER = """\
import os, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(f"{os.getpid()} {os.getsid(0)}".encode())
s.shutdown(socket.SHUT_WR)
s.recv(1)
"""

_LIAR = """\
import json, os, sys, time

with open(PIDS, "a") as pids:
    pids.write(f"{os.getpid()}\\n")
state = {"life": len(open(PIDS).readlines()), "turns": 0}


def say(*messages):
    for message in messages:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        sys.stdout.buffer.write(line + b"\\n")
    sys.stdout.buffer.flush()


def result(message, value):
    say({"id": message["id"], "result": value})


def turn(message, events=()):
    state["turns"] += 1
    thread, name = message["params"]["threadId"], f"turn-{state['turns']}"
    result(message, {"turn": {"id": name}})
    say(
        {"method": "turn/started", "params": {"threadId": thread, "turn": {"id": name}}},
        item(thread, name, "started", {"type": "userMessage", "id": "u"}),
        *events,
    )
    return thread, name


def item(thread, name, what, item):
    return {"method": f"item/{what}", "params": {"threadId": thread, "turnId": name, "item": item}}


def complete(thread, name, status="completed"):
    say(
        item(thread, name, "completed", {"type": "agentMessage", "id": "a", "text": "fine"}),
        {
            "method": "turn/completed",
            "params": {"threadId": thread, "turn": {"id": name, "status": status}},
        },
    )


def truly(message):
    match message:
        case {"method": "initialize"}:
            result(message, {"userAgent": "liar"})
        case {"method": "thread/start"}:
            result(message, {"thread": {"id": f"thread-{state['life']}"}})
        case {"method": "thread/resume" | "thread/fork"}:
            result(message, {"thread": {"id": message["params"]["threadId"]}})
        case {"method": "turn/start"}:
            complete(*turn(message))
        case {"method": "thread/attachment/add"}:
            result(message, {"outcome": "created", "attachment": message["params"]})
        case {"method": "thread/attachment/remove"}:
            result(message, {})
        case {"method": _, "id": _}:
            result(message, {"data": [], "nextCursor": None})


def on(message):
    return False
"""

_LIAR_END = """

for line in sys.stdin.buffer:
    with open(SENT, "ab") as sent:
        sent.write(line)
    message = json.loads(line)
    if not on(message):
        truly(message)
"""


@frozen
class Recorded:
    """An executable that stands for codex, and what it leaves behind.

    Attributes:
        path: Give it as `codex_path`.
        pids_file: One line for each process.
        sent_file: What was read.
    """

    path: Path
    pids_file: Path
    sent_file: Path

    def pids(self) -> list[int]:
        """The processes so far, in order."""
        return [int(line) for line in self.pids_file.read_text().split()]

    def sent(self) -> list[dict[str, Any]]:
        """The messages that it was sent, in order."""
        return [json.loads(line) for line in self.sent_file.read_text("utf-8").splitlines()]

    def methods(self) -> list[str]:
        """The methods of those messages; answers are left out."""
        return [message["method"] for message in self.sent() if "method" in message]


def counted_codex(directory: Path) -> Recorded:
    """The real codex, by an executable that leaves its process id."""
    return _script(directory, 'echo $$ >> "$PIDS"\nexec "$CODEX" "$@"\n')


def overheard_codex(directory: Path) -> Recorded:
    """The real codex, by an executable that leaves a copy of what it is sent."""
    return _script(directory, 'tee -a "$SENT" | "$CODEX" "$@"\n')


def lying_codex(directory: Path, body: str = "") -> Recorded:
    """An app-server of a few lines, which `body` (Python) makes misbehave.

    `on(message)` sees every message first, and says whether that was all; `say`, `result`, `turn`,
    `complete` and `truly` answer; `state["life"]` counts the processes from 1.
    """
    recorded = _recorded(directory)
    names = f"PIDS, SENT = {str(recorded.pids_file)!r}, {str(recorded.sent_file)!r}\n"
    recorded.path.write_text(
        f"#!/bin/sh\n'''exec' {shlex.quote(sys.executable)} -I \"$0\" \"$@\"\n' '''\n"
        f"{names}{_LIAR}\n\n{body}{_LIAR_END}",
        "utf-8",
    )
    recorded.path.chmod(0o700)
    return recorded


def _script(directory: Path, body: str) -> Recorded:
    recorded = _recorded(directory)
    values = {"PIDS": recorded.pids_file, "SENT": recorded.sent_file, "CODEX": find_codex()}
    lines = [f"{name}={shlex.quote(str(value))}\n" for name, value in values.items()]
    recorded.path.write_text(f"#!/bin/sh\n{''.join(lines)}{body}")
    recorded.path.chmod(0o700)
    return recorded


def _recorded(directory: Path) -> Recorded:
    home = directory / "recorded"
    home.mkdir()
    return Recorded(home / "codex", pids_file=home / "pids", sent_file=home / "sent")


async def kill_and_wait(codex: Recorded, opened: AppServer) -> None:
    """Kill the process that runs, and wait until the next one is in its place.

    Whoever asks in between may still find the old one, and is told that it died.
    """
    started_again = trio.Event()

    def watch(event: Event) -> None:
        if isinstance(event, ChildStarted):
            started_again.set()

    detach = opened.supervisor.events.attach(watch)
    os.kill(codex.pids()[-1], signal.SIGKILL)
    await started_again.wait()
    detach()


@asynccontextmanager
async def real_app_server(
    server: ModelServer, directory: Path, files: Leaser, codex: Recorded | None = None
) -> AsyncGenerator[AppServer]:
    """Open the real codex with a home of its own, over the model server."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    env = {**server.env(), "HOME": str(home), "CODEX_HOME": str(home)}
    path = None if codex is None else codex.path
    with trio.fail_after(60):
        async with open_app_server(
            files=files, codex_path=path, env=env, config=server.config()
        ) as opened:
            yield opened


class Lingering:
    """A command for the agent that tells of itself and does not end.

    Attributes:
        command: What the model is to ask for.
    """

    def __init__(self, listener: trio.SocketListener, command: str) -> None:
        self._listener = listener
        self.command = command

    async def wait(self) -> int:
        """Wait until the agent runs it; return its process id. It has a session of its own."""
        stream = await self._listener.accept()
        said = b""
        while chunk := await stream.receive_some():
            said += chunk
        pid, session = map(int, said.split())
        assert session != os.getsid(0)
        # Kept open by the listener's end: the command waits for it.
        self._stream = stream
        return pid


@asynccontextmanager
async def lingering(directory: Path) -> AsyncGenerator[Lingering]:
    """Serve commands that do not end before the block does."""
    script = directory / "linger.py"
    script.write_text(_LINGER)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        made = Lingering(listener, f"{sys.executable} {script} {port}")
        try:
            yield made
        finally:
            stream = getattr(made, "_stream", None)
            if stream is not None:
                await trio.aclose_forcefully(stream)
