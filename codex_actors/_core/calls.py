"""One call in flight: the caller's side that waits, and the `Reply` that settles it.

Invariant: a call is settled exactly once, by an answer, by its timeout, by its caller
giving up or by the end of its actor; whatever comes later is dropped.  The caller's
task is rescheduled directly, so an answer can never be taken for another call's.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, final

import outcome
import trio
from trio.lowlevel import (
    Abort,
    Task,
    cancel_shielded_checkpoint,
    checkpoint_if_cancelled,
    current_task,
    reschedule,
    wait_task_rescheduled,
)

from .errors import ActorDied, CallTimeout, ReplyDropped

if TYPE_CHECKING:
    from .deadlines import Deadline
    from .exits import ExitReason
    from .incarnation import Incarnation
    from .place import Place

R = TypeVar("R")

# What is left of an outcome that was handed over: the error would keep alive its traceback,
# and that the call.
_TAKEN: Final = outcome.Value(None)


class PendingCall:
    """A call from its sending until it is settled.

    `message` is what the handler gets; `caller` is the incarnation whose own task
    calls, None for a task outside any tree.
    """

    __slots__ = (
        "_deadline",
        "_outcome",
        "_parked",
        "_room",
        "caller",
        "message",
        "on_settled",
        "place",
        "timeout",
    )

    def __init__(
        self, message: object, place: "Place", caller: "Incarnation | None", timeout: float
    ) -> None:
        self.message = message
        self.place = place
        self.caller = caller
        self.timeout = timeout
        self.on_settled: Callable[[PendingCall], object] | None = None
        self._outcome: outcome.Outcome[Any] | None = None
        self._parked: Task | None = None
        self._deadline: Deadline | None = None
        self._room: trio.CancelScope | None = None

    @property
    def settled(self) -> bool:
        """Whether nobody waits for an answer any more."""
        return self._outcome is not None

    def answer(self, value: object) -> None:
        """Settle with the handler's value."""
        self._settle(outcome.Value(value))

    def fail(self, error: BaseException) -> None:
        """Settle with an exception, raised in the caller."""
        self._settle(outcome.Error(error))

    def died(self, reason: "ExitReason") -> None:
        """Settle because the actor ended without an answer."""
        if self._outcome is None:
            self.fail(ActorDied(self.place.ref, reason))

    def _settle(self, result: outcome.Outcome[Any]) -> None:
        if self._outcome is not None:
            return
        self._outcome = result
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self.on_settled is not None:
            self.on_settled(self)
        if self._parked is not None:
            reschedule(self._parked, result)
            self._parked = None
            self._outcome = _TAKEN
        elif self._room is not None:
            self._room.cancel()

    def _time_out(self) -> None:
        self.fail(
            CallTimeout(
                f"{self.place.path} did not answer {type(self.message).__name__} "
                f"within {self.timeout:g} s"
            )
        )

    async def ask(self) -> Any:
        """Send it and wait for the answer; raises what the call was failed with."""
        await checkpoint_if_cancelled()
        mailbox, tree = self.place.mailbox, self.place.tree
        due = tree.now() + self.timeout
        idle = mailbox.has_reader
        queued = mailbox.offer(self)
        if idle:
            # It has had a step after two of ours, and most answers come in that one: to wait
            # for it costs less than to set a deadline and to take it back.
            await cancel_shielded_checkpoint()
            if self._outcome is None:
                await cancel_shielded_checkpoint()
        if self._outcome is None:
            if due < math.inf:
                self._deadline = tree.deadlines.add(due, self._time_out)
            if not queued:
                await self._wait_for_room()
        if self._outcome is None:
            self._parked = current_task()
            return await wait_task_rescheduled(self._give_up)
        result, self._outcome = self._outcome, _TAKEN
        return result.unwrap()

    async def _wait_for_room(self) -> None:
        try:
            with trio.CancelScope() as self._room:
                await self.place.mailbox.post(self)
        except trio.ClosedResourceError:
            self.abandon()
            raise self.place.stopped() from None
        except BaseException:
            self.abandon()
            raise
        finally:
            self._room = None

    def _give_up(self, _raise_cancel: Callable[[], Any]) -> Abort:
        self._parked = None
        self.abandon()
        return Abort.SUCCEEDED

    def abandon(self) -> None:
        """The caller has gone: a queued call is skipped, a late answer dropped."""
        self._settle(_TAKEN)


@final
class Reply(Generic[R]):
    """The right to answer one call later, from anywhere (OTP's `gen_server:reply/2`).

    Handed to the handlers declared with `deferred=True`.  Dropped unanswered, it fails
    the caller with `ReplyDropped` instead of leaving it waiting.
    """

    __slots__ = ("__weakref__", "_pending", "_token")

    def __init__(self, pending: PendingCall) -> None:
        self._pending = pending
        self._token = trio.lowlevel.current_trio_token()

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for this answer (any more)."""
        return self._pending.settled

    def send(self, value: R) -> None:
        """Answer, from any task or thread; ignored when answered or abandoned already."""
        self._settle(self._pending.answer, value)

    def error(self, error: Exception) -> None:
        """Answer with an exception, raised in the caller; otherwise as `send`."""
        self._settle(self._pending.fail, error)

    @trio.lowlevel.enable_ki_protection
    def _settle(self, settle: Callable[[Any], None], answer: object) -> None:
        try:
            here = trio.lowlevel.current_trio_token() is self._token
        except RuntimeError:  # a thread that runs no Trio
            here = False
        if here:
            settle(answer)
        else:
            with suppress(trio.RunFinishedError):  # then nobody is left who could wait
                self._token.run_sync_soon(settle, answer)

    def __repr__(self) -> str:
        name = type(self._pending.message).__name__
        return f"<Reply to {name}{' (abandoned)' if self.abandoned else ''}>"

    def __del__(self) -> None:
        pending = self._pending
        if pending.settled:
            return
        # The garbage collector may run in any thread, and inside any line of this one.
        error = ReplyDropped(
            f"{pending.place.path} dropped its Reply to {type(pending.message).__name__} unanswered"
        )
        with suppress(trio.RunFinishedError):  # then nobody is left who could wait
            self._token.run_sync_soon(pending.fail, error)
