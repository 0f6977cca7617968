"""Waiting a little longer for an answer that has to be known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from codex_actors.files.insisting import insist

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def answering(seconds: float) -> Callable[[], Awaitable[str]]:
    """Return work that takes so long."""

    async def work() -> str:
        await trio.sleep(seconds)
        return "answer"

    return work


async def test_the_answer_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """Without a cancellation nothing is special."""
    kept: list[str] = []

    await insist(answering(5), kept.append, 2)

    assert kept == ["answer"]


@pytest.mark.parametrize(("cancelled_at", "kept_at_last"), [(4, ["answer"]), (1, [])])
async def test_cancelled_it_goes_on_for_a_while(
    autojump_clock: trio.testing.MockClock, cancelled_at: float, kept_at_last: list[str]
) -> None:
    """An answer within the extra time is kept; the cancellation goes its way all the same."""
    kept: list[str] = []

    with trio.move_on_after(cancelled_at) as scope:
        await insist(answering(5), kept.append, 2)

    assert kept == kept_at_last
    assert scope.cancelled_caught
    assert trio.current_time() == min(5, cancelled_at + 2)


async def test_a_failure_is_raised_bare() -> None:
    """Not in a group of one."""

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await insist(fail, lambda _: None, 2)
