"""Trio's traps: an end is classified by what was asked for and what came of it."""

import outcome
import pytest
import trio
from messaging import (
    Board,
    Boom,
    Desk,
    Do,
    Say,
    ask,
    begin,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorDied,
    CallTimeout,
    ChildCleanupFailed,
    ChildSpec,
    ChildStartError,
    ExitKind,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import EventLog


async def _stored_cancelled() -> BaseException:
    """A Cancelled of a scope that is long gone, as `outcome.acapture` keeps it."""
    captured: list[outcome.Outcome[None]] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        captured.append(await outcome.acapture(trio.sleep_forever))
    result = captured[0]
    assert isinstance(result, outcome.Error)
    return result.error


async def _raise_stored_cancelled(_desk: Desk) -> None:
    raise await _stored_cancelled()


async def test_a_kill_counts_although_no_checkpoint_saw_it() -> None:
    """`cancelled_caught` is False then: the handler has even answered."""
    board = Board()

    async def kill_myself(desk: Desk) -> str:
        desk.ref.kill()
        return "no checkpoint between here and the end"

    async with open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root:
        answer = await root["desk"].call(Do(kill_myself))
        await wait_all_tasks_blocked()

        assert answer == "no checkpoint between here and the end"
        assert [reason.kind for reason in board.reasons] == [ExitKind.KILLED]
        assert board.built == 2


async def test_a_stop_counts_although_the_handler_has_crashed() -> None:
    """What was asked for is one thing, what came of it another: this was a crash."""
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk", restart="transient")])) as root,
        trio.open_nursery() as nursery,
    ):
        gate = trio.Event()

        async def crash_later(_desk: Desk) -> None:
            await gate.wait()
            raise Boom

        await ask(nursery, root["desk"], Do(crash_later))
        stop = await begin(nursery, root["desk"].stop)

        gate.set()
        await stop.wait()

        assert [reason.kind for reason in board.reasons] == [ExitKind.CRASH]
        await root["desk"].call(Say("restarted, as its type says"))


async def test_an_own_too_slow_error_is_a_crash(autojump_clock: MockClock) -> None:
    """Neither a timeout of the call nor a cancellation: the actor's own patience ended."""
    board = Board()

    async def impatient(_desk: Desk) -> None:
        with trio.fail_after(1):
            await trio.sleep_forever()

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as nursery,
    ):
        call = await ask(nursery, root["desk"], Do(impatient), timeout=60)

        error = await call.error()

        assert isinstance(error, ActorDied)
        assert not isinstance(error, CallTimeout)
        assert isinstance(error.__cause__, trio.TooSlowError)
        assert board.reasons[0].kind is ExitKind.CRASH


async def test_an_inner_scope_that_was_cancelled_is_no_end() -> None:
    """A handler may use scopes of its own as it likes."""
    board = Board()

    async def move_on(_desk: Desk) -> str:
        with trio.CancelScope() as scope:
            scope.cancel()
            await trio.sleep_forever()
        return "moved on"

    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        assert await root["desk"].call(Do(move_on)) == "moved on"
        assert board.reasons == []


@pytest.mark.parametrize("where", ["handler", "continue"])
async def test_a_stored_cancelled_is_a_crash(where: str) -> None:
    """Raised outside its scope it is an error as any, and its caller never sees it raw."""
    # X4
    board, sibling = Board(), Board()
    if where == "continue":

        async def once(desk: Desk) -> None:
            if desk.number == 1:
                await _raise_stored_cancelled(desk)

        board.on_continue = once
    spec = SupervisorSpec([board.spec("desk"), sibling.spec("sibling")])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        if where == "handler":
            call = await ask(nursery, root["desk"], Do(_raise_stored_cancelled))
            assert isinstance(await call.error(), ActorDied)

        assert await root["desk"].call(Say("restarted")) == "restarted"
        assert board.reasons[0].kind is ExitKind.CRASH
        assert sibling.built == 1
        assert sibling.reasons == []


async def test_a_stored_cancelled_in_init_is_a_failed_start() -> None:
    """Told as `ChildStartError`, not raised as a Cancelled that no scope catches."""
    board = Board()
    board.on_init = _raise_stored_cancelled
    async with open_supervisor(SupervisorSpec([])) as root:
        with pytest.raises(ChildStartError):
            await root.start_child(board.spec("desk"))

        assert root.count_children().specs == 0


async def test_a_stored_cancelled_in_terminate_is_a_failed_cleanup(
    autojump_clock: MockClock, event_log: EventLog
) -> None:
    """Its siblings do not notice, and its supervisor does not wait for ever."""
    board, sibling = Board(), Board()
    board.on_terminate = _raise_stored_cancelled
    spec = SupervisorSpec(
        [board.spec("desk", restart="temporary"), sibling.spec("sibling")], max_restarts=0
    )
    async with open_supervisor(spec, on_event=[event_log]) as root:
        with trio.fail_after(100):
            await root["desk"].stop()

        assert len(event_log.of(ChildCleanupFailed, "desk")) == 1
        assert await root["sibling"].call(Say("well")) == "well"
        assert sibling.built == 1


async def test_a_stored_cancelled_of_a_task_is_a_crash() -> None:
    """Async-function children are classified as actors are."""
    runs: list[int] = []

    async def task() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise await _stored_cancelled()
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec([ChildSpec("task", task, restart="transient")])):
        await wait_all_tasks_blocked()

        assert len(runs) == 2


async def test_a_group_from_an_own_nursery_is_the_reason_of_the_crash() -> None:
    """As a whole; its siblings do not notice."""
    # X6
    board, sibling = Board(), Board()

    async def fail(error: Exception) -> None:
        raise error

    async def work(_desk: Desk) -> None:
        async with trio.open_nursery() as own:
            own.start_soon(fail, Boom())
            own.start_soon(fail, ValueError("torn"))

    spec = SupervisorSpec([board.spec("desk"), sibling.spec("sibling")])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        call = await ask(nursery, root["desk"], Do(work))

        error = await call.error()

        assert isinstance(error, ActorDied)
        assert error.reason.error is error.__cause__
        with pytest.raises(ExceptionGroup) as group:
            raise error.__cause__ or error
        assert group.group_contains((Boom, ValueError))
        assert sibling.built == 1
        assert await root["desk"].call(Say("restarted")) == "restarted"


async def test_a_stored_cancelled_in_a_group_does_not_take_the_tree_down() -> None:
    """It is no `KeyboardInterrupt`: a group with one is a crash."""
    # X6
    board, sibling = Board(), Board()

    async def work(_desk: Desk) -> None:
        raise BaseExceptionGroup("both", [await _stored_cancelled(), Boom()])

    spec = SupervisorSpec([board.spec("desk"), sibling.spec("sibling")])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        call = await ask(nursery, root["desk"], Do(work))

        assert isinstance(await call.error(), ActorDied)
        assert await root["desk"].call(Say("restarted")) == "restarted"
        assert sibling.built == 1


async def test_an_error_on_the_way_out_of_a_kill_is_a_crash() -> None:
    """Of the cancelled nursery's two voices only the error's is left."""
    board = Board()

    async def clumsy() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom

    async def work(_desk: Desk) -> None:
        async with trio.open_nursery() as own:
            own.start_soon(clumsy)
            own.start_soon(trio.sleep_forever)

    spec = SupervisorSpec([board.spec("desk", restart="temporary")])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        call = await ask(nursery, root["desk"], Do(work))

        root["desk"].kill()

        error = await call.error()
        assert isinstance(error, ActorDied)
        assert error.reason.kind is ExitKind.CRASH
        assert isinstance(error.__cause__, ExceptionGroup)
