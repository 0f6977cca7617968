"""Who waits for whom: finds the call that could never be answered, before it is made.

An edge runs from an incarnation to the place that its own task awaits.  Tasks that a
handler spawned make no edges: they may race.  Also a place whose start waits its turn
behind a sibling's waits for that sibling.
"""

from typing import TYPE_CHECKING

import trio

from .errors import CallCycle

if TYPE_CHECKING:
    from .incarnation import Incarnation
    from .place import Place

# The incarnation whose own task a task is.  One dictionary for all runs and threads:
# each entry is written and removed by the task that it is about.
LIVES: "dict[trio.lowlevel.Task, Incarnation]" = {}


def current_life() -> "Incarnation | None":
    """The incarnation whose own task runs now, None in any other task."""
    return LIVES.get(trio.lowlevel.current_task())


def responsible_life() -> "Incarnation | None":
    """The incarnation to which the current task belongs, be it in a nursery of its own."""
    task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
    while task is not None and task not in LIVES:
        nursery = task.parent_nursery
        task = nursery.parent_task if nursery is not None else None
    return LIVES[task] if task is not None else None


def check_call(life: "Incarnation | None", target: "Place") -> None:
    """Raise `CallCycle` when `target` (directly or not) waits for `life`.

    As OTP's `calling_self`, extended to loops of any length.
    """
    if life is None:
        return
    trail = [life.place.path]
    place: Place | None = target
    while place is not None and len(trail) <= len(LIVES) + 1:
        trail.append(place.path)
        if place is life.place:
            raise CallCycle(tuple(trail))
        place = place.waits_for()


def check_end(life: "Incarnation | None", target: "Place") -> None:
    """Raise `CallCycle` when awaiting the end of `target` would await `life`'s own.

    The end of a supervisor includes the end of all below it.
    """
    if life is None:
        return
    above: Place | None = life.place
    while above is not None:
        if above is target:
            raise CallCycle((life.place.path, target.path or target.name))
        above = above.parent
    check_call(life, target)


def check_start(life: "Incarnation | None", supervisor: "Place") -> None:
    """Raise `CallCycle` when a child's start asks its own supervisor to start another.

    The supervisor (or one above it) is waiting for that start.
    """
    above: Place | None = life.place if life is not None and life.is_starting else None
    while life is not None and above is not None:
        if above.parent is supervisor:
            raise CallCycle((life.place.path, supervisor.path or supervisor.name))
        # A supervisor that has not acknowledged waits for this start, and so does its parent.
        above = above.parent if above.parent is not None and above.parent.is_starting else None


def check_group(life: "Incarnation | None", group: "tuple[Place, ...]") -> None:
    """Raise `CallCycle` when awaiting a group restart would await the end of `life`."""
    for place in group:
        above: Place | None = life.place if life is not None else None
        while above is not None:
            if above is place and life is not None:
                raise CallCycle((life.place.path, "the restart of its own group"))
            above = above.parent
