"""Tasks beside a block: how both end."""

import pytest
import trio
import trio.testing

from codex_actors._background import open_background


async def test_the_error_of_the_block_passes_bare() -> None:
    """Neither a group of one around it, nor tasks that outlive it."""
    ended = False

    async def work() -> None:
        nonlocal ended
        try:
            await trio.sleep_forever()
        finally:
            ended = True

    async def body() -> None:
        async with open_background() as nursery:
            nursery.start_soon(work)
            await trio.testing.wait_all_tasks_blocked()
            raise KeyError

    with pytest.raises(KeyError):
        await body()
    assert ended


def test_a_task_that_ends_the_block_ends_it_quietly() -> None:
    """Also when the block is in a nursery of its own, whose tasks are cancelled with it."""

    async def leave(scope: trio.CancelScope) -> None:
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()

    async def main() -> str:
        async with open_background() as nursery:
            nursery.start_soon(leave, nursery.cancel_scope)
            async with trio.open_nursery() as inner:
                inner.start_soon(trio.sleep_forever)
                await trio.sleep_forever()
        return "left"

    # In a run of its own: that of another test would take a cancellation that strays for its own.
    assert trio.run(main) == "left"


async def test_neither_error_hides_the_other() -> None:
    """A task that fails while the error of the block ends it: both are told."""

    async def fail_at_the_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("of the task")

    async def body() -> None:
        async with open_background() as nursery:
            nursery.start_soon(fail_at_the_end)
            await trio.testing.wait_all_tasks_blocked()
            raise KeyError("of the block")

    with pytest.raises(ExceptionGroup) as both:
        await body()
    assert both.value.subgroup(KeyError) is not None
    assert both.value.subgroup(OSError) is not None
