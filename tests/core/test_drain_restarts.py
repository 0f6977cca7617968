"""Draining goes on over a restart: what was admitted is handled, by whichever incarnation."""

import pytest
import trio
from messaging import (
    Board,
    Boom,
    Desk,
    Do,
    DoCast,
    Hold,
    Note,
    Say,
    ask,
    begin,
    crash,
    occupy,
    stop_self,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorDied,
    ActorStopped,
    Backoff,
    ChildState,
    SupervisorSpec,
    open_supervisor,
)


async def test_a_crash_while_draining_drains_on_in_the_next_incarnation(
    autojump_clock: MockClock,
) -> None:
    """Admission stays closed, and `drain` waits for the whole queue."""
    board = Board()
    spec = board.spec("desk", restart="transient", backoff=Backoff(base=4.0))
    async with open_supervisor(SupervisorSpec([spec])) as root, trio.open_nursery() as nursery:
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        before = await ask(nursery, desk, Say("before"))
        crashing = await ask(nursery, desk, Do(crash))
        after = await ask(nursery, desk, Say("after"), timeout=60)
        drained = await begin(nursery, desk.drain)
        occupied.release()
        await wait_all_tasks_blocked()
        assert root.which_children()[0].state is ChildState.BACKOFF
        assert drained.pending
        with pytest.raises(ActorStopped):
            desk.cast_nowait(Note("late"))

        await drained.wait()

        assert await before.wait() == "before"
        assert isinstance((await crashing.error()).__cause__, Boom)
        assert await after.wait() == "after"
        assert board.log == ["1:held", "1:before", "2:after"]


async def test_a_self_stop_while_draining_loses_nothing(autojump_clock: MockClock) -> None:
    """A permanent actor that ends by itself is restarted, and its queue is kept."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        start = trio.current_time()
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        stopping = await ask(nursery, desk, Do(stop_self))
        behind = await ask(nursery, desk, Say("behind"), timeout=60)
        await begin(nursery, desk.drain)

        occupied.release()

        assert await stopping.wait() is None
        assert await behind.wait() == "behind"
        assert behind.at == start


async def test_a_permanent_actor_runs_again_after_its_drain() -> None:
    """Its restart type says so: it is admitted to again."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        queued = await ask(nursery, desk, Say("queued"))
        drained = await begin(nursery, desk.drain)
        occupied.release()
        await drained.wait()

        assert await desk.call(Say("again")) == "again"
        assert await queued.wait() == "queued"
        assert board.log == ["1:held", "1:queued", "2:again"]


async def test_a_crash_after_a_stop_has_overtaken_a_drain_is_an_ordinary_one(
    autojump_clock: MockClock,
) -> None:
    """The next incarnation finds an empty mailbox, not a broken one."""
    board = Board()
    hold = Hold()

    async def work(desk: Desk) -> None:
        await hold(desk)
        await crash(desk)

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        await ask(nursery, desk, Do(work))
        await begin(nursery, desk.drain)
        await begin(nursery, desk.stop)

        hold.release()
        await wait_all_tasks_blocked()

        assert board.built <= 3
        assert await desk.call(Say("well")) == "well"


async def test_a_kill_while_draining_drains_on(autojump_clock: MockClock) -> None:
    """A kill loses the message in hand, as a crash does."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        queued = await ask(nursery, desk, Say("queued"))
        drained = await begin(nursery, desk.drain)

        desk.kill()

        assert isinstance(await occupied.call.error(), ActorDied)
        assert await queued.wait() == "queued"
        await drained.wait()
        assert board.log == ["1:held", "2:queued"]


async def test_a_drain_during_a_backoff_drains_in_the_next_incarnation(
    autojump_clock: MockClock,
) -> None:
    """What waits for the restart was admitted; nothing more is."""
    board = Board()
    spec = board.spec("desk", restart="transient", backoff=Backoff(base=4.0))
    async with open_supervisor(SupervisorSpec([spec])) as root, trio.open_nursery() as nursery:
        desk = root["desk"]
        desk.cast_nowait(DoCast(crash))
        queued = await ask(nursery, desk, Say("queued"), timeout=60)
        assert root.which_children()[0].state is ChildState.BACKOFF

        drained = await begin(nursery, desk.drain)
        assert drained.pending
        with pytest.raises(ActorStopped):
            desk.cast_nowait(Note("late"))
        await drained.wait()

        assert await queued.wait() == "queued"
        assert root.which_children()[0].state is ChildState.TERMINATED
