"""One life of a child: a task, the scope that can kill it, and how it is asked to end.

A stop is a state machine without a task of its own: `ask` and `kill` leave a mark,
the tree's deadlines escalate, and everybody who is interested waits for the end.  So
a stop that its requester abandons goes on all the same, and any number may join it.
"""

import math
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from .events import (
    ChildExited,
    ChildShutdownError,
    ChildStarted,
    ChildStartFailed,
    ChildStartIgnored,
    ChildUnresponsive,
)
from .exits import NORMAL, ExitKind, ExitReason
from .leave import Leave, Manner
from .lifecycle import ChildState
from .specs import Shutdown
from .strategy import Restart
from .waits import LIVES

if TYPE_CHECKING:
    from .deadlines import Deadline
    from .place import Place


class Incarnation(ABC):
    """The base of the three kinds of lives: an actor's, a task's, a supervisor's.

    Args:
        place: where it lives.
        on_settled: called once, when the start is acknowledged or has failed.
    """

    __slots__ = (
        "_ask_timer",
        "_doomed",
        "_gone",
        "_meant_to_kill",
        "_report_timer",
        "_watchers",
        "asked",
        "fail_wait",
        "ignored",
        "is_starting",
        "killed_at",
        "leave",
        "on_settled",
        "place",
        "reason",
        "scope",
        "started_at",
        "task",
        "terminating",
        "waiting_for",
    )

    def __init__(self, place: "Place", on_settled: "Callable[[Incarnation], None]") -> None:
        self.place = place
        self.on_settled = on_settled
        self.scope = trio.CancelScope()
        self.task: trio.lowlevel.Task | None = None
        self.is_starting = True
        self.ignored = False
        self.terminating = False
        self.started_at = trio.current_time()
        self.asked: ExitReason | None = None
        self.leave = Leave.NO
        self.killed_at: float | None = None
        self.reason: ExitReason | None = None
        # The place that this life's own task awaits, and how to end that wait.
        self.waiting_for: Place | None = None
        self.fail_wait: Callable[[BaseException], object] | None = None
        self._meant_to_kill = False
        self._doomed = False
        self._ask_timer: Deadline | None = None
        self._report_timer: Deadline | None = None
        self._gone: trio.Event | None = None
        self._watchers: dict[object, Callable[[ExitReason], None]] = {}

    # Life

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """The task: live, then report the end.  Raises nothing."""
        self.task = trio.lowlevel.current_task()
        LIVES[self.task] = self
        try:
            reason = await self.live()
        finally:
            del LIVES[self.task]
            self.task = None
        self._finish(reason)

    @abstractmethod
    async def live(self) -> ExitReason:
        """All of the life, its cleanup included; returns why it ended."""

    def acknowledge(self) -> None:
        """The start has succeeded."""
        self.is_starting = False
        place = self.place
        place.incarnations += 1
        self.started_at = trio.current_time()
        if place.state is not ChildState.STOPPING:
            place.enter(ChildState.RUNNING)
        if place.tree.hub and place.parent is not None:
            place.tree.hub.emit(ChildStarted(path=place.path, incarnation=place.incarnations))
        self.on_settled(self)

    def _finish(self, reason: ExitReason) -> None:
        self.reason = reason
        for timer in (self._ask_timer, self._report_timer):
            if timer is not None:
                timer.cancel()
        place = self.place
        if self.leave > Leave.REF and not self.is_starting:
            self._check_end(reason)
        place.tree.dying.discard(self)
        self._emit_end(reason)
        if place.parent is not None and place.parent.core is not None:
            place.parent.core.child_gone(self, reason)
        else:
            place.life = None
            place.last_reason = reason.as_text()
            place.enter(ChildState.TERMINATED)
            place.give_up()
        if self.is_starting:
            self.on_settled(self)
        watchers, self._watchers = self._watchers, {}
        for watcher in watchers.values():
            watcher(reason)
        if self._gone is not None:
            self._gone.set()

    def _emit_end(self, reason: ExitReason) -> None:
        hub, path = self.place.tree.hub, self.place.path
        if not hub or self.place.parent is None:
            return  # the root is nobody's child
        if self.ignored:
            hub.emit(ChildStartIgnored(path=path))
        elif self.is_starting:
            hub.emit(ChildStartFailed(path=path, reason=reason))
        else:
            hub.emit(ChildExited(path=path, reason=reason))

    def _check_end(self, reason: ExitReason) -> None:
        """Report an end that is not the one that was asked for (as OTP's `shutdown_error`).

        A child that just then ended normally is none, unless it should never end.
        """
        asked = self.asked or NORMAL
        if reason.kind is asked.kind or (self._meant_to_kill and reason.kind is ExitKind.KILLED):
            return
        permanent = self.place.spec.restart is Restart.PERMANENT
        if reason.kind is ExitKind.NORMAL and not permanent:
            return
        self.place.tree.hub.emit(
            ChildShutdownError(path=self.place.path, asked=asked, reason=reason)
        )

    # The end

    @property
    def dying(self) -> bool:
        """Whether it has been told to end, will be in this restart, or is cleaning up."""
        return self.leave is not Leave.NO or self.terminating or self._doomed

    def doom(self) -> None:
        """It will be stopped when its turn comes in the restart of its group."""
        self._doomed = True
        self.is_dying()

    def ask(self, leave: Leave, reason: ExitReason, manner: Manner = Manner.STOP) -> None:
        """Have it end with `reason`: kindly first, by cancellation when its time is over.

        A start that is not acknowledged is cancelled, unless it is only a ref that asks.
        """
        if leave > self.leave:
            self.leave = leave
            self.asked = reason
        self.is_dying()
        if manner is not Manner.DRAIN and not self.place.keeps_queue(self):
            self._turn_away(reason)
        if self.place.state in {ChildState.RUNNING, ChildState.STARTING, ChildState.RESTARTING}:
            self.place.enter(ChildState.STOPPING)
        shutdown = self.place.spec.shutdown
        brutal = shutdown is Shutdown.BRUTAL_KILL and leave is not Leave.REF
        if manner is Manner.CANCEL or brutal or (self.is_starting and leave is not Leave.REF):
            self._meant_to_kill = True
            self.kill()
            return
        self.ask_kindly(manner)
        if (
            self._ask_timer is None
            and isinstance(shutdown, int | float)
            and not math.isinf(shutdown)
            and not (manner is Manner.DRAIN and leave is Leave.REF)
        ):
            deadline = trio.current_time() + shutdown
            self._ask_timer = self.place.tree.deadlines.add(deadline, self.kill)

    def _turn_away(self, reason: ExitReason) -> None:
        """Fail what waits in the mailbox, unless a next incarnation or a drain will handle it."""
        if self.leave is Leave.REF and self.place.spec.restart is Restart.PERMANENT:
            self.place.fail_queue(reason)
        else:
            self.place.refuse(reason)

    @abstractmethod
    def ask_kindly(self, manner: Manner) -> None:
        """Make it end at the next good moment."""

    def kill(self) -> None:
        """Cancel it now."""
        if self.killed_at is None:
            self.killed_at = trio.current_time()
            if self.leave is Leave.NO:
                self.leave = Leave.REF
            self.is_dying()
            self.cancel()
            if self.reason is None and not self.terminating:
                self.report_unless_gone_by(self.killed_at + self.grace_after_kill())

    def is_dying(self) -> None:
        """From now on it waits for nobody who does not run."""
        if self.reason is not None:
            return  # it is gone already
        self.place.tree.dying.add(self)
        self.fail_hopeless_wait()

    def fail_hopeless_wait(self) -> None:
        """One that is dying waits for a place that does not run: never wait for the dead.

        What it waits for may itself be waiting for this one's end.
        """
        target, fail = self.waiting_for, self.fail_wait
        if target is not None and fail is not None and (target.life is None or target.is_starting):
            fail(target.stopped())

    def begin_wait(self, target: "Place", fail: Callable[[BaseException], object]) -> None:
        """Its own task begins to wait for another place; `fail` ends that wait."""
        self.waiting_for, self.fail_wait = target, fail
        self.place.tree.waiting.add(self)

    def end_wait(self) -> None:
        """Its own task waits no more."""
        self.waiting_for = self.fail_wait = None
        self.place.tree.waiting.discard(self)

    def cancel(self) -> None:
        """Cancel what it does; its cleanup still runs."""
        self.scope.cancel()

    def cut(self) -> None:
        """Cancel even the cleanup: the time for cancelling in order is over."""
        self.kill()

    def grace_after_kill(self) -> float:
        """Seconds after which one that was cancelled counts as unresponsive."""
        return self.place.spec.cleanup_timeout

    def report_unless_gone_by(self, when: float) -> None:
        """Emit `ChildUnresponsive` at `when`, unless it has ended by then."""
        if self._report_timer is not None:
            self._report_timer.cancel()
        if not math.isinf(when):
            self._report_timer = self.place.tree.deadlines.add(when, self._report)

    def _report(self) -> None:
        since = self.killed_at if self.killed_at is not None else self.started_at
        self.place.tree.hub.emit(
            ChildUnresponsive(
                path=self.place.path, waited=trio.current_time() - since, stack=self.stack()
            )
        )

    def stack(self) -> str:
        """Where its task is now, as text."""
        if self.task is None:
            return ""
        frames = traceback.StackSummary.extract(self.task.iter_await_frames())
        return "".join(frames.format())

    # Those who wait for the end

    async def wait_gone(self) -> ExitReason:
        """Wait until it is gone, its cleanup included."""
        while self.reason is None:
            if self._gone is None:
                self._gone = trio.Event()
            await self._gone.wait()
        return self.reason

    def watch(self, key: object, watcher: Callable[[ExitReason], None]) -> None:
        """Have `watcher` called with the reason when it is gone."""
        self._watchers[key] = watcher

    def unwatch(self, key: object) -> None:
        """Take `watch` back."""
        self._watchers.pop(key, None)

    @property
    def in_hand(self) -> tuple[object, float] | None:
        """The message that is being handled, and since when."""
        return None
