"""What changes all the time is told at a pace."""

from itertools import pairwise
from typing import Any

import trio
from trio.testing import MockClock

from codex_actors._background import open_background
from codex_actors.control.pacing import Pace


async def test_the_newest_is_told_at_most_so_often(autojump_clock: MockClock) -> None:
    """A thousand changes a second are ten notes, and the last is not missed."""
    told: list[tuple[float, dict[str, Any]]] = []
    begun = trio.current_time()
    pace = Pace(lambda note: told.append((trio.current_time() - begun, note)), interval=0.1)

    async with open_background() as nursery:
        nursery.start_soon(pace.run)
        for number in range(1000):
            pace.tell({"at": number})
            await trio.sleep(0.001)
        await trio.sleep(1)

    times = [at for at, _note in told]
    assert 9 <= len(told) <= 12
    assert all(later - earlier > 0.099 for earlier, later in pairwise(times))
    assert told[-1][1] == {"at": 999}


async def test_what_is_told_at_once_comes_after_what_was_kept(autojump_clock: MockClock) -> None:
    """The order is that of what happened, and nothing is told twice."""
    told: list[dict[str, Any]] = []
    pace = Pace(told.append)

    pace.tell({"at": 1})
    pace.tell({"at": 2})
    pace.tell_now({"state": "retry"})
    pace.flush()

    assert told == [{"at": 2}, {"state": "retry"}]
