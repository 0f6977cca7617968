"""Draining: nothing more comes in, what was admitted is handled, then the actor stops."""

import pytest
import trio
from messaging import (
    Board,
    Desk,
    Do,
    DoCast,
    Note,
    Outcome,
    Say,
    Tick,
    ask,
    ask_all,
    begin,
    occupy,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorStopped,
    ChildSpec,
    ChildState,
    ExitKind,
    SupervisorSpec,
    open_supervisor,
)


async def test_what_was_admitted_is_handled(autojump_clock: MockClock) -> None:
    """Calls and casts, in order; `drain` returns when the actor is gone."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        queued = await ask_all(nursery, desk, "a b")
        desk.cast_nowait(Note("c"))
        drained = await begin(nursery, desk.drain)
        assert drained.pending

        occupied.release()
        await drained.wait()

        assert [await call.wait() for call in queued] == ["a", "b"]
        assert board.log == ["1:held", "1:a", "1:b", "1:c"]
        assert [reason.kind for reason in board.reasons] == [ExitKind.NORMAL]
        assert root.which_children()[0].state is ChildState.TERMINATED


async def test_admission_closes(autojump_clock: MockClock) -> None:
    """For calls and casts, at once, and for those that were waiting for room."""
    board = Board()
    spec = board.spec("desk", restart="transient", mailbox_capacity=1)
    async with open_supervisor(SupervisorSpec([spec])) as root, trio.open_nursery() as nursery:
        start = trio.current_time()
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        admitted = await ask(nursery, desk, Say("admitted"))
        cast = await begin(nursery, lambda: desk.cast(Note("waits for room")))
        call = await ask(nursery, desk, Say("waits for room"), timeout=60)

        drained = await begin(nursery, desk.drain)

        for waiting in (cast, call):
            assert isinstance(await waiting.error(), ActorStopped)
            assert waiting.at == start
        with pytest.raises(ActorStopped):
            desk.cast_nowait(Note("late"))
        with pytest.raises(ActorStopped):
            await desk.call(Say("late"))
        occupied.release()
        await drained.wait()
        assert await admitted.wait() == "admitted"
        assert board.log == ["1:held", "1:admitted"]


async def test_admission_closes_for_the_actor_s_own_sends() -> None:
    """Or a drain would never end."""
    board = Board()
    outcome = Outcome()

    async def go_on(desk: Desk) -> None:
        await outcome.run(lambda: desk.ref.cast(DoCast(go_on)))

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, root["desk"])
        root["desk"].cast_nowait(DoCast(go_on))
        drained = await begin(nursery, root["desk"].drain)

        occupied.release()
        await drained.wait()

        assert isinstance(outcome.result, ActorStopped)


async def test_an_idle_actor_is_drained_at_once(autojump_clock: MockClock) -> None:
    """Nothing was admitted, so nothing is waited for."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root:
        await wait_all_tasks_blocked()

        await root["desk"].drain()

        assert root.which_children()[0].state is ChildState.TERMINATED
        await root["desk"].drain()


async def test_a_stop_overtakes_a_drain(autojump_clock: MockClock) -> None:
    """The rest of the queue fails; both return when the actor is gone."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        queued = await ask_all(nursery, desk, "a b")
        drained = await begin(nursery, desk.drain)

        stopped = await begin(nursery, desk.stop)
        assert all([isinstance(await call.error(), ActorStopped) for call in queued])
        occupied.release()

        assert [await drained.wait(), await stopped.wait()] == [None, None]
        assert board.log == ["1:held"]


async def test_a_drain_that_its_requester_abandons_goes_on(autojump_clock: MockClock) -> None:
    """There is no time limit of its own: bound it with a scope, then kill."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="transient", shutdown=1)])) as r,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, r["desk"])
        queued = await ask(nursery, r["desk"], Say("queued"), timeout=60)
        with trio.move_on_after(10) as scope:
            await r["desk"].drain()

        occupied.release()

        assert scope.cancelled_caught
        assert await occupied.call.wait() == "released"
        assert await queued.wait() == "queued"


async def test_timers_go_on_while_draining(autojump_clock: MockClock) -> None:
    """They are not messages: admission is none of their business."""
    board = Board()

    async def start_timer(desk: Desk) -> None:
        desk.send_after(1.0, Tick())

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root,
        trio.open_nursery() as nursery,
    ):
        await root["desk"].call(Do(start_timer))
        occupied = await occupy(nursery, root["desk"])
        queued = await ask(nursery, root["desk"], Say("queued"))
        drained = await begin(nursery, root["desk"].drain)
        await trio.sleep(2)
        occupied.release()
        await drained.wait()

        assert await queued.wait() == "queued"
        assert board.log == ["1:held", "1:tick", "1:queued"]


async def test_draining_a_task_cancels_it(autojump_clock: MockClock) -> None:
    """It has no mailbox that could be drained."""

    async def forever() -> None:
        await trio.sleep_forever()

    spec = SupervisorSpec([ChildSpec("task", forever, restart="transient")])
    async with open_supervisor(spec) as root:
        await root["task"].drain()

        assert root.which_children()[0].state is ChildState.TERMINATED


@pytest.mark.parametrize("manner", ["drain", "stop"])
async def test_a_supervisor_s_end_is_its_children_s_first(
    manner: str, autojump_clock: MockClock
) -> None:
    """It waits for them, the last first; permanent as they are, they are not restarted."""
    # Q4
    boards = {"a": Board(), "b": Board()}
    branch = SupervisorSpec([board.spec(name) for name, board in boards.items()], max_restarts=0)
    spec = ChildSpec("branch", branch, restart="transient")
    async with open_supervisor(SupervisorSpec([spec])) as root, trio.open_nursery() as nursery:
        below = root.subtree("branch")
        a, b = below["a"], below["b"]
        occupied = {"a": await occupy(nursery, a), "b": await occupy(nursery, b)}
        queued = {"a": await ask(nursery, a, Say("of a")), "b": await ask(nursery, b, Say("of b"))}
        ref = root["branch"]
        ending = await begin(nursery, ref.drain if manner == "drain" else ref.stop)

        occupied["b"].release()
        await wait_all_tasks_blocked()
        assert len(boards["b"].reasons) == 1
        assert boards["a"].reasons == []
        assert ending.pending
        occupied["a"].release()
        await ending.wait()

        results = [await queued["a"].wait(), await queued["b"].wait()]
        if manner == "drain":
            assert results == ["of a", "of b"]
        else:
            assert all(isinstance(result, ActorStopped) for result in results)
        assert [board.built for board in boards.values()] == [1, 1]
        assert root.which_children()[0].state is ChildState.TERMINATED
