"""Owns the opening of the files: as a tree of one's own, or over one that is supervised elsewhere.

Invariant: a start-up failure is told as the `FilesError` that it is; when the block has been left,
nothing of this process is left in the staging directory but what was staged. Must not know what is
done in the block.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from codex_actors import ChildStartError, DynamicSupervisor, Supervisor, open_supervisor
from codex_actors.files.blocking import CLEANUP_SECONDS
from codex_actors.files.environment import Environment, Seams
from codex_actors.files.errors import FilesError
from codex_actors.files.facade import Files
from codex_actors.files.model import FilesConfig
from codex_actors.files.store.claim import settle
from codex_actors.files.store.layout import Layout
from codex_actors.files.telemetry import EventHandler
from codex_actors.files.tree import tree_of

__all__ = ["files_from", "open_files"]


def files_from(supervisor: Supervisor | DynamicSupervisor) -> Files:
    """Return the files over a tree from `files_spec`.

    Args:
        supervisor: Its handle: what `open_supervisor` gave, or `supervisor.subtree(id)`.
    """
    if not isinstance(supervisor, Supervisor):
        raise TypeError("files_from needs the tree of files_spec: pass supervisor.subtree(id).")
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
    environment = Environment.of(config, on_event, seams)
    try:
        async with AsyncExitStack() as stack:
            try:
                supervisor = await stack.enter_async_context(
                    open_supervisor(tree_of(environment), name="files")
                )
            except ChildStartError as error:
                if isinstance(error.__cause__, FilesError):
                    raise error.__cause__ from None
                raise
            yield Files(supervisor, environment.events)
    finally:
        with trio.move_on_after(CLEANUP_SECONDS, shield=True):
            await environment.blocking.run(settle, Layout(environment.root))
