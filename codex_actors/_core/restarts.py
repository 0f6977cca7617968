"""What a supervisor does when a child ends by itself: restart it, its group, or give up.

Under one_for_one every child is restarted on its own, and a slow start holds up nobody.
The group strategies restart one group at a time, in the order of the deaths: a death
inside a group that is being restarted is absorbed by that restart, as in OTP, where it
is found already dead.

Invariant: every attempt to start again was charged to the window first.
"""

import math
import random
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

import trio

from .endings import Ending
from .errors import RestartIntensityExceeded
from .events import ChildRestartingEvent, RestartIntensityReached, RestartIntensityUnreachable
from .exits import SHUTDOWN, ExitReason
from .incarnation import Incarnation
from .leave import Leave
from .lifecycle import ChildState
from .specs import SupervisorSpec
from .strategy import AfterExit, Strategy, after_exit, ends_supervisor, restart_group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .deadlines import Deadline
    from .intensity import RestartWindow
    from .place import Place
    from .supervisor_core import SupervisorCore


class Restarts:
    """The restarts of one supervisor.

    Args:
        core: the supervisor.
        window: counts the attempts.
    """

    def __init__(self, core: "SupervisorCore", window: "RestartWindow") -> None:
        self._core = core
        self._window = window
        # Deaths (and due retries) that wait for the group restart before them.
        self._queue: deque[tuple[Place, BaseException | None, bool]] = deque()
        self._group: tuple[Place, ...] = ()
        self._busy = False
        self._pruning: Deadline | None = None

    @property
    def in_window(self) -> int:
        """How many restarts count now."""
        self._window.prune(trio.current_time())
        return len(self._window)

    def holds(self, place: "Place") -> bool:
        """Whether a group restart has the say over this child just now."""
        return place in self._group and not place.is_starting

    @property
    def group(self) -> "tuple[Place, ...]":
        """The children that are being stopped and started together just now."""
        return self._group

    def close(self) -> None:
        """Nothing is restarted any more."""
        self._queue.clear()
        if self._pruning is not None:
            self._pruning.cancel()
            self._pruning = None

    # A child ended by itself

    def child_ended(self, life: Incarnation, reason: ExitReason) -> None:
        """Decide what its restart type says."""
        core, place = self._core, life.place
        if core.ending is not None:
            place.enter(ChildState.TERMINATED)
            return
        if not reason.abnormal and not len(place.mailbox):
            place.draining = False
        if after_exit(place.spec.restart, reason.kind) is AfterExit.RESTART:
            self._restart(place, reason.error, trio.current_time() - life.started_at)
            return
        core.settle(place, reason)
        if place.spec.significant and ends_supervisor(
            core.auto_shutdown, significant=True, others_alive=self._significant_left()
        ):
            core.end(Ending(f"the significant child {place.name!r} has ended"))

    def _significant_left(self) -> bool:
        return any(
            other.spec.significant and other.state is not ChildState.TERMINATED
            for other in self._core.children.values()
        )

    def _restart(self, place: "Place", error: BaseException | None, uptime: float) -> None:
        """Have a child started again that ended, or whose start failed."""
        place.enter(ChildState.RESTARTING)
        place.expect_return()
        backoff = place.spec.backoff
        if backoff is not None and uptime >= backoff.reset_after:
            place.crashed_in_a_row = 0
        if self._core.strategy is Strategy.ONE_FOR_ONE:
            delay = self._charge(place, error)
            if delay is not None:
                self._after(place, delay)
        else:
            self._enqueue(place, error, charged=False)

    def _charge(self, place: "Place", error: BaseException | None) -> float | None:
        """Charge one attempt: the pause before it in seconds, or None for giving up."""
        tolerated = self._window.charge(trio.current_time(), error)
        self._arm_pruning()
        if not tolerated:
            self._give_up(place)
            return None
        delay = self._draw_delay(place)
        if self._core.tree.hub:
            self._core.tree.hub.emit(
                ChildRestartingEvent(path=place.path, restarts=len(self._window), delay=delay)
            )
        return delay

    def _draw_delay(self, place: "Place") -> float:
        backoff = place.spec.backoff
        if backoff is None:
            return 0.0
        ceiling = backoff.ceiling(place.crashed_in_a_row)
        place.crashed_in_a_row += 1
        return random.uniform(0.0, ceiling)  # noqa: S311 - jitter, not a secret

    def _give_up(self, place: "Place") -> None:
        core, window = self._core, self._window
        core.tree.hub.emit(
            RestartIntensityReached(
                path=core.place.path,
                max_restarts=window.max_restarts,
                max_seconds=window.max_seconds,
            )
        )
        error = RestartIntensityExceeded(
            f"{core.place.path or core.place.name}: more than {window.max_restarts} restarts "
            f"within {window.max_seconds:g} s, the last of {place.name!r}",
            window.crashes(),
        )
        core.end(Ending(str(error), error))

    def _arm_pruning(self) -> None:
        """Errors live as long as they count; what outlives them is text."""
        expiry = self._window.next_expiry()
        if self._pruning is None and expiry is not None and not math.isinf(expiry):
            # Just after: what is exactly as old as the window still counts.
            when = math.nextafter(expiry, math.inf)
            self._pruning = self._core.tree.deadlines.add(when, self._prune)

    def _prune(self) -> None:
        self._pruning = None
        self._window.prune(trio.current_time())
        self._arm_pruning()

    # When its time has come

    def _after(self, place: "Place", delay: float) -> None:
        if delay > 0:
            place.enter(ChildState.BACKOFF)
            due = trio.current_time() + delay
            place.retry = self._core.tree.deadlines.add(due, lambda: self._due(place))
        else:
            self._due(place)

    def _due(self, place: "Place") -> None:
        place.retry = None
        place.enter(ChildState.RESTARTING)
        if self._core.strategy is Strategy.ONE_FOR_ONE:
            place.returning = False
            self._core.spawn(place, self._settled)
        else:
            self._enqueue(place, None, charged=True)

    def _settled(self, life: Incarnation) -> None:
        """The start of a single child succeeded or failed."""
        core, place = self._core, life.place
        if not life.is_starting or core.ending is not None or life.leave is Leave.TERMINATE:
            return
        if life.ignored:
            core.settle(place)
        else:
            self._restart(place, life.reason.error if life.reason is not None else None, 0.0)

    # Groups

    def _enqueue(self, place: "Place", error: BaseException | None, *, charged: bool) -> None:
        self._queue.append((place, error, charged))
        if not self._busy and self._core.nursery is not None:
            self._busy = True
            self._core.nursery.start_soon(self._work, name=f"{self._core.place.path}: restarts")

    @trio.lowlevel.enable_ki_protection
    async def _work(self) -> None:
        """Restart one group after the other, until no death waits."""
        try:
            while self._queue:
                # Between two attempts those get their turn who ask something of the supervisor:
                # whoever the last one woke is run with the first checkpoint, in any order.
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
                if not self._queue:
                    return
                place, error, charged = self._queue.popleft()
                if self._is_absorbed(place):
                    continue
                if not charged:
                    delay = self._charge(place, error)
                    if delay is None:
                        return
                    if delay > 0:
                        self._after(place, delay)
                        continue
                await self._restart_group(place)
        finally:
            self._busy = False

    def _is_absorbed(self, place: "Place") -> bool:
        """Whether an earlier restart, or an administrator, has dealt with this death."""
        known = self._core.children.get(place.name) is place
        return not (known and place.state is ChildState.RESTARTING and place.life is None)

    async def _restart_group(self, failed: "Place") -> None:
        core = self._core
        names = restart_group(core.strategy, tuple(core.children), failed.name)
        self._group = tuple(core.children[name] for name in names)
        for place in self._group:
            for below in place.walk():
                if below.life is not None:
                    below.life.doom()
        try:
            await self._stop_group(failed)
            if core.ending is None:
                await self._start_group()
        finally:
            group, self._group = self._group, ()
            for place in group:
                place.notify()

    async def _stop_group(self, failed: "Place") -> None:
        core = self._core
        for place in reversed(self._group):
            while place.state is ChildState.STARTING and core.ending is None:
                await place.wait_changed()  # an administrator's start comes first, as in OTP
            if core.ending is not None:
                return
            if place.life is not None:
                place.life.ask(Leave.RESTART, SHUTDOWN)
                await place.life.wait_gone()
            if core.ending is not None:
                return
            if place.is_temporary:
                core.forget(place)
            elif place is not failed:
                if place.retry is not None:
                    place.retry.cancel()
                    place.retry = None
                place.enter(ChildState.TERMINATED)
                place.expect_return()

    async def _start_group(self) -> None:
        core = self._core
        group = tuple(place for place in self._group if not place.is_temporary)
        for before, place in pairwise(group):
            place.queued_behind = before
            place.enter(ChildState.TERMINATED)  # to all who look, until its turn comes
            place.expect_return()
        for index, place in enumerate(group):
            if core.ending is not None:
                return
            place.queued_behind = None
            place.enter(ChildState.RESTARTING)
            place.returning = False
            life = await core.start(place)
            if not life.is_starting or core.ending is not None:
                continue
            if life.leave is Leave.TERMINATE:
                self._leave_terminated(group[index + 1 :])
                return
            if life.ignored:
                core.settle(place)
                continue
            # Those behind it wait, terminated to all who look, for its next attempt.
            self._restart(place, life.reason.error if life.reason is not None else None, 0.0)
            return

    def _leave_terminated(self, places: "tuple[Place, ...]") -> None:
        for place in places:
            if place.state is ChildState.TERMINATED:
                place.give_up()

    def abandon(self) -> None:
        """A failing child was terminated: those that waited behind it stay terminated."""
        if self._core.strategy is not Strategy.ONE_FOR_ONE:
            self._leave_terminated(tuple(self._core.children.values()))

    # Settings that keep the intensity from ever tripping

    def unreachable(self) -> "Iterator[RestartIntensityUnreachable]":
        """A warning for every child whose restarts can never be fast enough to count."""
        core, window = self._core, self._window
        spec = core.spec
        if not isinstance(spec, SupervisorSpec):
            return
        for child in spec.children:
            why = None
            if child.backoff is not None and window.max_restarts > 0:
                pauses = child.backoff.longest(window.max_restarts) / 2
                if pauses > window.max_seconds:
                    why = f"its backoff spreads {window.max_restarts} restarts over {pauses:.3g} s"
            shutdown = child.shutdown
            if (
                core.strategy is not Strategy.ONE_FOR_ONE
                and isinstance(shutdown, int | float)
                and window.max_seconds < shutdown < math.inf
            ):
                why = f"its shutdown of {shutdown:g} s outlasts the window"
            if why is not None:
                yield RestartIntensityUnreachable(
                    path=core.place.path, child=str(child.id), why=why
                )
