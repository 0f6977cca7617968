"""What the tests of handlers share: requests over a tree of files in the test's own process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import field, frozen

from codex_actors.control.history import History
from codex_actors.control.local import LocalSession
from codex_actors.control.messages import Request
from codex_actors.control.service import Service
from codex_actors.files import Files, FilesConfig, open_files


@frozen
class Desk:
    """Somebody to ask, and what he works on.

    Attributes:
        notes: What was told of all requests, in order.
    """

    service: Service
    files: Files
    notes: list[dict[str, Any]] = field(factory=list[dict[str, Any]])

    async def ask(self, request: Request) -> dict[str, Any]:
        """Have a request handled."""
        return await LocalSession(self.service).request(request, on_note=self.notes.append)

    def states(self) -> list[str]:
        """The states that were told, without repetitions."""
        told = [note["state"] for note in self.notes]
        return [state for at, state in enumerate(told) if at == 0 or told[at - 1] != state]


@asynccontextmanager
async def open_desk(directory: Path, *, background: bool = False) -> AsyncGenerator[Desk]:
    """Open a tree of files and a service over it, as a supervisor process has.

    Args:
        directory: For the staging directory.
        background: Whether operations may run whose client does not wait.
    """
    config = FilesConfig(staging_dir=directory / "staging", durability="none")
    async with trio.open_nursery() as nursery:
        async with open_files(config) as files:
            service = Service(history=History(), staging_dir=directory / "staging")
            service.nursery = nursery if background else None
            files.events.attach(service.history.add_file_event)
            service.open(files.supervisor, files)
            yield Desk(service, files)
            service.close()
        nursery.cancel_scope.cancel()
