"""What can be seen of a tree, as frozen values: child infos, counts, snapshots."""

import enum
import math
from typing import TYPE_CHECKING, Any

import trio
from attrs import asdict, frozen

from .lifecycle import ChildState
from .strategy import Restart

if TYPE_CHECKING:
    from .place import Place
    from .ref import ActorRef
    from .supervisor_core import SupervisorCore


class ChildKind(enum.Enum):
    """Whether a child is a supervisor itself."""

    WORKER = "worker"
    SUPERVISOR = "supervisor"


@frozen
class ChildInfo:
    """One child, as `which_children` shows it.

    Args:
        id: its name among its siblings.
        kind: worker or supervisor.
        state: what its place is doing.
        restart: its restart type.
        ref: its place, running or not.
    """

    id: str
    kind: ChildKind
    state: ChildState
    restart: Restart
    ref: "ActorRef"


@frozen
class ChildCounts:
    """How many children a supervisor has, as OTP's `supervisor:count_children/1`.

    Args:
        specs: all that are kept, running or not.
        active: those with a process now.
        supervisors: those that are supervisors.
        workers: those that are not.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


@frozen(kw_only=True)
class Snapshot:
    """One child and all below it at one moment; plain data throughout.

    Args:
        path: its place; empty for the root.
        kind: worker or supervisor.
        state: what its place is doing.
        uptime: seconds since its current incarnation started, None when none runs.
        restarts_in_window: restarts that count towards its intensity now (supervisors).
        restarts: how often it has been started again in all.
        mailbox: messages that wait.
        mailbox_capacity: how many may wait; None for what has no mailbox.
        handled: messages handled by all incarnations.
        in_hand: the type of the message that is being handled.
        in_hand_for: for how many seconds.
        last_error: why its last incarnation ended, when that was abnormal.
        children: those below it, in start order.
    """

    path: str
    kind: str
    state: str
    uptime: float | None
    restarts_in_window: int
    restarts: int
    mailbox: int
    mailbox_capacity: float | None
    handled: int
    in_hand: str | None
    in_hand_for: float | None
    last_error: str | None
    children: tuple["Snapshot", ...]

    def to_dict(self) -> dict[str, Any]:
        """The snapshot as a JSON document: dictionaries and lists, "infinity" for no limit."""
        data = asdict(self, recurse=False)
        if self.mailbox_capacity == math.inf:
            data["mailbox_capacity"] = "infinity"
        return data | {"children": [child.to_dict() for child in self.children]}


def kind_of(place: "Place") -> ChildKind:
    """Whether a place is a supervisor's."""
    return ChildKind.SUPERVISOR if place.is_supervisor else ChildKind.WORKER


def child_infos(core: "SupervisorCore") -> tuple[ChildInfo, ...]:
    """All children in start order."""
    return tuple(
        ChildInfo(place.name, kind_of(place), place.state, place.spec.restart, place.ref)
        for place in core.children.values()
    )


def child_counts(core: "SupervisorCore") -> ChildCounts:
    """How many there are, and of what kind."""
    places = core.children.values()
    supervisors = sum(place.is_supervisor for place in places)
    return ChildCounts(
        specs=len(places),
        active=sum(place.life is not None for place in places),
        supervisors=supervisors,
        workers=len(places) - supervisors,
    )


def take_snapshot(place: "Place") -> Snapshot:
    """A picture of a place and all below it."""
    now = trio.current_time()
    life, core = place.life, place.core
    in_hand = life.in_hand if life is not None else None
    reason = place.last_reason
    return Snapshot(
        path=place.path,
        kind=kind_of(place).value,
        state=place.state.value,
        uptime=now - life.started_at if life is not None else None,
        restarts_in_window=core.restarts.in_window if core is not None else 0,
        restarts=max(0, place.incarnations - 1),
        mailbox=len(place.mailbox),
        mailbox_capacity=place.mailbox.capacity if place.takes_messages else None,
        handled=place.handled,
        in_hand=type(in_hand[0]).__name__ if in_hand is not None else None,
        in_hand_for=now - in_hand[1] if in_hand is not None else None,
        last_error=str(reason) if reason.abnormal else None,
        children=tuple(take_snapshot(child) for child in core.children.values()) if core else (),
    )
