"""CallCycle: what would wait for itself raises at once, with the path."""

import math
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
from messaging import (
    Board,
    Desk,
    Do,
    DoCast,
    Hold,
    Note,
    Outcome,
    Say,
    Work,
    ask,
    begin,
    occupy,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    CallCycle,
    ChildStartError,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def _tree(boards: dict[str, Board], **options: object) -> SupervisorSpec:
    return SupervisorSpec([board.spec(name, **options) for name, board in boards.items()])


def _calling(target: str, work: Work, outcome: Outcome | None = None) -> Work:
    """Work that calls `target` with `work`; its error goes to `outcome` if there is one."""

    async def call(desk: Desk) -> object:
        ref = desk.supervisor[target]
        if outcome is None:
            return await ref.call(Do(work), timeout=math.inf)
        await outcome.run(lambda: ref.call(Do(work), timeout=math.inf))
        return "went on"

    return call


async def _answer(_desk: Desk) -> str:
    return "answer"


async def test_a_call_to_oneself_raises() -> None:
    """The shortest loop; the handler may go on."""
    # C6
    board, outcome = Board(), Outcome()
    async with open_supervisor(_tree({"a": board})) as root:
        assert await root["a"].call(Do(_calling("a", _answer, outcome))) == "went on"

    assert isinstance(outcome.result, CallCycle)
    assert outcome.result.path == ("a", "a")
    assert "a -> a" in str(outcome.result)


async def test_a_loop_of_three_raises_in_the_one_that_would_close_it(
    autojump_clock: MockClock,
) -> None:
    """With the path round; the two others are answered."""
    # C6
    boards = {name: Board() for name in "abc"}
    outcome = Outcome()
    async with open_supervisor(_tree(boards)) as root:
        start = trio.current_time()
        work = _calling("b", _calling("c", _calling("a", _answer, outcome)))

        assert await root["a"].call(Do(work)) == "went on"

        assert isinstance(outcome.result, CallCycle)
        assert outcome.result.path == ("c", "a", "b", "c")
        assert str(outcome.result).endswith("c -> a -> b -> c")
        assert trio.current_time() == start


async def test_a_loop_through_a_queued_call_raises() -> None:
    """An edge exists although the call is not in hand yet."""
    boards = {name: Board() for name in "ab"}
    outcome = Outcome()
    async with open_supervisor(_tree(boards)) as root, trio.open_nursery() as nursery:
        hold = Hold()

        async def then_call_a(desk: Desk) -> None:
            await hold(desk)
            await _calling("a", _answer, outcome)(desk)

        await ask(nursery, root["b"], Do(then_call_a))
        queued = await ask(nursery, root["a"], Do(_calling("b", _answer)))
        assert queued.pending

        hold.release()

        assert await queued.wait() == "answer"
        assert isinstance(outcome.result, CallCycle)
        assert outcome.result.path == ("b", "a", "b")


@pytest.mark.parametrize("kind", ["call", "cast"])
async def test_a_loop_through_a_wait_for_room_raises(kind: str, autojump_clock: MockClock) -> None:
    """Who waits for room waits for the receiver; a cast that finds room waits for nobody."""
    boards = {name: Board() for name in "ab"}
    outcome = Outcome()

    async def send_to_b(desk: Desk) -> None:
        ref = desk.supervisor["b"]
        await (ref.cast(Note("x")) if kind == "cast" else ref.call(Say("x"), timeout=math.inf))

    async with (
        open_supervisor(_tree(boards, mailbox_capacity=0)) as root,
        trio.open_nursery() as nursery,
    ):
        hold = Hold()

        async def then_call_a(desk: Desk) -> None:
            await hold(desk)
            await _calling("a", _answer, outcome)(desk)

        await ask(nursery, root["b"], Do(then_call_a))
        await begin(nursery, lambda: root["a"].cast(DoCast(send_to_b)))
        assert boards["b"].log == ["1:held"]

        hold.release()
        await outcome.wait()

        assert isinstance(outcome.result, CallCycle)
        assert outcome.result.path == ("b", "a", "b")


async def test_a_cast_to_oneself_that_would_wait_for_room_raises() -> None:
    """With room it is no loop: many actors tell themselves to go on."""
    board, outcome = Board(), Outcome()

    async def cast_twice(desk: Desk) -> None:
        await desk.ref.cast(Note("fits"))
        await outcome.run(lambda: desk.ref.cast(Note("does not fit")))

    async with open_supervisor(_tree({"a": board}, mailbox_capacity=1)) as root:
        await root["a"].call(Do(cast_twice))
        await wait_all_tasks_blocked()

    assert isinstance(outcome.result, CallCycle)
    assert board.log == ["1:fits"]


@pytest.mark.parametrize("how", ["stop", "drain", "supervisor.stop", "terminate_child"])
async def test_awaiting_one_s_own_end_raises(how: str, autojump_clock: MockClock) -> None:
    """It could not come before the handler returns; `self.stop()` is what was meant."""
    board, outcome = Board(), Outcome()

    async def end_myself(desk: Desk) -> None:
        supervisor = desk.supervisor
        assert isinstance(supervisor, Supervisor)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "stop": desk.ref.stop,
            "drain": desk.ref.drain,
            "supervisor.stop": supervisor.stop,
            "terminate_child": partial(supervisor.terminate_child, "a"),
        }
        await outcome.run(ways[how])

    async with open_supervisor(_tree({"a": board})) as root:
        await root["a"].call(Do(end_myself))

        assert isinstance(outcome.result, CallCycle)
        assert await root["a"].call(Say("alive")) == "alive"
        assert board.built == 1


async def test_a_start_that_asks_its_own_supervisor_for_a_child_raises(
    autojump_clock: MockClock,
) -> None:
    """The supervisor is waiting for that very start."""
    board, other, outcome = Board(), Board(), Outcome()

    async def init(desk: Desk) -> None:
        await outcome.run(lambda: desk.supervisor.start_child(other.spec("other")))

    board.on_init = init
    async with open_supervisor(_tree({"a": board})) as root:
        assert isinstance(outcome.result, CallCycle)
        assert root.count_children().specs == 1

        async def later(desk: Desk) -> None:
            await desk.supervisor.start_child(other.spec("other"))

        await root["a"].call(Do(later))
        assert await root["other"].call(Say("fine")) == "fine"


async def test_a_start_that_calls_a_later_sibling_raises() -> None:
    """That one starts only after it; the error names what is wrong with the tree."""
    boards = {"a": Board(), "b": Board()}

    async def init(desk: Desk) -> None:
        await _calling("b", _answer)(desk)

    boards["a"].on_init = init

    async def start() -> None:
        async with open_supervisor(_tree(boards)):
            pass

    with pytest.raises(ChildStartError) as caught:
        await start()

    assert isinstance(caught.value.__cause__, CallCycle)


async def test_a_start_may_call_an_earlier_sibling() -> None:
    """It runs already."""
    boards = {"a": Board(), "b": Board()}
    outcome = Outcome()

    async def init(desk: Desk) -> None:
        await _calling("a", _answer, outcome)(desk)

    boards["b"].on_init = init
    async with open_supervisor(_tree(boards)):
        assert outcome.result == "answer"


async def test_tasks_of_a_handler_make_no_edge(autojump_clock: MockClock) -> None:
    """They may race: what looks like a loop can still be answered."""
    boards = {name: Board() for name in "ab"}
    answers: list[object] = []

    async def spawn(desk: Desk) -> str:
        async def call_b() -> None:
            answers.append(await desk.supervisor["b"].call(Do(_calling("a", _answer)), timeout=9))

        nursery.start_soon(call_b)
        return "returned before its task was answered"

    async with open_supervisor(_tree(boards)) as root, trio.open_nursery() as nursery:
        await root["a"].call(Do(spawn))
        await wait_all_tasks_blocked()

    assert answers == ["answer"]


async def test_a_finished_call_leaves_no_edge(autojump_clock: MockClock) -> None:
    """Neither an answered one, nor one that timed out, nor a cancelled one."""
    boards = {name: Board() for name in "ab"}

    async def give_up_on_b(desk: Desk) -> None:
        ref = desk.supervisor["b"]
        await ref.call(Say("answered"))
        outcome = Outcome()
        await outcome.run(lambda: ref.call(Do(hold), timeout=1))
        with trio.move_on_after(1):
            await ref.call(Say("queued"), timeout=math.inf)
        await trio.sleep(5)

    async with open_supervisor(_tree(boards)) as root, trio.open_nursery() as nursery:
        hold = Hold()
        busy = await ask(nursery, root["a"], Do(give_up_on_b), timeout=60)
        await trio.sleep(3)
        hold.release()

        asked = await ask(nursery, root["b"], Do(_calling("a", _answer)), timeout=60)

        assert asked.pending
        assert await asked.wait() == "answer"
        assert await busy.wait() is None


async def test_waiting_for_a_busy_actor_is_no_cycle(autojump_clock: MockClock) -> None:
    """Only loops raise; a queue is a queue."""
    boards = {name: Board() for name in "abc"}
    async with open_supervisor(_tree(boards)) as root, trio.open_nursery() as nursery:
        occupied = await occupy(nursery, root["c"])
        calls = [
            await ask(nursery, root[name], Do(_calling("c", _answer)), timeout=60) for name in "ab"
        ]

        occupied.release()

        assert [await call.wait() for call in calls] == ["answer", "answer"]
