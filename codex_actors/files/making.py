"""Owns the one request that makes the file at the target, and what became of it.

Invariant: however many answers are lost, it takes effect once: it is repeated only when the target
has said that it took none, and where the target cannot tell, neither can we. Must not know what was
sent before.
"""

from collections.abc import Awaitable, Callable

from codex_actors import fault_point
from codex_actors.files.errors import UploadError, UploadOutcomeUnknown, UploadRejected
from codex_actors.files.requests import Patience, Requests
from codex_actors.files.targets.protocol import (
    Fate,
    Finished,
    OutcomeUnknown,
    Retryable,
    Session,
    TargetFailure,
)
from codex_actors.files.undertaking import Undertaking

__all__ = ["abort", "make", "settle", "undo", "unknown"]


async def make(
    requests: Requests,
    session: Session,
    undertaking: Undertaking,
    step: str,
    request: Callable[[Patience], Awaitable[Finished]],
) -> Finished:
    """Have the file made once, whatever becomes of the answers."""
    attempts = 0

    async def attempt() -> Finished:
        nonlocal attempts
        attempts += 1
        undertaking.making = True
        try:
            return await requests.once(request, repeatable=False)
        except OutcomeUnknown as failure:
            lost = failure
        except TargetFailure:
            undertaking.making = False  # it was answered: there is no file
            raise
        fate = await settle(requests, session, undertaking, lost=lost, attempts=attempts)
        if isinstance(fate, Finished):
            return fate
        raise Retryable(lost.message, status=lost.status, retry_after=lost.retry_after) from lost

    requests.step = step
    await fault_point(f"upload.{'sending' if step == 'send' else 'completing'}")
    undertaking.finished = await requests.repeat(step, attempt)
    return undertaking.finished


async def settle(
    requests: Requests,
    session: Session,
    undertaking: Undertaking,
    *,
    lost: OutcomeUnknown | None = None,
    attempts: int = 0,
) -> Finished | Fate:
    """Ask what became of a request; raise unless that is certain."""
    remote, receipts = undertaking.remote, undertaking.in_order
    message = "the upload was ended" if lost is None else lost.message
    try:
        fate = await requests.ask(
            "settle", lambda _: session.settle(undertaking.file, remote, receipts)
        )
    except UploadError as error:
        message, fate = f"{message}; {error.server_message}", Fate.UNKNOWN
    if isinstance(fate, Finished):
        undertaking.finished = fate
    else:
        undertaking.making = False  # as far as it can be known
    if fate is Fate.UNKNOWN:
        status = None if lost is None else lost.status
        raise unknown(requests, undertaking, message, attempts=attempts, status=status) from lost
    requests.step = _step_of(undertaking)
    return fate


async def abort(
    requests: Requests, session: Session, undertaking: Undertaking, *, doubtful: bool
) -> None:
    """Give up the remote upload, if there is one.

    Args:
        requests: See `make`.
        session: See `make`.
        undertaking: See `make`.
        doubtful: The file may have been asked for: that there is nothing to give up would not mean
            that there is nothing.
    """
    remote = undertaking.remote
    if remote is None:
        return
    await fault_point("upload.aborting")
    try:
        await requests.ask("abort", lambda _: session.abort(undertaking.file, remote))
    except UploadRejected as error:
        if not doubtful:
            raise
        raise unknown(requests, undertaking, error.server_message, status=error.status) from error


async def undo(requests: Requests, session: Session, undertaking: Undertaking) -> Finished | None:
    """Give up the remote upload, unless the file turns out to be there."""
    if undertaking.finished is not None:
        return undertaking.finished
    doubtful = undertaking.making
    undecided: UploadOutcomeUnknown | None = None
    if doubtful:
        try:
            fate = await settle(requests, session, undertaking)
        except UploadOutcomeUnknown as error:
            undecided = error
            undertaking.making = True  # until somebody has been told
        else:
            if isinstance(fate, Finished):
                return fate
    try:
        await abort(requests, session, undertaking, doubtful=doubtful)
    except UploadError:
        if undecided is None:
            raise
    if undecided is not None:
        raise undecided
    return None


def unknown(
    requests: Requests,
    undertaking: Undertaking,
    message: str,
    *,
    attempts: int = 0,
    status: int | None = None,
) -> UploadOutcomeUnknown:
    """Return the error for a request of which nobody can tell whether it has made the file."""
    step = _step_of(undertaking)
    ids = {"checksum": undertaking.file.checksum, "name": undertaking.file.name}
    if undertaking.remote is not None:
        ids["upload_id"] = undertaking.remote.id
    named = ", ".join(f"{key} {value}" for key, value in ids.items())
    return UploadOutcomeUnknown(
        f"{requests.what}: the answer to {step} was lost ({message}), and the server"
        f" cannot tell whether there is a file now ({named}). Look there before you upload it"
        " again: that makes another one.",
        ids=ids,
        step=step,
        attempts=attempts,
        status=status,
        server_message=message,
    )


def _step_of(undertaking: Undertaking) -> str:
    """Return the name of the request that makes the file."""
    return "send" if undertaking.remote is None else "complete"
