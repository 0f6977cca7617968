"""Owns the opening of the files: as a tree of one's own, or over one that is supervised elsewhere.

Invariant: a start-up failure is told as the `FilesError` that it is; when the block has been left,
nothing of this process is left in the staging directory but what was staged. Must not know what is
done in the block.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio
from attrs import frozen

from codex_actors import (
    ChildStartError,
    DynamicSupervisor,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.files.blocking import CLEANUP_SECONDS
from codex_actors.files.environment import Environment, Seams
from codex_actors.files.errors import FilesError
from codex_actors.files.facade import Files
from codex_actors.files.model import FilesConfig
from codex_actors.files.store.claim import settle
from codex_actors.files.store.directory import prepare_staging_dir
from codex_actors.files.telemetry import EventHandler
from codex_actors.files.tree import tree_of

__all__ = ["PreparedFiles", "files_error_of", "files_from", "open_files"]

_NOT_OURS = "The files need the tree of files_spec: pass supervisor.subtree(id)."


def files_from(supervisor: Supervisor | DynamicSupervisor) -> Files:
    """Return the files over a tree from `files_spec`.

    Args:
        supervisor: Its handle: what `open_supervisor` gave, or `supervisor.subtree(id)`.
    """
    if not isinstance(supervisor, Supervisor):
        raise TypeError(_NOT_OURS)
    return Files(supervisor)


@asynccontextmanager
async def open_files(
    config: FilesConfig | None = None,
    *,
    on_event: Iterable[EventHandler] = (),
    seams: Seams | None = None,
) -> AsyncGenerator[Files]:
    """Open a staging directory, with its actors, for the duration of a block.

    Args:
        config: Settings.
        on_event: Callables that get every event, from the first on.
        seams: What tests put in place of threads, clock and disk.

    Raises:
        StagingDirRefused, ManifestTooNew, StagingFull, StagingIOError: The directory cannot be
            used.
        RestartIntensityExceeded: The tree gave up.
    """
    prepared = PreparedFiles.of(config, on_event=on_event, seams=seams)
    async with prepared.settled(), AsyncExitStack() as stack:
        try:
            supervisor = await stack.enter_async_context(
                open_supervisor(prepared.spec, name="files")
            )
        except ChildStartError as error:
            if (cause := files_error_of(error)) is not None:
                raise cause from None
            raise
        yield prepared.over(supervisor)


@frozen
class PreparedFiles:
    """A tree of files that is to be opened by somebody else, as a root or below one.

    Attributes:
        environment: What its actors are given.
        spec: The tree.
    """

    environment: Environment
    spec: SupervisorSpec

    @classmethod
    def of(
        cls,
        config: FilesConfig | None = None,
        *,
        on_event: Iterable[EventHandler] = (),
        seams: Seams | None = None,
    ) -> "PreparedFiles":
        """Return the tree for settings; arguments as of `open_files`, nothing is touched."""
        environment = Environment.of(config, on_event, seams)
        return cls(environment, tree_of(environment))

    @property
    def root(self) -> Path:
        """The staging directory, absolute."""
        return self.environment.root

    def over(self, supervisor: Supervisor | DynamicSupervisor) -> Files:
        """Return the files over the running tree; `Files.events` tells of all from the start on."""
        if not isinstance(supervisor, Supervisor):
            raise TypeError(_NOT_OURS)
        return Files(supervisor, self.environment.events)

    async def make_directory(self) -> Path:
        """Have the staging directory made, if it is not there; return its supervisor's lock file.

        Raises:
            StagingDirRefused: It cannot be used.
        """
        layout = await self.environment.blocking.run(
            prepare_staging_dir, self.root, self.environment.disk
        )
        return layout.supervisor_lock

    @asynccontextmanager
    async def settled(self) -> AsyncGenerator[None]:
        """Give up, at the end of the block, what actors that crashed for good have left behind.

        The tree is opened and closed within the block.
        """
        try:
            yield
        finally:
            with trio.move_on_after(CLEANUP_SECONDS, shield=True):
                await self.environment.blocking.run(settle, self.environment.layout)


def files_error_of(error: BaseException) -> FilesError | None:
    """Return the error of the files for which a tree could not be started, None for another."""
    cause: BaseException | None = error
    while isinstance(cause, ChildStartError):
        cause = cause.__cause__
    return cause if isinstance(cause, FilesError) else None
