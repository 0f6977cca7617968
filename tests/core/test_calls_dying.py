"""Never wait for the dead from the dying, whichever of the two was first."""

import math
from collections.abc import Awaitable, Callable

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
    ask,
    begin,
    crash,
    occupy,
    stop_self,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorRef,
    ActorStopped,
    Backoff,
    ChildSpec,
    ChildState,
    SupervisorSpec,
    open_supervisor,
)

_SLOW_RETURN = Backoff(base=1000.0, max=1000.0)


async def _say(ref: ActorRef) -> object:
    return await ref.call(Say("hello"), timeout=math.inf)


async def _cast(ref: ActorRef) -> None:
    await ref.cast(Note("hello"))


_SENDS = pytest.mark.parametrize("send", [_say, _cast], ids=["call", "cast"])
_Send = Callable[[ActorRef], Awaitable[object]]


def _sending(outcome: Outcome, send: _Send, target: str) -> Callable[[Desk], Awaitable[None]]:
    async def work(desk: Desk) -> None:
        await outcome.run(lambda: send(desk.supervisor[target]))

    return work


async def _put_into_backoff(desk: ActorRef, nursery: trio.Nursery) -> None:
    await begin(nursery, lambda: desk.cast(DoCast(crash)))


@_SENDS
async def test_terminate_is_not_made_to_wait_for_one_that_does_not_run(
    send: _Send, autojump_clock: MockClock
) -> None:
    """The target was down first: the send fails at once."""
    board, dying = Board(), Board()
    outcome = Outcome()
    dying.on_terminate = _sending(outcome, send, "target")
    spec = [board.spec("target", backoff=_SLOW_RETURN), dying.spec("dying", restart="temporary")]
    async with open_supervisor(SupervisorSpec(spec)) as root, trio.open_nursery() as nursery:
        await _put_into_backoff(root["target"], nursery)
        start = trio.current_time()

        await root.terminate_child("dying")

        assert isinstance(await outcome.error(), ActorStopped)
        assert outcome.at == start
        assert root.which_children()[0].state is ChildState.BACKOFF


@_SENDS
@pytest.mark.parametrize("end", [crash, stop_self], ids=["crash", "self.stop"])
async def test_terminate_after_its_own_end_does_not_wait_either(
    send: _Send, end: Callable[[Desk], Awaitable[None]], autojump_clock: MockClock
) -> None:
    """Also when nobody asked the child to stop."""
    board, dying = Board(), Board()
    outcome = Outcome()
    dying.on_terminate = _sending(outcome, send, "target")
    spec = [board.spec("target", backoff=_SLOW_RETURN), dying.spec("dying", restart="temporary")]
    async with open_supervisor(SupervisorSpec(spec)) as root, trio.open_nursery() as nursery:
        await _put_into_backoff(root["target"], nursery)
        start = trio.current_time()

        await begin(nursery, lambda: root["dying"].cast(DoCast(end)))

        assert isinstance(await outcome.error(), ActorStopped)
        assert outcome.at == start


@pytest.mark.parametrize("end", ["terminate_child", "crash", "self.stop"])
async def test_terminate_stops_waiting_when_its_target_dies(
    end: str, autojump_clock: MockClock
) -> None:
    """The wait began while the target still ran: its death ends the wait."""
    board, dying = Board(), Board()
    outcome = Outcome()
    dying.on_terminate = _sending(outcome, _say, "target")
    spec = [board.spec("target", backoff=_SLOW_RETURN), dying.spec("dying", restart="temporary")]
    async with open_supervisor(SupervisorSpec(spec)) as root, trio.open_nursery() as nursery:
        await occupy(nursery, root["target"])
        if end == "terminate_child":
            await begin(nursery, lambda: root.terminate_child("dying"))
        else:
            work = crash if end == "crash" else stop_self
            await begin(nursery, lambda: root["dying"].cast(DoCast(work)))
        assert outcome.pending
        start = trio.current_time()

        root["target"].kill()

        assert isinstance(await outcome.error(), ActorStopped)
        assert outcome.at == start


@_SENDS
async def test_a_message_in_hand_does_not_wait_once_its_actor_is_stopped(
    send: _Send, autojump_clock: MockClock
) -> None:
    """The wait for the dead began first, then the waiter is told to stop."""
    board, waiter = Board(), Board()
    outcome = Outcome()
    spec = [board.spec("target", backoff=_SLOW_RETURN, mailbox_capacity=0), waiter.spec("waiter")]
    async with open_supervisor(SupervisorSpec(spec)) as root, trio.open_nursery() as nursery:
        await _put_into_backoff(root["target"], nursery)
        start = trio.current_time()
        await ask(nursery, root["waiter"], Do(_sending(outcome, send, "target")), timeout=60)
        assert outcome.pending

        await root["waiter"].stop()

        assert isinstance(await outcome.error(), ActorStopped)
        assert outcome.at == start


@_SENDS
async def test_a_transfer_s_cleanup_does_not_hold_up_the_registry_s_restart(
    send: _Send, autojump_clock: MockClock
) -> None:
    """A rest_for_one group: the restart of the first waits for the end of the second."""
    registry, transfer = Board(), Board()
    outcome = Outcome()
    transfer.on_terminate = _sending(outcome, send, "registry")
    spec = SupervisorSpec(
        [registry.spec("registry"), transfer.spec("transfer")], strategy="rest_for_one"
    )
    async with open_supervisor(spec) as root:
        start = trio.current_time()
        root["registry"].cast_nowait(DoCast(crash))

        assert await root["registry"].call(Say("back")) == "back"

        assert isinstance(await outcome.error(), ActorStopped)
        assert trio.current_time() == start
        assert registry.log == ["2:back"]
        assert await root["transfer"].call(Say("too")) == "too"


async def test_a_transfer_in_the_middle_of_a_call_does_not_either(
    autojump_clock: MockClock,
) -> None:
    """Its call was queued at the registry when that crashed."""
    registry, transfer = Board(), Board()
    outcome, hold = Outcome(), Hold()
    spec = SupervisorSpec(
        [registry.spec("registry"), transfer.spec("transfer", shutdown=50)],
        strategy="rest_for_one",
    )

    async def busy(_desk: Desk) -> None:
        await hold.released.wait()
        await crash(_desk)

    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        start = trio.current_time()
        await ask(nursery, root["registry"], Do(busy))
        await ask(nursery, root["transfer"], Do(_sending(outcome, _say, "registry")))

        hold.release()
        await wait_all_tasks_blocked()

        assert isinstance(await outcome.error(), ActorStopped)
        assert outcome.at == start
        assert await root["registry"].call(Say("back")) == "back"


async def test_a_chain_of_waits_inside_a_group_ends_too(autojump_clock: MockClock) -> None:
    """The last waits for b, b for the dead a, and the restart of a waits for the last."""
    a, b, c = Board(), Board(), Board()
    of_b, of_c = Outcome(), Outcome()

    async def through_b(desk: Desk) -> None:
        other = desk.supervisor["b"]
        work = _sending(of_b, _say, "a")
        await of_c.run(lambda: other.call(Do(work), timeout=math.inf))

    children = [a.spec("a"), b.spec("b", shutdown=50), c.spec("c", shutdown=50)]
    async with (
        open_supervisor(SupervisorSpec(children, strategy="rest_for_one")) as root,
        trio.open_nursery() as nursery,
    ):
        await occupy(nursery, root["a"])
        await ask(nursery, root["c"], Do(through_b), timeout=math.inf)
        assert of_b.pending

        start = trio.current_time()

        root["a"].kill()

        await of_c.wait()
        assert isinstance(of_b.result, ActorStopped)
        assert of_c.at == start
        assert await root["a"].call(Say("back")) == "back"


async def test_a_task_s_finally_is_not_made_to_wait(autojump_clock: MockClock) -> None:
    """An async-function child that is being stopped is dying as an actor is."""
    board = Board()
    outcome = Outcome()

    async def task(target: ActorRef) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await outcome.run(lambda: _say(target))

    spec = SupervisorSpec([board.spec("target", backoff=_SLOW_RETURN)])
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        await root.start_child(ChildSpec("task", task, args=(root["target"],)))
        await _put_into_backoff(root["target"], nursery)
        start = trio.current_time()

        await root.terminate_child("task")

        assert isinstance(await outcome.error(), ActorStopped)
        assert outcome.at == start


async def test_the_children_of_a_nursery_in_terminate_are_dying_too(
    autojump_clock: MockClock,
) -> None:
    """A cleanup that does two things at once is the cleanup of the same child."""
    board, dying = Board(), Board()
    outcome = Outcome()

    async def concurrently(desk: Desk) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_sending(outcome, _say, "target"), desk)

    dying.on_terminate = concurrently
    spec = [board.spec("target", backoff=_SLOW_RETURN), dying.spec("dying", restart="temporary")]
    async with open_supervisor(SupervisorSpec(spec)) as root, trio.open_nursery() as nursery:
        await _put_into_backoff(root["target"], nursery)
        start = trio.current_time()

        await root.terminate_child("dying")

        assert isinstance(outcome.result, ActorStopped)
        assert outcome.at == start


async def test_the_dying_may_still_call_the_living(autojump_clock: MockClock) -> None:
    """A cleanup that tells a running sibling is answered."""
    board, dying = Board(), Board()
    outcome = Outcome()
    dying.on_terminate = _sending(outcome, _say, "target")
    async with open_supervisor(SupervisorSpec([board.spec("target"), dying.spec("dying")])) as root:
        await root.terminate_child("dying")

        assert await outcome.wait() == "hello"
