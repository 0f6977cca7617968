"""Owns running tasks beside the body of an `async with`, for all who do that around the framework.

Invariant: the tasks end with the body, and the body's own error leaves the block bare, not in a
group of one: a caller's `except CodexError` must see it. Must not know what the tasks do.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["open_background", "wait_first"]


async def wait_first(*events: trio.Event) -> None:
    """Wait until one of the events is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)


@asynccontextmanager
async def open_background() -> AsyncGenerator[trio.Nursery]:
    """Open a nursery whose tasks are cancelled when the body ends.

    When a task fails while the body's error ends the block, both leave it, in a group.
    """
    body_error: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:
                # A cancellation may be the nursery's own, and must not pass it by.
                if _has_cancelled(error):
                    raise
                body_error = error  # raised again below, outside of the nursery
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as failed:
        if body_error is None:
            raise
        raise failed.derive([body_error, *failed.exceptions]) from None
    if body_error is not None:
        raise body_error


def _has_cancelled(error: BaseException) -> bool:
    """Whether it is a cancellation, or a group with one in it, as of a nursery in the block."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return group.subgroup(trio.Cancelled) is not None
    return isinstance(error, trio.Cancelled)
