"""Starting a static supervisor."""

import trio
from actors import Journal, Plan, worker
from trio.testing import MockClock

from codex_actors import SupervisorSpec, open_supervisor


async def test_starts_are_acknowledged_one_by_one(autojump_clock: MockClock) -> None:
    """Each child has acknowledged its start before the next begins."""
    # S1
    journal = Journal()
    children = [worker(journal, name, Plan(start_seconds=1)) for name in "abc"]
    began = trio.current_time()

    async with open_supervisor(SupervisorSpec(children)):
        assert trio.current_time() - began == 3
        assert journal.take() == "+a +b +c"
        assert [time - began for time in journal.times] == [1, 2, 3]

    assert journal.take() == "-c -b -a"
