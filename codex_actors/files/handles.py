"""Owns uploads in the background: a task of the tree that uploads for somebody who does not wait.

Invariant: whoever waits is told the end of it, whatever that is; the upload goes on when nobody
waits, until it is done, cancelled, or the tree ends. Must not know how anything is uploaded.
"""

from collections.abc import Awaitable, Callable
from copy import copy
from typing import TypeAlias, final

import outcome
import trio

# Annotated, but it does not say so by a py.typed.
from trio_util import (  # type: ignore[import-untyped] # pyright: ignore[reportMissingTypeStubs]
    AsyncValue,
)

from codex_actors import ActorDied, ActorRef, ChildSpec, DynamicSupervisor, Restart
from codex_actors.files.actors.upload import CLEANUP_SECONDS
from codex_actors.files.errors import FilesError, UploadCancelled
from codex_actors.files.model import UploadedFile
from codex_actors.files.progress import Progress

__all__ = ["UploadHandle", "start_handle"]

Work: TypeAlias = Callable[[Callable[[Progress], object]], Awaitable[UploadedFile]]


@final
class UploadHandle:
    """An upload in the background; got from `Files.start_upload`.

    Attributes:
        progress: How far it is, a `trio_util.AsyncValue`: it has a `value`, and can be waited for.
    """

    def __init__(self, total: int) -> None:
        self.progress: AsyncValue[Progress] = AsyncValue(Progress(total=total))
        self._scope = trio.CancelScope()
        self._result: outcome.Value[UploadedFile] | outcome.Error | None = None
        self._task: ActorRef | None = None

    async def wait(self) -> UploadedFile:
        """Wait for the upload and return its file; as often as you like.

        Raises:
            UploadCancelled: It was given up by `cancel`.
            ActorDied: The tree has ended.
            Exception: See `Files.upload`.

        Cancelled, it stops waiting; the upload goes on.
        """
        assert self._task is not None, "set by start_handle"  # noqa: S101 - ditto
        reason = await self._task.wait_stopped()
        if self._result is None:
            raise ActorDied(self._task, reason)
        if isinstance(self._result, outcome.Value):
            return self._result.value
        error = self._result.error
        if not isinstance(error, FilesError):
            raise error  # somebody else's, which perhaps cannot be copied
        # One error object per wait: raising one in many tasks would mix their tracebacks.
        raise copy(error) from error

    def cancel(self) -> None:
        """Give the upload up; `wait` returns when that is done. Too late, it does nothing.

        Others who upload the same content to the same target are not harmed.
        """
        self._scope.cancel()

    def begin(self, transfers: DynamicSupervisor, work: Work) -> None:
        """Have the work done in a task of the tree; for `start_handle`."""
        self._task = transfers.start_child_nowait(
            ChildSpec(
                None,
                upload_handle,
                args=(self, work),
                restart=Restart.TEMPORARY,
                shutdown=CLEANUP_SECONDS,  # its end waits for that of the upload
            )
        )

    async def carry_out(self, work: Work) -> None:
        """Do the work and keep what comes of it; for that task."""
        try:
            with self._scope:
                self._result = outcome.Value(await work(self._tell))
                return
        except Exception as error:  # noqa: BLE001 - it is raised to whoever waits
            self._result = outcome.Error(error)
            return
        progress = self.progress.value
        cancelled = UploadCancelled(
            f"The upload was cancelled after {progress.acknowledged} of {progress.total} bytes.",
            step="cancel",
            can_retry=True,
        )
        self._result = outcome.Error(cancelled)

    def _tell(self, progress: Progress) -> None:
        self.progress.value = progress


async def upload_handle(handle: UploadHandle, work: Work) -> None:
    """Carry an upload out; as a factory it gives the children their name in the tree."""
    await handle.carry_out(work)


def start_handle(transfers: DynamicSupervisor, total: int, work: Work) -> UploadHandle:
    """Have work done in a task of the tree, and return the handle of it.

    Args:
        transfers: Where.
        total: The size of the file, 0 if it is not known yet.
        work: Uploads; it is given what is to be told of the progress.

    Raises:
        ActorStopped: The tree is not running.
    """
    handle = UploadHandle(total)
    handle.begin(transfers, work)
    return handle
