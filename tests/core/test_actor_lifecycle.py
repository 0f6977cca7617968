"""An actor's life: build, init, continue, messages; and what each may fail with."""

import pytest
import trio
from messaging import (
    Board,
    Boom,
    Desk,
    Do,
    Note,
    Say,
    Tick,
    ask,
    begin,
    crash,
    hang,
    stop_self,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ActorDied,
    ActorError,
    ChildExited,
    ChildSpec,
    ChildStartError,
    ChildStartFailed,
    ChildState,
    ExitKind,
    IgnoreChild,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog


async def _ignore(_desk: Desk) -> None:
    raise IgnoreChild


async def test_the_continue_hook_runs_before_any_message() -> None:
    """Also before one that was queued before `init` returned, and one that `init` sent."""
    # C10
    board = Board()
    gate = trio.Event()

    async def init(desk: Desk) -> None:
        await desk.ref.cast(Note("sent by init"))
        desk.send_after(0, Tick())
        await gate.wait()

    async def go_on(desk: Desk) -> None:
        await trio.lowlevel.checkpoint()
        desk.write("continued")

    board.on_init, board.on_continue = init, go_on
    async with open_supervisor(SupervisorSpec([])) as root, trio.open_nursery() as nursery:
        nursery.start_soon(root.start_child, board.spec("desk"))
        await wait_all_tasks_blocked()
        early = await ask(nursery, root["desk"], Say("early"))

        gate.set()
        await early.wait()

        assert board.log == ["1:continued", "1:tick", "1:sent by init", "1:early"]


async def test_the_start_is_acknowledged_before_the_continue_hook(
    autojump_clock: MockClock,
) -> None:
    """A slow hook holds up nobody's start."""
    # C10
    board, other = Board(), Board()
    board.on_continue = hang
    async with open_supervisor(SupervisorSpec([board.spec("desk"), other.spec("other")])) as root:
        states = [child.state for child in root.which_children()]

    assert states == [ChildState.RUNNING, ChildState.RUNNING]


async def test_a_failing_continue_hook_is_a_crash(event_log: EventLog) -> None:
    """The start had succeeded: the supervisor is told, and `terminate` runs."""
    # Q6
    board = Board()

    async def fail_once(desk: Desk) -> None:
        if desk.number == 1:
            raise Boom

    board.on_continue = fail_once
    async with open_supervisor(SupervisorSpec([board.spec("desk")]), on_event=[event_log]) as root:
        await root["desk"].call(Say("second"))

        ended = event_log.of(ChildExited)
        assert isinstance(ended[0].reason.error, Boom)
        assert [reason.kind for reason in board.reasons] == [ExitKind.CRASH]


async def test_a_failing_init_is_the_starter_s_affair(event_log: EventLog) -> None:
    """Only who starts it sees the error; `terminate` does not run; nothing is registered."""
    # C12, Q6
    board = Board()
    board.on_init = crash
    async with open_supervisor(SupervisorSpec([], max_restarts=0), on_event=[event_log]) as root:
        with pytest.raises(ChildStartError, match="'desk'") as caught:
            await root.start_child(board.spec("desk"))

        assert caught.value.child_id == "desk"
        assert isinstance(caught.value.__cause__, Boom)
        assert root.whereis("desk") is None
        assert board.reasons == []
        assert [event.path for event in event_log.of(ChildStartFailed)] == ["desk"]
        board.on_init = stop_self
        await root.start_child(board.spec("desk", restart="temporary"))


async def test_an_init_that_ignores_registers_no_actor() -> None:
    """No process, no failure, no `terminate`."""
    # C12
    board = Board()
    board.on_init = _ignore
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        assert root.which_children()[0].state is ChildState.TERMINATED
        assert root.count_children().active == 0
        assert board.reasons == []


async def test_an_init_that_stops_is_a_start_and_an_end() -> None:
    """`self.stop()` there means: after the start."""
    # C12
    board = Board()
    board.on_init = stop_self
    async with open_supervisor(SupervisorSpec([board.spec("desk", restart="temporary")])) as root:
        await wait_all_tasks_blocked()

        assert root.whereis("desk") is None
        assert [reason.kind for reason in board.reasons] == [ExitKind.NORMAL]


async def test_ignoring_after_the_start_is_a_crash() -> None:
    """`IgnoreChild` is a word of `init` only."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        ignored = await ask(nursery, root["desk"], Do(_ignore))

        error = await ignored.error()
        assert isinstance(error, ActorDied)
        assert isinstance(error.__cause__, IgnoreChild)
        assert board.built == 2


async def test_init_cleans_up_after_itself(autojump_clock: MockClock) -> None:
    """A start that takes too long is cancelled: its `finally` runs, `terminate` does not."""
    board = Board()

    async def slow(desk: Desk) -> None:
        try:
            await trio.sleep_forever()
        finally:
            desk.write("tidied up")

    board.on_init = slow
    async with open_supervisor(SupervisorSpec([])) as root:
        start = trio.current_time()

        with pytest.raises(ChildStartError) as caught:
            await root.start_child(board.spec("desk", start_timeout=3))

        assert isinstance(caught.value.__cause__, trio.TooSlowError)
        assert trio.current_time() == start + 3
        assert board.log == ["1:tidied up"]
        assert board.reasons == []


async def test_an_actor_that_is_not_supervised_says_so() -> None:
    """`__init__` is plain Python: there is no `self.ref` yet."""
    desk = Desk(Board())

    with pytest.raises(ActorError, match=r"Desk is not supervised.*init"):
        _ = desk.ref
    with pytest.raises(ActorError):
        desk.stop()


async def test_an_actor_knows_its_place() -> None:
    """Its own ref is the one that others have; the supervisor's handle is the one above."""
    board = Board()
    branch = ChildSpec("branch", SupervisorSpec([board.spec("desk")]))
    async with open_supervisor(SupervisorSpec([branch])) as root:
        desk = root.whereis("branch/desk")
        assert desk is not None

        async def look(actor: Desk) -> object:
            return actor.ref, actor.supervisor, actor.supervisor["desk"]

        found = await desk.call(Do(look))

        assert found == (desk, root.subtree("branch"), desk)


async def test_a_factory_that_builds_no_actor_fails_the_start() -> None:
    """The error says what it built."""
    async with (
        open_supervisor(SupervisorSpec([])) as root,
        trio.open_nursery() as nursery,
    ):
        start = await begin(nursery, lambda: root.start_child(ChildSpec("odd", lambda: 7)))

        assert isinstance(await start.error(), ChildStartError)
        assert "not an Actor" in str(start.result)


async def test_a_plain_actor_needs_no_hooks() -> None:
    """All of them are optional."""
    async with open_supervisor(SupervisorSpec([ChildSpec("idle", Actor)])) as root:
        await root["idle"].stop()
        await wait_all_tasks_blocked()

        assert root.which_children()[0].state is ChildState.RUNNING
