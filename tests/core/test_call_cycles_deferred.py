"""CallCycle and deferred replies: an edge lasts as long as the handler, not as the reply."""

import math

import trio
from attrs import frozen
from messaging import Board, Desk, Do, Outcome, Work, ask
from trio.testing import MockClock

from codex_actors import (
    Actor,
    Call,
    CallCycle,
    ChildSpec,
    Reply,
    SupervisorSpec,
    handle_call,
    open_supervisor,
)


async def _answer(_desk: Desk) -> str:
    return "answer"


@frozen
class Later(Call[str]):
    """Answered after its handler has returned."""


@frozen
class Early(Call[str]):
    """Answered before its handler returns."""


@frozen
class AskBack(Call[object]):
    """Call `a` with `work`, and answer what came of it."""

    work: Work


class Clerk(Actor):
    """Keeps replies, and may ask back meanwhile."""

    def __init__(self, replies: list[Reply[str]], gate: trio.Event) -> None:
        self.replies = replies
        self.gate = gate

    @handle_call(Later, deferred=True)
    async def later(self, message: Later, reply: Reply[str]) -> None:
        """Keep it."""
        self.replies.append(reply)

    @handle_call(Early, deferred=True)
    async def early(self, message: Early, reply: Reply[str]) -> None:
        """Answer, then go on."""
        reply.send("early")
        await self.gate.wait()

    @handle_call(AskBack)
    async def ask_back(self, message: AskBack) -> object:
        """Ask."""
        outcome = Outcome()
        await outcome.run(lambda: self.supervisor["a"].call(Do(message.work), timeout=3))
        return outcome.result


async def test_an_edge_ends_when_a_deferred_handler_returns(autojump_clock: MockClock) -> None:
    """The clerk is free again, so its question to the waiting actor is queued, not refused."""
    board = Board()
    replies: list[Reply[str]] = []
    clerk = ChildSpec("clerk", Clerk, args=(replies, trio.Event()))

    async def wait_for_clerk(desk: Desk) -> str:
        return await desk.supervisor["clerk"].call(Later(), timeout=math.inf)

    async with (
        open_supervisor(SupervisorSpec([board.spec("a"), clerk])) as root,
        trio.open_nursery() as nursery,
    ):
        waiting = await ask(nursery, root["a"], Do(wait_for_clerk))
        asked = await ask(nursery, root["clerk"], AskBack(_answer))
        assert asked.pending

        replies.pop().send("now")

        assert await waiting.wait() == "now"
        assert await asked.wait() == "answer"


async def test_the_end_of_an_old_handler_does_not_hide_a_new_edge(
    autojump_clock: MockClock,
) -> None:
    """Answered early, the caller calls again; only then does the first handler return."""
    board = Board()
    gate = trio.Event()
    clerk = ChildSpec("clerk", Clerk, args=([], gate))

    async def call_twice(desk: Desk) -> object:
        ref = desk.supervisor["clerk"]
        await ref.call(Early())
        return await ref.call(AskBack(_answer), timeout=math.inf)

    async with (
        open_supervisor(SupervisorSpec([board.spec("a"), clerk])) as root,
        trio.open_nursery() as nursery,
    ):
        start = trio.current_time()
        call = await ask(nursery, root["a"], Do(call_twice), timeout=60)

        gate.set()

        assert isinstance(await call.wait(), CallCycle)
        assert call.at == start
