"""Owns the supervised client: one process at a time, and where callers find the conversation.

    app-server  (one_for_one)   opened by open_app_server
    └── client  serve           permanent   the process and the conversation with it

Invariant: a conversation is offered to callers from its handshake to its end; when it ends, the
client crashes with the reason, and its supervisor starts the next. Must not know threads.
"""

from __future__ import annotations

import subprocess
from importlib import metadata
from typing import TYPE_CHECKING, Any, final

import trio
from attrs import field, frozen

from codex_actors import ChildSpec, SupervisorSpec
from codex_actors._background import open_background
from codex_actors.codex.app_server.connection import Connection
from codex_actors.codex.errors import CodexError
from codex_actors.codex.lines import Tail
from codex_actors.codex.process import STDERR_KEPT, open_codex_process
from codex_actors.codex.toml import config_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["Link", "Settings", "app_server_spec"]

MAX_RESTARTS = 3
MAX_SECONDS = 30.0
SHUTDOWN = 15.0
"""Seconds for the end of the process and of what it started."""

_UNWANTED = [
    "command/exec/outputDelta",
    "item/agentMessage/delta",
    "item/commandExecution/outputDelta",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/plan/delta",
    "item/reasoning/summaryPartAdded",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/textDelta",
    "process/outputDelta",
    "turn/diff/updated",
]


def _greeting() -> dict[str, Any]:
    """Say who we are. The experimental API is not asked for: all that is used here is stable."""
    return {
        "clientInfo": {"name": "codex_actors", "version": metadata.version("codex-actors")},
        "capabilities": {"optOutNotificationMethods": _UNWANTED},
    }


@frozen
class Settings:
    """What an app-server process is started with."""

    binary: Path
    environ: Mapping[str, str] = field(repr=False)
    config: Mapping[str, Any] = field(repr=False)
    redact: Callable[[str], str] = field(repr=False)


@final
class Link:
    """Where callers find the conversation of the moment, across restarts."""

    def __init__(self) -> None:
        self._current: Connection | None = None
        self._count = 0
        self._changed = trio.Event()
        self._closed = False

    async def connection(self) -> Connection:
        """Wait for a conversation that is not about to end.

        Raises:
            CodexError: The block that it belongs to has been left.
        """
        while True:
            if self._closed:
                raise CodexError("the app-server is closed: use it within `open_app_server`")
            if self._current is not None and not self._current.ending:
                return self._current
            await self._changed.wait()

    def stderr(self) -> str:
        """Return the end of what the last process wrote to standard error."""
        return "" if self._current is None else self._current.stderr()

    def next_number(self) -> int:
        """Count one more conversation."""
        self._count += 1
        return self._count

    def offer(self, connection: Connection) -> None:
        """Let callers have a conversation."""
        self._current = connection
        self._notify()

    def close(self) -> None:
        """Tell callers that there will be no more."""
        self._closed = True
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def app_server_spec(settings: Settings, link: Link) -> SupervisorSpec:
    """Return the tree that keeps an app-server running."""
    return SupervisorSpec(
        [ChildSpec("client", serve, args=(settings, link), shutdown=SHUTDOWN)],
        max_restarts=MAX_RESTARTS,
        max_seconds=MAX_SECONDS,
    )


async def serve(
    settings: Settings, link: Link, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run one app-server process, until it ends or this is cancelled.

    Raises:
        CodexError: It could not be started, does not answer as codex does, or has ended.
    """
    argv = [str(settings.binary), "app-server", *config_arguments(settings.config)]
    tail = Tail(size=STDERR_KEPT)
    connection = None
    try:
        async with open_codex_process(
            argv, env=settings.environ, tail=tail, stdin=subprocess.PIPE, thorough=True
        ) as process:
            connection = Connection(link.next_number(), process, tail, settings.redact)
            try:
                async with open_background() as nursery:
                    nursery.start_soon(connection.converse)
                    await connection.greet(_greeting())
                    link.offer(connection)
                    task_status.started()
                    await connection.ended.wait()
                    raise connection.lost()
            finally:
                connection.close("the codex app-server was ended")
    except OSError as error:
        raise CodexError(f"codex could not be started: {error}") from error
    finally:
        if connection is not None:
            connection.gone.set()
