"""One life of an actor: construct, init, continue, handle messages, terminate.

Beside the mailbox run the infos (`Down`, timers) and the wish to end; both are looked
at before every message and never queue behind one.  Invariant: whoever called and was
not answered is told when the life ends.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import checkpoint, wait_task_rescheduled

from .actor import Actor
from .calls import PendingCall, Reply
from .endings import is_fatal
from .errors import IgnoreChild, UnhandledMessage
from .events import CastUnhandled, ChildCleanupFailed, InfoDropped
from .exits import KILLED, NORMAL, ExitKind, ExitReason
from .fault_points import INJECTOR, FaultInjector
from .handlers import Handler, Handlers
from .incarnation import Incarnation
from .leave import Manner
from .messages import Down, Info
from .monitors import Monitor
from .timers import Timer
from .user_code import build_user, call_user, leaked

if TYPE_CHECKING:
    from .handles import DynamicSupervisor, Supervisor
    from .place import Place
    from .ref import ActorRef

# Messages handled without a checkpoint: enough to make a checkpoint's cost small,
# few enough that other tasks are not kept waiting.
_BATCH = 64
# How long after the end of a cleanup's time it is called unresponsive: it needs a
# moment to unwind when it is cancelled at that very time.
_UNWINDING = 0.01


class ActorLife(Incarnation):
    """One life of an actor."""

    __slots__ = (
        "_cleanup",
        "_deferred",
        "_in_hand",
        "_infos",
        "_injector",
        "_leaving",
        "_own_reason",
        "_since",
        "monitors",
        "timers",
    )

    def __init__(self, place: "Place", on_settled: Callable[[Incarnation], None]) -> None:
        super().__init__(place, on_settled)
        # Dictionaries for sets: an empty one takes a third of the memory, and most stay empty.
        self.monitors: dict[Monitor, None] = {}
        self.timers: dict[Timer, None] = {}
        # Each with the monitor or timer that it comes from, which may take it back.
        self._infos: deque[tuple[object, Info]] | None = None
        self._in_hand: object = None
        self._since = 0.0
        self._deferred: dict[PendingCall, None] = {}
        # Whether to end before the next message.
        self._leaving = False
        self._own_reason: ExitReason | None = None
        self._cleanup: trio.CancelScope | None = None
        self._injector: FaultInjector | None = None

    # What the actor sees of it

    @property
    def supervisor(self) -> "Supervisor | DynamicSupervisor":
        """The handle of the supervisor above."""
        parent = self.place.parent
        if parent is None:
            raise RuntimeError("an actor is never the root")
        return parent.handle

    def stop_self(self, reason: ExitReason) -> None:
        """End after the message in hand; at once when there is none."""
        self._own_reason = reason
        self._leaving = True
        self.place.mailbox.wake()

    def monitor(self, ref: "ActorRef") -> Monitor:
        """Watch the current incarnation of another place."""
        self._check_handles(Down)
        monitor = Monitor(self, ref.place)
        self.monitors[monitor] = None
        return monitor

    def send_after(self, seconds: float, info: Info) -> Timer:
        """One info after a time."""
        self._check_handles(type(info))
        if not seconds >= 0:
            raise ValueError(f"send_after: {seconds!r} is not a number of seconds from 0")
        return self._start_timer(Timer(self, info, seconds, None))

    def send_interval(self, seconds: float, info: Info) -> Timer:
        """The same info again and again."""
        self._check_handles(type(info))
        if not seconds > 0 or math.isinf(seconds):
            raise ValueError(f"send_interval: {seconds!r} is not a number of seconds above 0")
        return self._start_timer(Timer(self, info, seconds, seconds))

    def _start_timer(self, timer: Timer) -> Timer:
        self.timers[timer] = None
        return timer

    def _check_handles(self, info: type) -> None:
        if self.place.handlers is None or info not in self.place.handlers.infos:
            raise UnhandledMessage(f"{self.place.path} has no handler for {info.__name__}")

    # Infos, beside the mailbox

    def tell(self, source: object, info: Info) -> None:
        """Queue an info; it comes before all messages."""
        if self.reason is None:
            if self._infos is None:
                self._infos = deque()
            self._infos.append((source, info))
            self.place.mailbox.wake()

    def untell(self, source: object) -> None:
        """Take back what a source has queued."""
        if self._infos:
            self._infos = deque(queued for queued in self._infos if queued[0] is not source)

    def is_told(self, source: object) -> bool:
        """Whether something from this source still waits."""
        return any(queued[0] is source for queued in self._infos or ())

    # Life

    async def live(self) -> ExitReason:
        """See `Incarnation.live`."""
        actor: Actor | None = None
        error: BaseException | None = None
        try:
            with self.scope:
                actor = await self._begin()
                await call_user(actor.handle_continue)
                await self._serve(actor, actor.__handlers__)
        except IgnoreChild as ignore:
            self.ignored = self.is_starting
            error = None if self.ignored else ignore
        except trio.Cancelled as cancelled:
            error = leaked(cancelled)
        except BaseException as crash:  # noqa: BLE001 - whatever it is, it is the reason
            error = crash
        reason = self._classify(error)
        if actor is not None:
            reason = await self._clean_up(actor, reason)
        self._end(reason)
        return reason

    def _classify(self, error: BaseException | None) -> ExitReason:
        """Why it ended: from what was asked, what was cancelled, and the outcome.

        Never from the exception alone: an actor's own `TooSlowError` is a crash.
        """
        if error is not None:
            return ExitReason(ExitKind.CRASH, error)
        if self.scope.cancelled_caught or self.killed_at is not None:
            return KILLED
        return self._own_reason or self.asked or NORMAL

    async def _begin(self) -> Actor:
        spec = self.place.spec
        if not callable(spec.start):
            raise TypeError(f"{spec.start!r} is not callable")
        timeout = spec.start_timeout
        limit: trio.CancelScope | None = None
        actor = build_user(spec.start, *spec.args, **spec.kwargs)
        if not isinstance(actor, Actor):
            raise TypeError(
                f"the factory of {self.place.path} returned {type(actor).__name__}, not an Actor"
            )
        actor._life = self  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the one who gives life
        self.place.handlers = actor.__handlers__
        if math.isinf(timeout):
            await call_user(actor.init)
        else:
            deadline = self.started_at + timeout
            self.report_unless_gone_by(deadline + spec.cleanup_timeout)
            with trio.CancelScope(deadline=deadline) as limit:
                await call_user(actor.init)
            if limit.cancelled_caught:
                raise trio.TooSlowError(f"{self.place.path} did not start within {timeout:g} s")
            self.report_unless_gone_by(math.inf)
        self.acknowledge()
        return actor

    async def _serve(self, actor: Actor, handlers: Handlers) -> None:
        """Handle what comes, infos first, until it is to end or all is drained."""
        self._injector = INJECTOR.get()
        place = self.place
        mailbox = place.mailbox
        budget = _BATCH
        while not self._leaving:
            if budget == 0:
                budget = _BATCH
                await checkpoint()
            elif self._infos:
                budget -= 1
                info = self._infos.popleft()[1]
                await self._handle(actor, handlers.infos[type(info)], info)
            elif (item := mailbox.take()) is not None:
                budget -= 1
                if type(item) is PendingCall:
                    await self._handle_call(actor, handlers, item)
                elif (handler := handlers.casts.get(type(item))) is not None:
                    await self._handle(actor, handler, item)
                else:
                    name = type(item).__name__
                    place.tree.hub.emit(CastUnhandled(path=place.path, message=name))
            elif place.open:
                await wait_task_rescheduled(mailbox.seat())
                budget = _BATCH
            else:
                return

    async def _handle(self, actor: Actor, handler: Handler, message: object) -> None:
        self._in_hand = message
        self._since = self.place.tree.now()
        if self._injector is not None:
            await self._injector.on_message(self.place.ref, message)
        await handler.function(actor, message)
        self._in_hand = None
        self.place.handled += 1

    async def _handle_call(self, actor: Actor, handlers: Handlers, pending: PendingCall) -> None:
        if pending.settled:
            return  # its caller has gone
        message = pending.message
        handler = handlers.calls.get(type(message))
        if handler is None:
            pending.fail(self.place.unhandled(message))
            return
        self._in_hand = pending
        self._since = self.place.tree.now()
        try:
            if self._injector is not None:
                await self._injector.on_message(self.place.ref, message)
            if handler.deferred:
                self._defer(pending)
                await handler.function(actor, message, Reply[Any](pending))
                if pending.caller is not None and not pending.settled:
                    pending.caller.waiting_for = None  # the answer may come from anywhere now
            else:
                pending.answer(await handler.function(actor, message))
        except handler.raises as answer:
            pending.fail(answer)
        # Not in a finally: after a crash the message is still in hand, and `_end` fails it.
        self._in_hand = None
        self.place.handled += 1

    def _defer(self, pending: PendingCall) -> None:
        self._deferred[pending] = None
        pending.on_settled = self._settled

    def _settled(self, pending: PendingCall) -> None:
        self._deferred.pop(pending, None)

    # The end

    def ask_kindly(self, manner: Manner) -> None:
        """See `Incarnation.ask_kindly`: after the message in hand, or after all of them."""
        if manner is Manner.DRAIN:
            if self.place.open:
                self.place.close_admission()
        else:
            self._leaving = True
            self.place.mailbox.wake()

    def cancel(self) -> None:
        """See `Incarnation.cancel`."""
        self._leaving = True
        super().cancel()

    def cut(self) -> None:
        """See `Incarnation.cut`."""
        self.kill()
        if self._cleanup is not None:
            self._cleanup.cancel()

    async def _clean_up(self, actor: Actor, reason: ExitReason) -> ExitReason:
        """Run `terminate` within its time; an otherwise calm end becomes its crash."""
        if type(actor).terminate is Actor.terminate:
            return reason
        self.terminating = True
        self.is_dying()
        timeout = self.place.spec.cleanup_timeout
        deadline = trio.current_time() + timeout
        self.report_unless_gone_by(deadline + _UNWINDING)
        error: BaseException | None = None
        self._cleanup = trio.CancelScope(shield=True, deadline=deadline)
        try:
            with self._cleanup:
                await call_user(actor.terminate, reason)
        except trio.Cancelled as cancelled:
            error = leaked(cancelled)
        except BaseException as crash:  # noqa: BLE001 - whatever it is, it is reported
            error = crash
        if self._cleanup.cancelled_caught:
            error = trio.TooSlowError(f"terminate took longer than {timeout:g} s")
        self._cleanup = None
        if error is None:
            return reason
        self.place.tree.hub.emit(ChildCleanupFailed(path=self.place.path, error=error))
        if is_fatal(error) or not (reason.abnormal or isinstance(error, trio.TooSlowError)):
            return ExitReason(ExitKind.CRASH, error)
        return reason

    def _end(self, reason: ExitReason) -> None:
        """Tell everybody who depends on this life."""
        if isinstance(self._in_hand, PendingCall):
            self._in_hand.died(reason)
        self._in_hand = None
        for pending in tuple(self._deferred):
            pending.died(reason)
        for timer in tuple(self.timers):
            timer.cancel()
        for monitor in tuple(self.monitors):
            monitor.cancel()
        for _, info in self._infos or ():
            if not isinstance(info, Down):
                name = type(info).__name__
                self.place.tree.hub.emit(
                    InfoDropped(path=self.place.path, info=name, why="its actor ended")
                )
        self._infos = None

    @property
    def in_hand(self) -> tuple[object, float] | None:
        """See `Incarnation.in_hand`."""
        if self._in_hand is None:
            return None
        message = self._in_hand
        return (message.message if isinstance(message, PendingCall) else message), self._since
