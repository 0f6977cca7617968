"""Owns the one request that makes the file at the target, and what became of it.

Invariant: however many answers are lost, it takes effect once: it is repeated only when the target
has said that it took none, and where the target cannot tell, neither can we. Must not know what was
sent before.
"""

from collections.abc import Awaitable, Callable, Sequence

from codex_actors import fault_point
from codex_actors.files.errors import UploadError, UploadOutcomeUnknown
from codex_actors.files.requests import Patience, Requests
from codex_actors.files.targets.protocol import (
    Fate,
    Finished,
    OutcomeUnknown,
    Receipt,
    Retryable,
    Session,
    TargetFailure,
)
from codex_actors.files.undertaking import Undertaking

__all__ = ["make", "settle", "undo"]


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
        fate = await settle(
            requests, session, undertaking, undertaking.in_order, lost=lost, attempts=attempts
        )
        undertaking.making = False
        if isinstance(fate, Finished):
            return fate
        raise Retryable(lost.message, status=lost.status, retry_after=lost.retry_after) from lost

    requests.step = step
    await fault_point(f"upload.{'sending' if step == 'send' else 'completing'}")
    return await requests.repeat(step, attempt)


async def settle(
    requests: Requests,
    session: Session,
    undertaking: Undertaking,
    receipts: Sequence[Receipt],
    *,
    lost: OutcomeUnknown | None = None,
    attempts: int = 0,
) -> Finished | Fate:
    """Ask what became of a request; raise unless that is certain."""
    remote = undertaking.remote
    message = "the upload was ended" if lost is None else lost.message
    step = "send" if remote is None else "complete"
    try:
        fate = await requests.ask(
            "settle", lambda _: session.settle(undertaking.file, remote, receipts)
        )
    except UploadError as error:
        message, fate = f"{message}; {error.server_message}", Fate.UNKNOWN
    if fate is not Fate.UNKNOWN:
        requests.step = step
        return fate
    undertaking.making = False  # as far as it can be known
    ids = {"checksum": undertaking.file.checksum, "name": undertaking.file.name}
    if remote is not None:
        ids["upload_id"] = remote.id
    named = ", ".join(f"{key} {value}" for key, value in ids.items())
    raise UploadOutcomeUnknown(
        f"{requests.what}: the answer to {step} was lost ({message}), and the server"
        f" cannot tell whether there is a file now ({named}). Look there before you upload it"
        " again: that makes another one.",
        ids=ids,
        step=step,
        attempts=attempts,
        status=None if lost is None else lost.status,
        server_message=message,
    ) from lost


async def undo(requests: Requests, session: Session, undertaking: Undertaking) -> Finished | None:
    """Give up the remote upload, unless the file turns out to be there."""
    undecided: UploadOutcomeUnknown | None = None
    if undertaking.making:
        try:
            fate = await settle(requests, session, undertaking, undertaking.in_order)
        except UploadOutcomeUnknown as error:
            undecided = error
        else:
            if isinstance(fate, Finished):
                return fate
    remote = undertaking.remote
    if remote is not None:
        await fault_point("upload.aborting")
        await requests.ask("abort", lambda _: session.abort(undertaking.file, remote))
    if undecided is not None:
        raise undecided
    return None
