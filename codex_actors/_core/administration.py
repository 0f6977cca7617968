"""What callers may ask of a supervisor, with the exact answer in every state.

The answers are the table in `lifecycle`; this module carries them out, in the task of
the caller.  A caller that is cancelled leaves a stop going on, and takes a start back.
"""

from contextvars import copy_context
from typing import TYPE_CHECKING

import trio

from .errors import (
    ActorStopped,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildIgnored,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartError,
    MaxChildrenReached,
    SpecError,
)
from .exits import SHUTDOWN
from .leave import Leave
from .lifecycle import ChildState, Operation, Verdict, answer
from .specs import ChildSpec, DynamicSupervisorSpec, check_significance
from .waits import check_end, check_group, current_life

if TYPE_CHECKING:
    from .incarnation import Incarnation
    from .place import Place
    from .supervisor_core import SupervisorCore


async def start_child(core: "SupervisorCore", spec: ChildSpec) -> "Place":
    """Add and start a child; see `Supervisor.start_child`."""
    _check_room(core, spec)
    if spec.id is not None:
        await _refuse_present(core, spec.id)
    place = core.make_place(spec, copy_context())
    life = await _start(core, place, forget=True)
    if life.ignored:
        core.settle(place)
        if core.dynamic:
            raise ChildIgnored(f"child {place.name!r} ignored its start")
    elif life.is_starting:
        if life.leave is not Leave.TERMINATE:
            core.forget(place)
        raise ChildStartError(place.name, _cause(life))
    return place


def start_child_nowait(core: "SupervisorCore", spec: ChildSpec) -> "Place":
    """Add a dynamic child and begin its start; see `DynamicSupervisor.start_child_nowait`."""
    _check_room(core, spec)
    if spec.id is not None and (kept := core.children.get(spec.id)) is not None:
        if answer(kept.state, Operation.START) is Verdict.ALREADY_STARTED:
            raise ChildAlreadyStarted(kept.ref)
        raise ChildAlreadyPresent(f"child {spec.id!r} is kept as {kept.state.value}")
    place = core.make_place(spec, copy_context())

    def settle(life: "Incarnation") -> None:
        # Of one that was terminated, or whose supervisor ends, whoever stops it disposes.
        if life.is_starting and life.leave is not Leave.TERMINATE and core.ending is None:
            core.forget(place)

    core.spawn(place, settle)
    return place


def _check_room(core: "SupervisorCore", spec: ChildSpec) -> None:
    if isinstance(core.spec, DynamicSupervisorSpec):
        if spec.significant:
            raise SpecError("significant: a dynamic supervisor has no significant children")
        if len(core.children) >= core.spec.max_children:
            raise MaxChildrenReached(
                f"{core.place.path or core.place.name} has its {core.spec.max_children} children"
            )
    else:
        check_significance(spec, core.auto_shutdown)
        if spec.id is None:
            raise SpecError("id: every child of a static supervisor needs one")


async def _refuse_present(core: "SupervisorCore", name: str) -> None:
    while (place := core.children.get(name)) is not None:
        verdict = answer(place.state, Operation.START)
        if verdict is Verdict.ALREADY_STARTED:
            raise ChildAlreadyStarted(place.ref)
        if verdict is Verdict.ALREADY_PRESENT:
            raise ChildAlreadyPresent(f"child {name!r} is kept as {place.state.value}")
        await _look_again(core, place)


async def terminate_child(core: "SupervisorCore", name: str, place: "Place | None" = None) -> None:
    """Stop a child for good; see `Supervisor.terminate_child`."""
    caller = current_life()
    place = _find(core, name) if place is None else place
    if core.children.get(name) is not place:
        raise ChildNotFound(f"no child {name!r}")
    check_end(caller, place)
    while core.restarts.holds(place):
        check_group(caller, core.restarts.group)
        await _look_again(core, place)
        if core.children.get(name) is not place:
            return  # a temporary child that the group's restart has stopped and forgotten
    verdict = answer(place.state, Operation.TERMINATE)
    if place.life is not None:
        place.life.ask(Leave.TERMINATE, SHUTDOWN)
        await place.life.wait_gone()
    elif verdict is not Verdict.NOTHING_TO_DO:
        core.settle(place)
    if verdict is Verdict.CANCEL_RETRY:
        core.restarts.abandon()
    await trio.lowlevel.checkpoint_if_cancelled()


async def restart_child(core: "SupervisorCore", name: str) -> "Place":
    """Start a terminated child at its old place; see `Supervisor.restart_child`."""
    place = await _find_terminated(core, name, Operation.RESTART)
    place.enter(ChildState.STARTING)
    place.returning = False
    place.admit()
    life = await _start(core, place, forget=False)
    if life.ignored:
        core.settle(place)
    elif life.is_starting:
        if life.leave is not Leave.TERMINATE:
            core.settle(place)
        raise ChildStartError(place.name, _cause(life))
    return place


async def delete_child(core: "SupervisorCore", name: str) -> None:
    """Forget a terminated child; see `Supervisor.delete_child`."""
    core.forget(await _find_terminated(core, name, Operation.DELETE))
    await trio.lowlevel.checkpoint()


def _find(core: "SupervisorCore", name: str) -> "Place":
    place = core.children.get(name)
    if place is None:
        raise ChildNotFound(f"{core.place.path or core.place.name} has no child {name!r}")
    return place


async def _find_terminated(core: "SupervisorCore", name: str, operation: Operation) -> "Place":
    while True:
        place = _find(core, name)
        verdict = answer(place.state, operation)
        if verdict is Verdict.RUNNING:
            raise ChildRunning(f"child {name!r} is running; terminate it first")
        if verdict is Verdict.RESTARTING:
            raise ChildRestarting(f"child {name!r} is being restarted; terminate it first")
        if verdict is Verdict.PROCEED and not core.restarts.holds(place):
            return place
        check_end(current_life(), place)
        check_group(current_life(), core.restarts.group)
        await _look_again(core, place)


async def _look_again(core: "SupervisorCore", place: "Place") -> None:
    """Wait for a change, or for the end of the supervisor, after which nothing is answered."""
    await place.wait_changed()
    if core.ending is not None:
        raise ActorStopped(core.place.ref, SHUTDOWN)


async def _start(core: "SupervisorCore", place: "Place", *, forget: bool) -> "Incarnation":
    """Start in the caller's task; cancelled, it takes the start back, cleanup awaited."""
    try:
        life = await core.start(place)
    except trio.Cancelled:
        if place.life is not None:
            place.life.ask(Leave.TERMINATE, SHUTDOWN)
            with trio.CancelScope(shield=True):
                await place.life.wait_gone()
        if forget:
            core.forget(place)
        raise
    if life.is_starting and core.ending is not None:
        raise ActorStopped(core.place.ref, SHUTDOWN)
    return life


def _cause(life: "Incarnation") -> BaseException | None:
    """Why a start failed: its error, or that somebody stopped it."""
    if life.reason is not None and life.reason.error is not None:
        return life.reason.error
    return ActorStopped(life.place.ref, life.reason)
