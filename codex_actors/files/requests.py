"""Owns the trying of one request of an upload: how long, how often, and what its failure is called.

Invariant: every request ends, by an answer or by an `UploadError` that says what was tried, how
often, what the server said and whether trying again may help. Only what may be repeated is.
Must not know what is sent.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from attrs import define, frozen

from codex_actors.files.errors import UploadCorrupted, UploadError, UploadRejected, UploadTimeout
from codex_actors.files.retry import Retry, pause
from codex_actors.files.targets.protocol import (
    Corrupted,
    OutcomeUnknown,
    Refused,
    Retryable,
    TargetFailure,
)

__all__ = ["Patience", "Requests", "Retrying"]

T = TypeVar("T")

# It logs every repetition as a warning, which a program without logging would find on its stderr.
logging.getLogger("stamina").addHandler(logging.NullHandler())


@frozen
class Retrying:
    """A request that has failed and will be repeated.

    Attributes:
        step: See `UploadError`.
        attempt: The number of the next attempt.
        delay: Seconds until then.
        failure: What happened.
    """

    step: str
    attempt: int
    delay: float
    failure: Retryable


class Silence(Retryable):
    """Nothing came back in time."""


class LostInSilence(OutcomeUnknown):
    """Nothing came back in time, for a request that cannot simply be repeated."""


@define(eq=False)
class Patience:
    """How long an attempt may stay silent; every sign of life puts its end off."""

    seconds: float
    scope: trio.CancelScope

    def touch(self) -> None:
        """Begin to wait anew."""
        self.scope.deadline = trio.current_time() + self.seconds


@define(eq=False)
class Requests:
    """The requests of one upload.

    Attributes:
        what: For errors: which file goes where.
        retry: The settings.
        draw: Gives a number drawn evenly from 0 to 1.
        on_retry: Told before every pause.
        step: What was asked last; see `UploadError`.
    """

    what: str
    retry: Retry
    draw: Callable[[], float]
    on_retry: Callable[[Retrying], object]
    step: str = "check"

    async def ask(self, step: str, request: Callable[[Patience], Awaitable[T]]) -> T:
        """Make a request that may be repeated until it succeeds; see `repeat`."""
        return await self.repeat(step, lambda: self.once(request))

    async def once(
        self, request: Callable[[Patience], Awaitable[T]], *, repeatable: bool = True
    ) -> T:
        """Make one attempt.

        Raises:
            TargetFailure: What the target raised; `Retryable`, or `OutcomeUnknown` if the request
                is not repeatable, if nothing came back in time.
        """
        seconds = self.retry.attempt_timeout
        with trio.CancelScope() as scope:
            patience = Patience(seconds, scope)
            patience.touch()
            return await request(patience)
        silence = Silence if repeatable else LostInSilence
        raise silence(f"no answer within {seconds:g} s")

    async def repeat(self, step: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make attempts until one succeeds.

        Raises:
            UploadError: None will, or none may be made any more.
        """
        # With it come tenacity and more, which only an upload needs.
        from stamina import retry_context  # noqa: PLC0415

        self.step = step
        failures = 0

        def judge(error: Exception) -> bool | float:
            if not isinstance(error, Retryable):
                return False
            delay = pause(self.retry, failures, self.draw(), error.retry_after)
            if delay is None:
                return False
            self.on_retry(Retrying(step, failures + 1, delay, error))
            return delay

        try:
            async for trial in retry_context(on=judge, attempts=self.retry.attempts, timeout=None):
                with trial:
                    try:
                        return await attempt()
                    except TargetFailure:
                        failures += 1
                        raise
        except TargetFailure as failure:
            raise self.failed(step, failures, failure) from failure
        raise AssertionError("either an attempt returns or the last one raises")

    def failed(self, step: str, attempts: int, failure: TargetFailure) -> UploadError:
        """Return the error for a request that will not be repeated any more."""
        tried = "once" if attempts == 1 else f"{attempts} times"
        status = "" if failure.status is None else f" (status {failure.status})"
        kind: type[UploadError] = UploadError
        hint = "Upload it again later."
        if isinstance(failure, Corrupted):
            kind = UploadCorrupted
            hint = "Upload it again; if that fails too, something on the way changes bytes."
        elif isinstance(failure, Refused):
            kind = UploadRejected
            hint = "Trying again does not help."
        elif isinstance(failure, Silence | LostInSilence):
            kind = UploadTimeout
        if isinstance(failure, Retryable):
            asked, cap = failure.retry_after, self.retry.retry_after_cap
            if asked is not None and asked > cap:
                hint = (
                    f"The server asks to wait {asked:g} s, more than retry_after_cap ({cap:g} s):"
                    " upload it again after that."
                )
        return kind(
            f"{self.what} failed at {step}, tried {tried}: {failure.message}{status}. {hint}",
            step=step,
            attempts=attempts,
            status=failure.status,
            can_retry=isinstance(failure, Corrupted) or not isinstance(failure, Refused),
            server_message=failure.message,
        )
