"""The handles of supervisors: administration, views, and the way to what is below."""

from typing import TYPE_CHECKING, final

import trio

from . import administration
from .errors import ChildNotFound
from .exits import ExitReason
from .ref import ActorRef
from .specs import ChildSpec, DynamicSupervisorSpec
from .views import ChildCounts, ChildInfo, Snapshot, child_counts, child_infos, take_snapshot
from .waits import check_start, current_life, responsible_life

if TYPE_CHECKING:
    from .events import EventHub
    from .incarnation import Incarnation
    from .place import Place
    from .supervisor_core import SupervisorCore


class _Handle:
    """What the handles of static and dynamic supervisors share.

    Like a ref it names a place in the tree: it stays valid when the supervisor restarts.
    """

    __slots__ = ("__weakref__", "_place")

    def __init__(self, place: "Place") -> None:
        self._place = place

    def __repr__(self) -> str:
        name = self._place.path or self._place.name
        return f"<{type(self).__name__} {name!r} {self._place.state.value}>"

    @property
    def ref(self) -> ActorRef:
        """The supervisor's own ref: it can be stopped, killed and monitored."""
        return self._place.ref

    @property
    def events(self) -> "EventHub":
        """The events of the whole tree: `events.attach(handler)` returns what detaches it."""
        return self._place.tree.hub

    def __getitem__(self, child_id: str) -> ActorRef:
        """The ref of a child, running or not.

        Raises:
            KeyError: there is no such spec.
        """
        return self._child(child_id).ref

    def subtree(self, child_id: str) -> "Supervisor | DynamicSupervisor":
        """The handle of a child that is a supervisor.

        Raises:
            KeyError: there is no such spec.
            TypeError: the child is a worker.
        """
        place = self._child(child_id)
        if not place.is_supervisor:
            raise TypeError(f"{place.path} is a worker, it has no children")
        return place.handle

    def _child(self, child_id: str) -> "Place":
        core = self._place.core
        place = core.children.get(child_id) if core is not None else None
        if place is None and (core is None or core.ending is not None):
            # One by one the children of a supervisor that ends leave it; their specs do not.
            place = self._place.kept_places.get(child_id)
        if place is None:
            raise KeyError(child_id)
        return place

    # Views, answered at once

    def which_children(self) -> tuple[ChildInfo, ...]:
        """All children in start order (OTP shows the newest first).

        Raises:
            ActorStopped: the supervisor is not running.
        """
        return child_infos(self._running())

    def count_children(self) -> ChildCounts:
        """How many children there are, and of what kind.

        Raises:
            ActorStopped: the supervisor is not running.
        """
        return child_counts(self._running())

    def whereis(self, path: str) -> ActorRef | None:
        """The child at `path`, ids joined by "/", counted from this supervisor; else None."""
        place: Place | None = self._place
        for name in path.split("/"):
            core = place.core if place is not None else None
            place = core.children.get(name) if core is not None else None
        return place.ref if place is not None else None

    def snapshot(self) -> Snapshot:
        """A frozen, serialisable picture of this supervisor and all below it."""
        return take_snapshot(self._place)

    # Its own end

    @trio.lowlevel.enable_ki_protection
    async def stop(self) -> None:
        """Stop all children in reverse start order, then the supervisor; wait until gone.

        Raises:
            CallCycle: called by a child of this tree, which would wait for its own end.

        Cancelled, it stops waiting; the stop goes on.
        """
        await self._place.ref.stop()

    @trio.lowlevel.enable_ki_protection
    async def wait_stopped(self) -> ExitReason:
        """Wait until the current incarnation has ended; returns why."""
        return await self._place.ref.wait_stopped()

    # Administration

    @trio.lowlevel.enable_ki_protection
    async def start_child(self, spec: ChildSpec) -> ActorRef:
        """Add a child and start it; return when its start is acknowledged.

        Args:
            spec: the child.  Under a dynamic supervisor the id may be None, which becomes
                `<factory>-<n>`.

        Raises:
            ChildStartError: its start failed; nothing of it is kept.
            ChildAlreadyStarted: a child with this id runs.
            ChildAlreadyPresent: a terminated or restarting one is kept.
            ChildIgnored: (dynamic only) it raised `IgnoreChild`.
            MaxChildrenReached: (dynamic only) there is no room.
            SpecError: the spec contradicts the supervisor's settings.
            ActorStopped: the supervisor is not running and not coming back.
            CallCycle: called by a child's start, for which the supervisor waits.

        Cancelled, the start is cancelled, its cleanup awaited, and the spec forgotten.
        """
        core = await self._serving()
        return (await administration.start_child(core, spec)).ref

    def _running(self) -> "SupervisorCore":
        core = self._place.core
        if core is None:
            raise self._place.stopped()
        return core

    async def _serving(self) -> "SupervisorCore":
        """The engine, when it takes orders; waits for it while the supervisor is between lives."""
        place, caller = self._place, responsible_life()
        check_start(current_life(), place)
        while True:
            core = place.core
            if core is not None and core.nursery is not None and core.ending is None:
                return core
            if _is_hopeless(place, caller):
                raise place.stopped()
            await place.wait_changed()


def _is_hopeless(place: "Place", caller: "Incarnation | None") -> bool:
    """Whether a supervisor that takes no orders now never will, or not in time for `caller`."""
    if caller is not None and caller.dying:
        return True
    life = place.life
    if life is None:
        return not place.comes_back
    if life.is_starting:
        return False
    return place.parent is None or place.is_temporary or life.leave > life.leave.RESTART


@final
class Supervisor(_Handle):
    """A running supervisor with a fixed list of children; got from `open_supervisor`."""

    __slots__ = ()

    @trio.lowlevel.enable_ki_protection
    async def terminate_child(self, child_id: str) -> None:
        """Stop a child, which then is not restarted; return when it is gone.

        Its spec is kept as terminated, a temporary child's is forgotten.  A child that is
        being restarted is not restarted any more; one already terminated stays so.

        Raises:
            ChildNotFound: there is no such spec.
            ActorStopped: the supervisor is not running and not coming back.
            CallCycle: the caller is the child itself, or below it.

        Cancelled, it stops waiting; the stop goes on.
        """
        await administration.terminate_child(await self._serving(), child_id)

    @trio.lowlevel.enable_ki_protection
    async def restart_child(self, child_id: str) -> ActorRef:
        """Start a terminated child at its old place in the order; not charged as a restart.

        Raises:
            ChildRunning: it is not terminated.
            ChildRestarting: it is being restarted.
            ChildNotFound: there is no such spec.
            ChildStartError: its start failed; it stays terminated.
            ActorStopped: the supervisor is not running and not coming back.

        Cancelled, the start is cancelled and its cleanup awaited.
        """
        return (await administration.restart_child(await self._serving(), child_id)).ref

    @trio.lowlevel.enable_ki_protection
    async def delete_child(self, child_id: str) -> None:
        """Forget a terminated child.

        Raises:
            ChildRunning: it is not terminated.
            ChildRestarting: it is being restarted.
            ChildNotFound: there is no such spec.
            ActorStopped: the supervisor is not running and not coming back.
        """
        await administration.delete_child(await self._serving(), child_id)


@final
class DynamicSupervisor(_Handle):
    """A running supervisor whose children come and go; got from `open_supervisor`."""

    __slots__ = ()

    @trio.lowlevel.enable_ki_protection
    async def terminate_child(self, ref: ActorRef) -> None:
        """Stop a child and forget it; return when it is gone.

        Raises:
            ChildNotFound: it is not (any more) a child of this supervisor.
            ActorStopped: the supervisor is not running and not coming back.
            CallCycle: the caller is the child itself, or below it.

        Cancelled, it stops waiting; the stop goes on.
        """
        core = await self._serving()
        place = ref.place
        if core.children.get(place.name) is not place:
            raise ChildNotFound(f"{ref.path} is not a child of {self._place.path or 'this one'}")
        await administration.terminate_child(core, place.name, place)

    @trio.lowlevel.enable_ki_protection
    def start_child_nowait(self, spec: ChildSpec) -> ActorRef:
        """Add a child and begin its start, without waiting for it.

        To `start_child` what `nursery.start_soon` is to `nursery.start`: for code that cannot
        wait. What is sent to the ref meanwhile waits for the start. One that fails is told by the
        events, and by the ref: `wait_stopped` returns, and calls raise `ActorStopped`.

        Args:
            spec: the child; see `start_child`.

        Raises:
            ChildAlreadyStarted: a child with this id runs.
            ChildAlreadyPresent: one is restarting, or not yet gone.
            MaxChildrenReached: there is no room.
            SpecError: the spec contradicts the supervisor's settings.
            ActorStopped: the supervisor is not running now, even if it is coming back.
        """
        core = self._place.core
        if core is None or core.nursery is None or core.ending is not None:
            raise self._place.stopped()
        return administration.start_child_nowait(core, spec).ref


def make_handle(place: "Place") -> Supervisor | DynamicSupervisor:
    """The handle for a supervisor's place."""
    if isinstance(place.spec.start, DynamicSupervisorSpec):
        return DynamicSupervisor(place)
    return Supervisor(place)
