"""Owns what the requests of clients work on: a supervisor process, or what stands in for one.

Invariant: `supervisor` and `files` are there from `open` to `close`; who asks outside of that gets
`Starting` or `Leaving`. Must not know sockets.
"""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import trio

from codex_actors import DynamicSupervisor, Supervisor
from codex_actors.control.errors import Leaving, NoFiles, Starting
from codex_actors.control.history import History
from codex_actors.control.operations import Operations
from codex_actors.files import Files

__all__ = ["Departure", "Service"]


class Departure(Protocol):
    """How a process can be asked to end; each returns at once."""

    def drain(self, timeout: float | None = None) -> None:
        """Finish what was admitted, for `timeout` seconds (None: as configured)."""

    def shutdown(self) -> None:
        """Finish the messages in hand."""

    def cancel(self) -> None:
        """Cancel; cleanup runs."""

    def report(self) -> dict[str, Any] | None:
        """Tell how far the end is: `seconds_left` (or None), `waiting_for`; None before it."""


class Service:
    """What handlers are given.

    Attributes:
        history: What has happened lately.
        operations: What is under way.
        departure: How to end the process; None where there is none of its own.
        nursery: Where operations run whose client does not wait; None where all clients do.
        socket: Where clients reach it.
        staging_dir: Of its files.
        trees: What it runs, as it was told.
        root: What the root is called, for people.
        state: "starting", "running", "draining" or "stopping".
        parting: The state that the tree ended in; "running" when it ended by itself.
        closed: Set when the tree is gone.
        pid: This process.
        version: Of this package, as it is running.
        begun: When the process began, by the clock of Trio.
    """

    def __init__(
        self,
        *,
        history: History | None = None,
        departure: Departure | None = None,
        socket: Path | None = None,
        staging_dir: Path | None = None,
        trees: tuple[str, ...] = ("files",),
        root: str = "root",
    ) -> None:
        self.history = history or History()
        self.operations = Operations()
        self.departure = departure
        self.nursery: trio.Nursery | None = None
        self.socket = socket
        self.staging_dir = staging_dir
        self.trees = trees
        self.root = root
        self.state = self.parting = "starting"
        self.closed = trio.Event()
        self.pid = os.getpid()
        # What is installed by the time that somebody asks may be another one; looking takes files.
        self.version = version("codex-actors")
        self.begun = trio.current_time()
        self._supervisor: Supervisor | DynamicSupervisor | None = None
        self._files: Files | None = None

    def open(self, supervisor: Supervisor | DynamicSupervisor, files: Files | None) -> None:
        """The tree is up."""
        self._supervisor, self._files = supervisor, files
        self.state = "running"

    def close(self) -> None:
        """The tree is gone."""
        self.parting, self.state = self.state, "stopping"
        self.operations.close()
        self._supervisor = self._files = None
        self.closed.set()

    @property
    def supervisor(self) -> Supervisor | DynamicSupervisor:
        """The root of the tree.

        Raises:
            Starting, Leaving: There is none yet, or none any more.
        """
        if self._supervisor is None:
            raise self._absent()
        return self._supervisor

    @property
    def files(self) -> Files:
        """The files.

        Raises:
            Starting, Leaving: There are none yet, or none any more.
            NoFiles: There are none.
        """
        if self._supervisor is None:
            raise self._absent()
        if self._files is None:
            raise NoFiles(
                f"this supervisor (pid {self.pid}) runs {', '.join(self.trees)} and no files:"
                " start it with the tree `files`, too"
            )
        return self._files

    def _absent(self) -> Exception:
        if self.state == "starting":
            return Starting("the supervisor is starting: try again in a moment")
        return Leaving("the supervisor is ending")
