"""Control travels beside the mailbox: stop, kill, monitors and timers never queue."""

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
    ActorDied,
    ActorStopped,
    ChildState,
    ExitKind,
    Shutdown,
    SupervisorSpec,
    open_supervisor,
)


async def test_a_stop_overtakes_the_queue() -> None:
    """The message in hand is finished, the nine behind it fail."""
    # Q1
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        queued = await ask_all(nursery, desk, "1 2 3 4 5 6 7 8 9")

        stopped = await begin(nursery, desk.stop)
        occupied.release()
        await stopped.wait()

        assert await occupied.call.wait() == "released"
        assert all([isinstance(await call.error(), ActorStopped) for call in queued])
        assert board.log == ["1:held"]


async def test_a_stop_does_not_interrupt_a_handler_and_a_kill_does(
    autojump_clock: MockClock,
) -> None:
    """`stop` waits for the message in hand, `kill` cancels it there and then."""
    # Q2
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", shutdown=100)])) as root,
        trio.open_nursery() as nursery,
    ):
        start = trio.current_time()
        occupied = await occupy(nursery, root["desk"])
        stopped = await begin(nursery, root["desk"].stop)
        await trio.sleep(50)
        assert stopped.pending
        assert root.which_children()[0].state is ChildState.STOPPING

        root["desk"].kill()

        error = await occupied.call.error()
        assert isinstance(error, ActorDied)
        assert error.reason.kind is ExitKind.KILLED
        await stopped.wait()
        assert stopped.at == start + 50
        assert [reason.kind for reason in board.reasons] == [ExitKind.KILLED]


@pytest.mark.parametrize("hook", ["init", "continue"])
async def test_a_kill_interrupts_the_hooks_of_a_life(hook: str, autojump_clock: MockClock) -> None:
    """Not only message handlers; and after a start that never was, `terminate` is not run."""
    # Q2
    board = Board()

    async def wait(desk: Desk) -> None:
        desk.write(f"in {hook}")
        await trio.sleep_forever()

    if hook == "init":
        board.on_init = wait
    else:
        board.on_continue = wait
    async with open_supervisor(SupervisorSpec([])) as root, trio.open_nursery() as nursery:
        start = trio.current_time()
        starting = await begin(
            nursery, lambda: root.start_child(board.spec("desk", restart="temporary"))
        )
        desk = root["desk"]

        desk.kill()
        reason = await desk.wait_stopped()

        assert reason.kind is ExitKind.KILLED
        assert trio.current_time() == start
        assert board.log == [f"1:in {hook}"]
        assert len(board.reasons) == (0 if hook == "init" else 1)
        await starting.wait()


async def test_a_stop_asks_and_after_its_time_cancels(autojump_clock: MockClock) -> None:
    """The spec's `shutdown` bounds the message in hand; then it is a kill."""
    board = Board()
    spec = board.spec("desk", restart="temporary", shutdown=3)
    async with open_supervisor(SupervisorSpec([spec])) as root, trio.open_nursery() as nursery:
        start = trio.current_time()
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        watch = await begin(nursery, desk.wait_stopped)

        await desk.stop()

        assert trio.current_time() == start + 3
        assert isinstance(await occupied.call.error(), ActorDied)
        reason = await watch.wait()
        assert board.reasons == [reason]
        assert board.reasons[0].kind is ExitKind.KILLED


@pytest.mark.parametrize("capacity", [0, 1])
async def test_a_full_mailbox_blocks_no_control(capacity: int, autojump_clock: MockClock) -> None:
    """Stop, `Down` and timers get through, although senders wait for room."""
    board, other = Board(), Board()
    spec = SupervisorSpec([board.spec("desk", mailbox_capacity=capacity), other.spec("other")])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        desk = root["desk"]

        async def watch(actor: Desk) -> None:
            actor.monitor(actor.supervisor["other"])
            actor.send_after(1.0, Tick("timer"))

        await desk.call(Do(watch))
        occupied = await occupy(nursery, desk)
        queued = await ask_all(nursery, desk, "a b c")
        root["other"].kill()
        await trio.sleep(2)
        occupied.release()

        assert [await call.wait() for call in queued] == ["a", "b", "c"]
        assert board.log == ["1:held", "1:down", "1:timer", "1:a", "1:b", "1:c"]


async def test_infos_do_not_count_against_the_capacity(autojump_clock: MockClock) -> None:
    """A thousand ticks beside a mailbox of one."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=1)])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]

        async def start_timers(actor: Desk) -> None:
            for number in range(1_000):
                actor.send_after(1.0, Tick(str(number)))

        await desk.call(Do(start_timers))
        occupied = await occupy(nursery, desk)
        desk.cast_nowait(Note("message"))
        await trio.sleep(2)
        occupied.release()
        await desk.call(Say("last"))

        assert len(board.log) == 1_003
        assert board.log[-2:] == ["1:message", "1:last"]


async def test_the_capacity_zero_hands_over_directly(autojump_clock: MockClock) -> None:
    """Every sender waits until the actor is ready for its message, and nothing is lost."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", mailbox_capacity=0)])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        await wait_all_tasks_blocked()
        desk.cast_nowait(Note("a parked actor takes it"))

        occupied = await occupy(nursery, desk)
        queued = await ask_all(nursery, desk, "a b")
        occupied.release()

        assert [await call.wait() for call in queued] == ["a", "b"]
        assert await desk.call(Say("c")) == "c"
        await desk.stop()
        assert await desk.call(Say("d")) == "d"
        assert board.log[-1] == "2:d"


async def test_an_idle_actor_stops_at_once(autojump_clock: MockClock) -> None:
    """Nothing in hand: a stop needs no time, from outside and from inside."""
    board = Board()
    desks: list[Desk] = []

    async def init(desk: Desk) -> None:
        desks.append(desk)

    board.on_init = init
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        start = trio.current_time()
        await wait_all_tasks_blocked()
        await root["desk"].stop()
        await wait_all_tasks_blocked()

        desks[-1].stop()  # by a helper of the actor, for instance
        await wait_all_tasks_blocked()

        assert board.built == 3
        assert trio.current_time() == start


async def test_stopping_twice_joins_the_stop(autojump_clock: MockClock) -> None:
    """Everybody who stops returns when the actor is gone."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="temporary")])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        occupied = await occupy(nursery, desk)
        stops = [await begin(nursery, desk.stop) for _ in range(3)]
        assert all(stop.pending for stop in stops)

        occupied.release()

        assert [await stop.wait() for stop in stops] == [None, None, None]
        assert len(board.reasons) == 1


async def test_a_stop_goes_on_when_its_requester_gives_up(autojump_clock: MockClock) -> None:
    """Cancelled, `stop` stops waiting, not stopping."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root,
        trio.open_nursery() as nursery,
    ):
        occupied = await occupy(nursery, root["desk"])
        with trio.move_on_after(1) as scope:
            await root["desk"].stop()

        occupied.release()
        await wait_all_tasks_blocked()

        assert scope.cancelled_caught
        assert root.which_children()[0].state is ChildState.TERMINATED


async def test_brutal_kill_is_for_supervisors_not_for_refs(autojump_clock: MockClock) -> None:
    """A ref's stop finishes the message in hand, whatever the spec says of shutdown."""
    board = Board()
    spec = board.spec("desk", restart="transient", shutdown=Shutdown.BRUTAL_KILL)
    async with open_supervisor(SupervisorSpec([spec])) as root, trio.open_nursery() as nursery:
        occupied = await occupy(nursery, root["desk"])
        stopped = await begin(nursery, root["desk"].stop)
        occupied.release()
        await stopped.wait()

        assert await occupied.call.wait() == "released"
        assert [reason.kind for reason in board.reasons] == [ExitKind.NORMAL]


async def test_wait_stopped_is_about_the_current_incarnation(autojump_clock: MockClock) -> None:
    """It returns at its end; at once when the child has ended for good."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        desk = root["desk"]
        watch = Outcome()
        nursery.start_soon(watch.run, desk.wait_stopped)
        await wait_all_tasks_blocked()

        desk.cast_nowait(DoCast(_crash_with_text))
        await watch.wait()
        again = await ask(nursery, desk, Say("again"))
        await root.terminate_child("desk")

        assert str(watch.result) == "crash: ValueError: torn paper"
        assert again.result == "again"
        assert (await desk.wait_stopped()).kind is ExitKind.SHUTDOWN


async def _crash_with_text(_desk: Desk) -> None:
    raise ValueError("torn paper")
