"""Owns where the tasks of a process stand: their stacks, in the order of their nurseries.

Invariant: names and places of code, never values; a document per task, its parent before it. The
event loop goes on meanwhile, and reads no file. Must not know who asks.
"""

import itertools
import linecache
from collections.abc import Iterator, Mapping
from typing import Any

import trio
from attrs import frozen

__all__ = ["stacks"]

# Tasks that are looked at without letting others run.
AT_ONCE = 200


@frozen
class _Seen:
    """One task that is to be looked at.

    Attributes:
        task: The task.
        parent: The number of the one whose nursery it runs in, None for the first.
        nursery: Which of that one's nurseries, the outermost is 0.
        depth: How many are above it.
        above: The path of the innermost actor above it.
    """

    task: trio.lowlevel.Task
    parent: int | None = None
    nursery: int = 0
    depth: int = 0
    above: str = ""


async def stacks(first: trio.lowlevel.Task, actors: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return where a task and all below it stand.

    Args:
        first: The task.
        actors: The actors' paths, each with its place in the order.

    Returns:
        For each task `task` (its number), `parent`, `nursery`, `depth`, `name`, `actor` (the path,
        if it is an actor's own task), `frames`: the outermost first, each with `file`, `line`,
        `function` and `source`.
    """
    found: list[dict[str, Any]] = []
    pending = [_Seen(first)]
    while pending:
        if len(found) % AT_ONCE == AT_ONCE - 1:
            await trio.lowlevel.checkpoint()
        seen = pending.pop()
        number = len(found)
        actor = _actor(seen, actors)
        found.append(
            {
                "task": number,
                "parent": seen.parent,
                "nursery": seen.nursery,
                "depth": seen.depth,
                "name": seen.task.name,
                "actor": actor,
                "frames": list(_frames(seen.task)),
            }
        )
        above = seen.above if actor is None else actor
        below = [
            _Seen(task, number, place, seen.depth + 1, above)
            for place, nursery in enumerate(seen.task.child_nurseries)
            for task in _in_order(nursery, actors)
        ]
        pending.extend(reversed(below))
    # A limiter of its own: where all threads hang is when somebody wants to see the stacks.
    await trio.to_thread.run_sync(
        _read_sources, found, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
    )
    return found


def _actor(seen: _Seen, actors: Mapping[str, int]) -> str | None:
    """The path of the actor whose task this is: it bears the path, and runs below its parent's."""
    name = seen.task.name
    return name if name in actors and name.rpartition("/")[0] == seen.above else None


def _in_order(nursery: trio.Nursery, actors: Mapping[str, int]) -> list[trio.lowlevel.Task]:
    """The tasks of a nursery, which has them in none: actors as they started, then by name."""
    return sorted(
        nursery.child_tasks, key=lambda task: (actors.get(task.name, len(actors)), task.name)
    )


def _frames(task: trio.lowlevel.Task) -> Iterator[dict[str, Any]]:
    for frame, line in task.iter_await_frames():
        code = frame.f_code
        yield {"file": code.co_filename, "line": line, "function": code.co_qualname}


def _read_sources(found: list[dict[str, Any]]) -> None:
    """Add the lines of code; blocks."""
    for frame in itertools.chain.from_iterable(task["frames"] for task in found):
        frame["source"] = linecache.getline(frame["file"], frame["line"]).strip()
