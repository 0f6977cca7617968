"""Queued calls fail at once when nobody will answer them."""

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
    Work,
    ask,
    ask_all,
    begin,
    crash,
    hang,
    occupy,
    stop_self,
)
from trio.testing import MockClock

from codex_actors import (
    ActorDied,
    ActorStopped,
    Backoff,
    ChildSpec,
    ChildState,
    DynamicSupervisorSpec,
    ExitKind,
    RestartIntensityExceeded,
    SupervisorSpec,
    open_supervisor,
)


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_an_explicit_stop_fails_the_queue(restart: str, autojump_clock: MockClock) -> None:
    """Also when the child is restarted afterwards: who stops it means its work, too."""
    # Q1
    board = Board()
    spec = SupervisorSpec([board.spec("desk", restart=restart)])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        start = trio.current_time()
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        queued = await ask_all(nursery, desk, "b c")

        stop = await begin(nursery, desk.stop)

        for call in queued:
            error = await call.error()
            assert isinstance(error, ActorDied)
            assert error.reason.kind is ExitKind.NORMAL
            assert call.at == start
        assert stop.pending
        occupied.release()
        await stop.wait()
        assert await occupied.call.wait() == "released"
        assert board.log == ["1:held"]


async def test_an_explicit_stop_fails_a_message_that_nobody_has_begun() -> None:
    """Sent to an idle actor and stopped in the same breath, it is not left to the next one."""
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        desk = root["desk"]

        desk.cast_nowait(Note("too late"))
        await desk.stop()

        assert await desk.call(Say("next")) == "next"
        assert "2:too late" not in board.log


async def test_a_message_after_a_stop_is_for_the_next_incarnation() -> None:
    """The stop fails what was queued before it, not what comes later."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, root["desk"])
        await begin(nursery, root["desk"].stop)

        later = await ask(nursery, root["desk"], Say("later"))
        assert later.pending
        occupied.release()

        assert await later.wait() == "later"
        assert board.log == ["1:held", "2:later"]


@pytest.mark.parametrize("end", [crash, stop_self], ids=["crash", "normal"])
async def test_queued_calls_fail_at_once_when_nobody_comes_back(
    end: Work, autojump_clock: MockClock
) -> None:
    """A temporary child's queue ends with it."""
    # C1
    board = Board()
    hold = Hold()

    async def work(desk: Desk) -> None:
        await hold.released.wait()
        await end(desk)

    spec = SupervisorSpec([board.spec("desk", restart="temporary", mailbox_capacity=2)])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        start = trio.current_time()
        await ask(nursery, root["desk"], Do(work))
        queued = await ask_all(nursery, root["desk"], "b c")
        for_room = await ask(nursery, root["desk"], Say("d"))

        hold.release()

        for call in (*queued, for_room):
            error = await call.error()
            assert isinstance(error, ActorStopped)
            assert error.reason.kind is (ExitKind.CRASH if end is crash else ExitKind.NORMAL)
            assert call.at == start
        assert board.log == []


async def test_queued_calls_fail_at_once_when_the_child_is_terminated(
    autojump_clock: MockClock,
) -> None:
    """Not only when its message in hand has ended."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        start = trio.current_time()
        occupied = await occupy(nursery, root["desk"])
        queued = await ask_all(nursery, root["desk"], "b c")

        await begin(nursery, lambda: root.terminate_child("desk"))

        for call in queued:
            assert isinstance(await call.error(), ActorStopped)
            assert call.at == start
        occupied.release()


async def test_queued_calls_fail_when_the_supervisor_gives_up(autojump_clock: MockClock) -> None:
    """Of the crashed child, and of its siblings."""
    board, other = Board(), Board()
    spec = SupervisorSpec([board.spec("desk"), other.spec("other")], max_restarts=0)

    async def run() -> None:
        async with open_supervisor(spec) as root:
            start = trio.current_time()
            async with trio.open_nursery() as nursery:
                occupied = await occupy(nursery, root["other"])
                sibling = await ask(nursery, root["other"], Say("x"), timeout=60)
                root["desk"].cast_nowait(DoCast(crash))
                own = await ask(nursery, root["desk"], Say("y"), timeout=60)

                assert isinstance(await own.error(), ActorStopped)
                assert isinstance(await sibling.error(), ActorStopped)
                assert own.at == sibling.at == start
                occupied.release()
            await trio.sleep_forever()

    with pytest.raises(RestartIntensityExceeded) as caught:
        await run()

    assert isinstance(caught.value.crashes[0], Boom)


async def test_queued_calls_fail_when_a_branch_is_gone(autojump_clock: MockClock) -> None:
    """A supervisor that is terminated takes the queues of all below with it."""
    board = Board()
    branch = ChildSpec("branch", SupervisorSpec([board.spec("desk", backoff=Backoff(base=9.0))]))
    async with open_supervisor(SupervisorSpec([branch])) as root, trio.open_nursery() as nursery:
        desk = root.subtree("branch")["desk"]
        await begin(nursery, lambda: desk.cast(DoCast(crash)))
        start = trio.current_time()
        waiting = await ask(nursery, desk, Say("x"), timeout=60)

        await root.terminate_child("branch")

        assert isinstance(await waiting.error(), ActorStopped)
        assert waiting.at == start
        with pytest.raises(ActorStopped):
            await desk.call(Say("y"))


async def test_a_ref_stays_valid_when_the_branch_above_is_restarted() -> None:
    """A branch that gave up comes back with its static children, and their queues with it."""
    board = Board()
    branch = ChildSpec("branch", SupervisorSpec([board.spec("desk")], max_restarts=0))
    async with open_supervisor(SupervisorSpec([branch])) as root, trio.open_nursery() as nursery:
        desk = root.subtree("branch")["desk"]
        desk.cast_nowait(DoCast(crash))
        queued = await ask(nursery, desk, Say("queued"))

        assert await queued.wait() == "queued"
        assert await desk.call(Say("after")) == "after"
        assert root.subtree("branch")["desk"] is desk
        assert board.log == ["2:queued", "2:after"]


async def test_dynamic_children_do_not_survive_their_supervisor(
    autojump_clock: MockClock,
) -> None:
    """Their queues end with it."""
    board = Board()
    pool = ChildSpec("pool", DynamicSupervisorSpec(max_restarts=0))
    async with open_supervisor(SupervisorSpec([pool])) as root, trio.open_nursery() as nursery:
        handle = root.subtree("pool")
        desk = await handle.start_child(board.spec(None))
        desk.cast_nowait(DoCast(crash))
        queued = await ask(nursery, desk, Say("x"), timeout=60)

        assert isinstance(await queued.error(), ActorStopped)
        assert handle.count_children().specs == 0


@pytest.mark.parametrize("when", ["in backoff", "in its start"])
async def test_queued_calls_fail_when_the_restart_they_wait_for_is_called_off(
    when: str, autojump_clock: MockClock
) -> None:
    """The group waits for a sibling that is terminated: nobody of it comes back by itself."""
    sibling, board = Board(), Board()
    backoff = Backoff(base=1000.0, max=1000.0) if when == "in backoff" else None
    spec = SupervisorSpec(
        [sibling.spec("sibling", backoff=backoff), board.spec("desk")], strategy="one_for_all"
    )
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        desk = root["desk"]
        sibling.on_init = crash if when == "in backoff" else hang
        desk.cast_nowait(DoCast(crash))
        queued = await ask(nursery, desk, Say("queued"), timeout=60)
        assert queued.pending
        start = trio.current_time()

        await root.terminate_child("sibling")

        assert isinstance(await queued.error(), ActorStopped)
        assert queued.at == start
        states = [child.state for child in root.which_children()]
        assert states == [ChildState.TERMINATED, ChildState.TERMINATED]
        await root.restart_child("desk")
        assert await desk.call(Say("back")) == "back"


async def test_a_queued_call_learns_the_crash_that_ended_its_actor(
    autojump_clock: MockClock,
) -> None:
    """The actor will not come back, and the crash itself is the cause of the error."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="temporary")])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        desk.cast_nowait(DoCast(crash))
        queued = await ask(nursery, desk, Say("queued"), timeout=60)

        error = await queued.error()

        assert isinstance(error, ActorDied)
        assert isinstance(error.__cause__, Boom)
