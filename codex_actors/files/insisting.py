"""Owns waiting a little longer for an answer that has to be known.

Invariant: what the work returns is kept, or it was given its extra time and cancelled; its task has
ended when `insist` has. Must not know what the work is.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

__all__ = ["insist"]

T = TypeVar("T")


async def insist(
    work: Callable[[], Awaitable[T]], keep: Callable[[T], object], seconds: float
) -> None:
    """Run some work and hand over what it returns; cancelled meanwhile, go on for some seconds.

    Raises:
        Exception: What the work raised, unless cancelled.
    """
    failures: list[Exception] = []
    ended = trio.Event()
    scope = trio.CancelScope(shield=True)

    async def run() -> None:
        try:
            with scope:
                keep(await work())
        except Exception as error:  # noqa: BLE001 - raised below, outside of the nursery
            failures.append(error)
        finally:
            ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        try:
            await ended.wait()
        except trio.Cancelled:
            scope.deadline = trio.current_time() + seconds
            raise
    if failures:
        raise failures[0]
