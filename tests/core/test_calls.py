"""Calls: answers, their order, errors that are answers, and errors that crash."""

import pytest
import trio
from attrs import frozen
from messaging import (
    Board,
    Boom,
    Desk,
    Do,
    Note,
    Say,
    ask,
    crash,
    hang,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ActorDied,
    Call,
    ChildSpec,
    ExitKind,
    SupervisorSpec,
    handle_call,
    open_supervisor,
)


@frozen
class Divide(Call[float]):
    """Two numbers."""

    a: float
    b: float


class Calculator(Actor):
    """Whose division by zero is an answer, and whose type errors are crashes."""

    def __init__(self) -> None:
        self.answered = 0

    @handle_call(Divide, raises=(ZeroDivisionError,))
    async def divide(self, message: Divide) -> float:
        """Divide."""
        self.answered += 1
        if message.b < 0:
            raise ValueError("no negative divisors")
        return message.a / message.b + self.answered - self.answered


class Strict(Calculator):
    """Overrides a handler without decorating it again."""

    async def divide(self, message: Divide) -> float:
        """Round."""
        return round(await super().divide(message))


async def test_a_call_is_answered_with_what_its_handler_returns() -> None:
    """The value goes to the caller, unchanged."""
    async with open_supervisor(SupervisorSpec([ChildSpec("calculator", Calculator)])) as root:
        answer = await root["calculator"].call(Divide(6, 3))

    assert answer == 2


async def test_an_override_without_a_decorator_is_the_handler() -> None:
    """Subclasses override handlers as any method."""
    async with open_supervisor(SupervisorSpec([ChildSpec("calculator", Strict)])) as root:
        answer = await root["calculator"].call(Divide(7, 2))

    assert answer == 4


async def test_a_declared_exception_is_an_answer() -> None:
    """It is raised in the caller, and the same incarnation goes on."""
    async with open_supervisor(
        SupervisorSpec([ChildSpec("calculator", Calculator)], max_restarts=0)
    ) as root:
        with pytest.raises(ZeroDivisionError):
            await root["calculator"].call(Divide(1, 0))

        assert await root["calculator"].call(Divide(1, 1)) == 1


async def test_any_other_exception_crashes_the_actor() -> None:
    """The caller gets `ActorDied` with the crash as its cause, and the actor is restarted."""
    async with open_supervisor(SupervisorSpec([ChildSpec("calculator", Calculator)])) as root:
        with pytest.raises(ActorDied) as caught:
            await root["calculator"].call(Divide(1, -1))

        assert isinstance(caught.value.__cause__, ValueError)
        assert caught.value.reason.kind is ExitKind.CRASH
        assert await root["calculator"].call(Divide(4, 2)) == 2


async def test_a_crash_reaches_its_caller_at_once(autojump_clock: MockClock) -> None:
    """Not after the timeout, whoever else waits."""
    # C1
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        with pytest.raises(ActorDied) as caught:
            await root["desk"].call(Do(crash), timeout=60)

        assert isinstance(caught.value.__cause__, Boom)
        assert caught.value.ref is root["desk"]
        assert trio.current_time() == autojump_clock.current_time()
        assert [reason.kind for reason in board.reasons] == [ExitKind.CRASH]


async def test_a_stop_without_an_answer_is_told_with_its_reason(autojump_clock: MockClock) -> None:
    """A killed callee: the caller sees `ActorDied`, never a `Cancelled` that is not its own."""
    # X4
    board = Board()
    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")])) as root,
        trio.open_nursery() as n,
    ):
        start = trio.current_time()
        call = await ask(n, root["desk"], Do(hang), timeout=60)

        root["desk"].kill()
        error = await call.error()

        assert isinstance(error, ActorDied)
        assert error.reason.kind is ExitKind.KILLED
        assert call.at == start


async def test_messages_of_one_sender_are_handled_in_order() -> None:
    """Calls and casts alike, one at a time."""
    # C14
    board = Board()
    async with open_supervisor(SupervisorSpec([board.spec("desk")])) as root:
        desk = root["desk"]

        for number in range(200):
            desk.cast_nowait(Note(str(2 * number)))
            if number % 50 == 49:
                await desk.call(Say(str(2 * number + 1)))
        await desk.call(Say("last"))

    numbers = [int(line.removeprefix("1:")) for line in board.log[:-1]]
    assert numbers == sorted(numbers)
    assert len(numbers) == 204


async def test_one_message_is_handled_at_a_time() -> None:
    """A handler that awaits is not overtaken by the next message."""
    board = Board()
    inside: list[str] = []

    async def careful(desk: Desk) -> None:
        assert not inside
        inside.append("one")
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        inside.pop()

    async with (
        open_supervisor(SupervisorSpec([board.spec("desk")], max_restarts=0)) as root,
        trio.open_nursery() as nursery,
    ):
        for _ in range(10):
            nursery.start_soon(root["desk"].call, Do(careful))

    assert board.built == 1


async def test_messages_sent_while_an_actor_starts_are_kept() -> None:
    """A child that has not acknowledged its start answers when it has."""
    board = Board()
    gate = trio.Event()

    async def init(desk: Desk) -> None:
        await gate.wait()
        desk.write("started")

    board.on_init = init
    async with open_supervisor(SupervisorSpec([])) as root, trio.open_nursery() as nursery:
        nursery.start_soon(root.start_child, board.spec("desk"))
        await wait_all_tasks_blocked()

        early = await ask(nursery, root["desk"], Say("early"))
        assert early.pending
        gate.set()

        assert await early.wait() == "early"
    assert board.log == ["1:started", "1:early"]
