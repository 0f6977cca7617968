"""ActorRef: the address of a child, by which it is called, cast to, stopped and awaited."""

from typing import TYPE_CHECKING, TypeVar, cast, final

import trio
from trio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled, in_trio_run

from .calls import PendingCall
from .errors import MailboxFull
from .exits import NORMAL, ExitReason
from .leave import Leave, Manner
from .lifecycle import ChildState
from .messages import Call, Cast
from .waits import check_call, check_end, current_life

if TYPE_CHECKING:
    from .place import Place

R = TypeVar("R")


@final
class ActorRef:
    """Names a child's place in the tree, not one incarnation: it stays valid across restarts.

    Got from a supervisor; there is one per place, so refs compare by identity.
    """

    __slots__ = ("__weakref__", "_place")

    def __init__(self, place: "Place") -> None:
        self._place = place

    @property
    def place(self) -> "Place":
        """The place itself; for the framework."""
        return self._place

    @property
    def path(self) -> str:
        """The ids from the root's child down to this one, joined by "/"."""
        return self._place.path

    def __repr__(self) -> str:
        return f"<ActorRef {self.path or self._place.name!r} {self._place.state.value}>"

    # Messages

    @trio.lowlevel.enable_ki_protection
    async def call(self, message: Call[R], *, timeout: float = 5.0) -> R:
        """Ask, and wait for the answer (as OTP's `gen_server:call/3`).

        While the actor is starting, restarting or in backoff, the call waits in its
        mailbox; a restart in between loses only the message in hand.

        Args:
            message: the question.
            timeout: seconds for everything, the wait for room in the mailbox included;
                `math.inf` for none.

        Raises:
            CallTimeout: no answer in time; the actor lives on.
            ActorStopped: the actor is not running and not coming back.
            ActorDied: it ended before it answered; a crash is the `__cause__`.
            ReplyDropped: a deferred reply was dropped unanswered.
            CallCycle: the answer would wait for this very call.
            UnhandledMessage: the actor has no handler for this type.
            Exception: what the handler declared in `raises`.

        Always a checkpoint.  Cancelled while the call is queued, the call is skipped;
        cancelled while it is handled, its answer is dropped.
        """
        if not timeout >= 0:
            raise ValueError(f"timeout: {timeout!r} is not a number of seconds from 0")
        place = self._place
        place.check_call(message)
        life = current_life()
        pending = PendingCall(message, place, life, timeout)
        if life is None:
            return cast("R", await pending.ask())
        check_call(life, place)
        life.begin_wait(place, pending.fail)
        try:
            return cast("R", await pending.ask())
        finally:
            life.end_wait()

    @trio.lowlevel.enable_ki_protection
    async def cast(self, message: Cast) -> None:
        """Tell, waiting for room in the mailbox but not for the message to be handled.

        Raises:
            ActorStopped: the actor is not running and not coming back, or stopped
                admitting messages while this one waited for room.
            CallCycle: the room would wait for this very cast.
            UnhandledMessage: the actor has no handler for this type.

        Always a checkpoint; cancelled, the message was not sent.
        """
        place = self._place
        place.check_cast(message)
        await checkpoint_if_cancelled()
        if place.mailbox.offer(message):
            await cancel_shielded_checkpoint()
            return
        life = current_life()
        if life is not None:
            check_call(life, place)
        try:
            with trio.CancelScope() as hopeless:
                if life is not None:
                    life.begin_wait(place, lambda _error: hopeless.cancel())
                await place.mailbox.post(message)
        except trio.ClosedResourceError:
            raise place.stopped() from None
        finally:
            if life is not None:
                life.end_wait()
        if hopeless.cancelled_caught:
            raise place.stopped()

    @trio.lowlevel.enable_ki_protection
    def cast_nowait(self, message: Cast) -> None:
        """Tell at once or not at all.

        Raises:
            MailboxFull: there is no room.
            ActorStopped: the actor is not running and not coming back.
            UnhandledMessage: the actor has no handler for this type.
            RuntimeError: called from a thread; use `trio.from_thread.run_sync`.
        """
        if not in_trio_run():
            raise RuntimeError("cast_nowait from a thread: call it by trio.from_thread.run_sync")
        place = self._place
        place.check_cast(message)
        if not place.mailbox.offer(message):
            raise MailboxFull(f"{place.path} has {place.mailbox.capacity} messages waiting")

    # The end

    @trio.lowlevel.enable_ki_protection
    async def stop(self) -> None:
        """Have it end normally after the message in hand, and wait until it is gone.

        What waits in its mailbox fails.  Whether it is restarted is its restart type's
        affair.  A task, which has no mailbox, is cancelled; a supervisor stops its
        children first.  After the spec's `shutdown` seconds it is cancelled.

        Raises:
            CallCycle: it would wait for its own end.

        Cancelled, it stops waiting; the stop goes on.
        """
        await self._leave(Manner.STOP)

    @trio.lowlevel.enable_ki_protection
    async def drain(self) -> None:
        """Close admission, have all that was admitted handled, and wait until it is gone.

        A crash meanwhile is restarted as usual, and the next incarnation drains on.  There
        is no time limit: use a cancel scope, then `kill`.

        Raises:
            CallCycle: it would wait for its own end.

        Cancelled, it stops waiting; the drain goes on.
        """
        await self._leave(Manner.DRAIN)
        place = self._place
        while place.draining and place.comes_back:
            await place.wait_changed()

    async def _leave(self, manner: Manner) -> None:
        place = self._place
        check_end(current_life(), place)
        life = place.life
        if life is None:
            if manner is Manner.STOP and place.open:
                place.fail_queue(NORMAL)
            elif manner is Manner.DRAIN and place.open and place.takes_messages:
                place.close_admission()
            await trio.lowlevel.checkpoint()
            return
        life.ask(Leave.REF, NORMAL, manner)
        await life.wait_gone()
        await trio.lowlevel.checkpoint_if_cancelled()

    @trio.lowlevel.enable_ki_protection
    def kill(self) -> None:
        """Cancel it now, the message in hand included; its cleanup still runs.

        Its end counts as abnormal.  Does nothing when it is not running.
        """
        if self._place.life is not None:
            if self._place.state is not ChildState.STOPPING:
                self._place.enter(ChildState.STOPPING)
            self._place.life.kill()

    @trio.lowlevel.enable_ki_protection
    async def wait_stopped(self) -> ExitReason:
        """Wait until the current incarnation is gone, cleanup included; returns its reason.

        Between two incarnations it waits for the end of the next; when it has ended for
        good it returns at once, with the last reason as text.  Always a checkpoint.

        Raises:
            CallCycle: it would wait for its own end.
        """
        place = self._place
        life = current_life()
        if life is not None and life.place is place:
            check_end(life, place)
        while place.life is None and place.comes_back:
            await place.wait_changed()
        if place.life is not None:
            return await place.life.wait_gone()
        await trio.lowlevel.checkpoint()
        return place.last_reason
