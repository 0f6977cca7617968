"""The engine of one supervisor: start the children in order, keep them, stop them in reverse.

Its parts: this module starts and stops, `restarts` reacts to children that end by
themselves, `administration` does what callers ask.  All bookkeeping is synchronous;
only starts and stops are awaited, each in the task of whoever wants it.

Invariant: the children's nursery is shielded, so that a cancellation from outside
never reaches two children at once; it arrives as `stop(Manner.CANCEL)` instead.
"""

from collections.abc import Callable
from contextvars import Context
from functools import partial

import trio

from .endings import Ending, is_fatal
from .errors import ChildStartError
from .events import SupervisorStopping
from .exits import SHUTDOWN, ExitReason
from .incarnation import Incarnation
from .intensity import RestartWindow
from .leave import Leave, Manner
from .lifecycle import ChildState
from .place import Place
from .restarts import Restarts
from .specs import ChildSpec, DynamicSupervisorSpec, SupervisorSpec
from .strategy import AutoShutdown, Strategy


class SupervisorCore:
    """The children of one supervisor, for one of its incarnations.

    Args:
        place: the supervisor's own place.
        spec: what it supervises, and how.
    """

    def __init__(self, place: Place, spec: SupervisorSpec | DynamicSupervisorSpec) -> None:
        self.place = place
        self.spec = spec
        self.tree = place.tree
        self.dynamic = isinstance(spec, DynamicSupervisorSpec)
        static = spec if isinstance(spec, SupervisorSpec) else None
        self.strategy = static.strategy if static is not None else Strategy.ONE_FOR_ONE
        self.auto_shutdown = static.auto_shutdown if static is not None else AutoShutdown.NEVER
        # In start order; a child that is kept, though terminated, keeps its place in it.
        self.children: dict[str, Place] = {}
        self.ending: Ending | None = None
        self.restarts = Restarts(self, RestartWindow(spec.max_restarts, spec.max_seconds))
        self.nursery: trio.Nursery | None = None
        self._manner = Manner.STOP
        self._ended = trio.Event()
        self._names = 0

    # Its life

    async def run(self, acknowledge: Callable[[], None]) -> Ending:
        """Start the children, call `acknowledge`, and return when all have stopped again.

        Cancellation does not interrupt it: call `stop(Manner.CANCEL)`.

        Raises:
            ChildStartError: a child could not be started; those before it are stopped.
        """
        failed: ChildStartError | None = None
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as self.nursery:
                for warning in self.restarts.unreachable():
                    self.tree.hub.emit(warning)
                self.place.notify()  # from here on it takes orders
                failed = await self._start_children()
                if failed is None and self._may_acknowledge():
                    acknowledge()
                await self._ended.wait()
                await self._stop_children()
                self.nursery.cancel_scope.cancel()
        if failed is not None and not (self.ending and self.ending.fatal):
            raise failed
        if self.ending is None:
            raise RuntimeError("a supervisor ends only for a reason")
        return self.ending

    def _may_acknowledge(self) -> bool:
        """Whether the start has succeeded, even if the end has come already.

        The end of a significant child during the start comes after it, as in OTP, where
        the supervisor hears of it only then.
        """
        by_itself = self.place.life is not None and self.place.life.leave is Leave.NO
        return self.ending is None or (self.ending.error is None and by_itself)

    async def _start_children(self) -> ChildStartError | None:
        if isinstance(self.spec, DynamicSupervisorSpec):
            return None
        before: Place | None = None
        for spec in self.spec.children:
            place = self._take_place(spec)
            place.queued_behind = before
            before = place
        for place in tuple(self.children.values()):
            place.queued_behind = None
            if self.ending is not None:
                break
            if place.state is not ChildState.STARTING:
                continue  # terminated before its turn came
            life = await self.start(place)
            if not life.is_starting or life.leave is Leave.TERMINATE or self.ending is not None:
                continue
            if life.ignored:
                self.settle(place)
                continue
            error = ChildStartError(place.name, life.reason.error if life.reason else None)
            self.end(Ending(str(error), error))
            return error
        return None

    def end(self, ending: Ending) -> None:
        """Begin to stop; the first reason stands, unless a fatal error follows it."""
        if self.ending is not None:
            if ending.fatal and not self.ending.fatal:
                self.ending = ending
            return
        self.ending = ending
        if self.tree.hub:
            self.tree.hub.emit(SupervisorStopping(path=self.place.path, why=ending.why))
        self.restarts.close()
        for place in self.children.values():
            if place.life is None:
                self._retire(place)
        if self.place.is_starting:
            # The start pass waits for this child, and the stop waits for the pass.
            for place in self.children.values():
                if place.is_starting:
                    self._ask(place)
        self._ended.set()
        self.place.notify()

    def stop(self, manner: Manner, why: str) -> None:
        """Stop all children; a harsher manner takes over while they are being stopped."""
        if self.ending is None:
            self._manner = manner
        else:
            self._manner = max(self._manner, manner)
        self.end(Ending(why))
        if self._manner is Manner.CANCEL:
            for place in self.children.values():
                if place.life is not None and place.life.leave is Leave.SHUTDOWN:
                    place.life.kill()

    def cut(self) -> None:
        """Cancel all that is left at once, cleanups included."""
        self.stop(Manner.CANCEL, "cancelled")
        for place in self.children.values():
            if place.life is not None:
                self._ask(place)
                place.life.cut()

    async def _stop_children(self) -> None:
        # One after the other, in reverse; dynamic children all at once, as in OTP.
        if self.dynamic:
            for place in self.children.values():
                self._ask(place)
        while self.children:
            place = next(reversed(self.children.values()))
            self._ask(place)
            if place.life is not None:
                await place.life.wait_gone()
            del self.children[place.name]
            self._retire(place)

    def _ask(self, place: Place) -> None:
        if place.life is not None and place.life.leave is not Leave.SHUTDOWN:
            place.life.ask(Leave.SHUTDOWN, SHUTDOWN, self._manner)

    # Its children

    def _take_place(self, spec: ChildSpec) -> Place:
        """The place of a static child: the one from the incarnation before, if there was one."""
        name = str(spec.id)
        place = self.place.kept_places.get(name)
        if place is None:
            place = self.make_place(spec, self.place.context)
            self.place.kept_places[name] = place
        else:
            place.enter(ChildState.STARTING)
            place.returning = False
            place.admit()
            self.children[name] = place
        return place

    def make_place(self, spec: ChildSpec, context: Context) -> Place:
        """A new place, at the end of the start order."""
        name = spec.id
        while name is None or (spec.id is None and name in self.children):
            self._names += 1
            name = f"{spec.factory_name}-{self._names}"
        place = Place(self.tree, self.place, spec, name, context)
        self.children[name] = place
        return place

    def spawn(self, place: Place, on_settled: Callable[[Incarnation], None]) -> Incarnation:
        """Begin an incarnation; `on_settled` is called when its start succeeded or failed."""
        if self.nursery is None:
            raise RuntimeError("a supervisor spawns only while it runs")
        place.life = life = self.tree.make_life(place, on_settled)
        # The child sees the contextvars of whoever opened the tree or asked for the child.
        place.context.run(partial(self.nursery.start_soon, life.run, name=place.path))
        return life

    async def start(self, place: Place) -> Incarnation:
        """Begin an incarnation and wait until its start succeeded or failed."""
        settled = trio.Event()

        def settle(_life: Incarnation) -> None:
            settled.set()

        life = self.spawn(place, settle)
        await settled.wait()
        return life

    def child_gone(self, life: Incarnation, reason: ExitReason) -> None:
        """An incarnation is gone, cleanup included: what becomes of its place?"""
        place = life.place
        if place.life is not life:
            return
        place.life = None
        place.last_reason = reason.as_text()
        if reason.error is not None and is_fatal(reason.error):
            self.end(Ending(str(place.last_reason), reason.error))
        if life.leave is Leave.TERMINATE:
            self.settle(place, reason)
        elif life.leave is Leave.RESTART:
            place.enter(ChildState.TERMINATED)
            place.expect_return()
        elif life.leave is not Leave.SHUTDOWN and not life.is_starting:
            self.restarts.child_ended(life, reason)
        if place.returning:
            self.tree.release_the_dying()

    def settle(self, place: Place, reason: ExitReason | None = None) -> None:
        """A child has ended for good: keep its spec as terminated, or forget it."""
        if self.dynamic or place.is_temporary:
            self.forget(place, reason)
        else:
            self._end_place(place, reason)

    def forget(self, place: Place, reason: ExitReason | None = None) -> None:
        """Drop a child's spec and place."""
        if self.children.get(place.name) is place:
            del self.children[place.name]
        self._end_place(place, reason)

    def _retire(self, place: Place) -> None:
        """A child ends with this incarnation of its supervisor; it may come back with the next."""
        if self.place.kept_places.get(place.name) is place and place.parent_comes_back():
            place.enter(ChildState.TERMINATED)
            place.expect_return()
        else:
            self._end_place(place)

    def _end_place(self, place: Place, reason: ExitReason | None = None) -> None:
        place.enter(ChildState.TERMINATED)
        place.give_up(reason)
