"""Deferred replies: answered later and from anywhere, once, or else told that they are not."""

import gc
import threading

import pytest
import trio
from attrs import frozen
from messaging import Board, Boom, Do, Outcome, ask, begin
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ActorDied,
    Call,
    CallTimeout,
    ChildSpec,
    ExitKind,
    Reply,
    ReplyDropped,
    SupervisorSpec,
    handle_call,
    open_supervisor,
)


@frozen
class Later(Call[str]):
    """Answered by whoever takes the reply from the office."""


@frozen
class Refused(Call[str]):
    """Answered by a declared error of a deferred handler."""


@frozen
class Torn(Call[str]):
    """Crashes the deferred handler."""


@frozen
class Waits(Call[str]):
    """Keeps the deferred handler busy after it has answered."""


class Office(Actor):
    """Hands the replies out to the test."""

    def __init__(self, replies: list[Reply[str]], gate: trio.Event) -> None:
        self.replies = replies
        self.gate = gate

    @handle_call(Later, deferred=True)
    async def later(self, message: Later, reply: Reply[str]) -> None:
        """Keep it for later."""
        self.replies.append(reply)

    @handle_call(Refused, deferred=True, raises=(LookupError,))
    async def refused(self, message: Refused, reply: Reply[str]) -> None:
        """Refuse."""
        raise LookupError("not here")

    @handle_call(Torn, deferred=True)
    async def torn(self, message: Torn, reply: Reply[str]) -> None:
        """Crash."""
        raise Boom

    @handle_call(Waits, deferred=True)
    async def waits(self, message: Waits, reply: Reply[str]) -> None:
        """Answer first."""
        reply.send("early")
        await self.gate.wait()


class _Setting:
    """An office, and the replies that it handed out."""

    def __init__(self) -> None:
        self.replies: list[Reply[str]] = []
        self.gate = trio.Event()

    def spec(self) -> SupervisorSpec:
        """A tree with the office in it."""
        return SupervisorSpec([ChildSpec("office", Office, args=(self.replies, self.gate))])


async def test_a_reply_may_be_sent_after_the_handler_has_returned() -> None:
    """Meanwhile the actor handles other messages; a second answer is ignored."""
    # C7
    setting = _Setting()
    async with open_supervisor(setting.spec()) as root, trio.open_nursery() as nursery:
        first = await ask(nursery, root["office"], Later())
        second = await ask(nursery, root["office"], Later())
        assert first.pending
        assert second.pending

        setting.replies[1].send("second")
        setting.replies[0].send("first")
        setting.replies[0].send("again")
        setting.replies[0].error(Boom())

        assert [await first.wait(), await second.wait()] == ["first", "second"]


async def test_a_second_answer_never_reaches_the_next_call() -> None:
    """Even while the same caller waits for its next answer."""
    # C7
    setting = _Setting()
    async with open_supervisor(setting.spec()) as root, trio.open_nursery() as nursery:

        async def twice() -> list[str]:
            return [await root["office"].call(Later()), await root["office"].call(Later())]

        caller = await begin(nursery, twice)
        setting.replies[0].send("first")
        await wait_all_tasks_blocked()

        setting.replies[0].send("late double")
        setting.replies[1].send("second")

        assert await caller.wait() == ["first", "second"]


async def test_an_answer_may_be_an_exception() -> None:
    """From `reply.error`, or a declared one raised by the handler."""
    setting = _Setting()
    async with open_supervisor(setting.spec()) as root, trio.open_nursery() as nursery:
        later = await ask(nursery, root["office"], Later())

        setting.replies[0].error(KeyError("no such page"))

        assert isinstance(await later.error(), KeyError)
        with pytest.raises(LookupError, match="not here"):
            await root["office"].call(Refused())


async def test_a_crashing_deferred_handler_fails_its_caller() -> None:
    """As any handler."""
    setting = _Setting()
    async with open_supervisor(setting.spec()) as root:
        with pytest.raises(ActorDied) as caught:
            await root["office"].call(Torn())

        assert isinstance(caught.value.__cause__, Boom)


async def test_a_dropped_reply_fails_the_caller(autojump_clock: MockClock) -> None:
    """Instead of leaving it to its timeout."""
    setting = _Setting()
    async with open_supervisor(setting.spec()) as root, trio.open_nursery() as nursery:
        start = trio.current_time()
        later = await ask(nursery, root["office"], Later(), timeout=60)

        setting.replies.clear()
        gc.collect()

        error = await later.error()
        assert isinstance(error, ReplyDropped)
        assert "office dropped its Reply to Later" in str(error)
        assert later.at == start


async def test_a_reply_collected_in_another_thread_fails_the_caller_too() -> None:
    """The garbage collector runs wherever it likes."""
    setting = _Setting()
    async with open_supervisor(setting.spec()) as root, trio.open_nursery() as nursery:
        later = await ask(nursery, root["office"], Later(), timeout=60)
        cycle: list[object] = [setting.replies.pop()]
        cycle.append(cycle)
        del cycle

        await trio.to_thread.run_sync(gc.collect)

        assert isinstance(await later.error(), ReplyDropped)


def test_a_reply_that_outlives_its_run_is_dropped_in_peace() -> None:
    """Nobody is left who could be told."""
    setting: list[Reply[str]] = []

    async def main() -> None:
        gate = trio.Event()
        tree = SupervisorSpec([ChildSpec("office", Office, args=(setting, gate))])
        async with open_supervisor(tree) as root, trio.open_nursery() as nursery:
            await ask(nursery, root["office"], Later())
            nursery.cancel_scope.cancel()

    trio.run(main)
    collector = threading.Thread(target=setting.clear)
    collector.start()
    collector.join()

    assert setting == []


@pytest.mark.parametrize("end", ["kill", "stop", "terminate_child"])
async def test_the_end_of_the_actor_fails_what_it_has_not_answered(
    end: str, autojump_clock: MockClock
) -> None:
    """At once, with the reason of the end; the reply is of no use then."""
    setting = _Setting()
    async with open_supervisor(setting.spec()) as root, trio.open_nursery() as nursery:
        start = trio.current_time()
        later = await ask(nursery, root["office"], Later(), timeout=60)
        if end == "kill":
            root["office"].kill()
        elif end == "stop":
            await root["office"].stop()
        else:
            await root.terminate_child("office")

        error = await later.error()

        assert isinstance(error, ActorDied)
        kinds = {"kill": ExitKind.KILLED, "stop": ExitKind.NORMAL}
        assert error.reason.kind is kinds.get(end, ExitKind.SHUTDOWN)
        assert later.at == start
        assert setting.replies[0].abandoned
        setting.replies[0].send("too late")


async def test_a_reply_tells_that_its_caller_has_given_up(autojump_clock: MockClock) -> None:
    """After its timeout and after its cancellation, so that the work can be spared."""
    # C5
    setting = _Setting()
    async with open_supervisor(setting.spec()) as root, trio.open_nursery() as nursery:
        timed = await ask(nursery, root["office"], Later(), timeout=1)
        scope = trio.CancelScope()

        async def cancelled_call() -> None:
            with scope:
                await root["office"].call(Later())

        cancelled = await begin(nursery, cancelled_call)
        assert [reply.abandoned for reply in setting.replies] == [False, False]

        assert isinstance(await timed.error(), CallTimeout)
        scope.cancel()
        await cancelled.wait()

        assert [reply.abandoned for reply in setting.replies] == [True, True]
        assert "(abandoned)" in repr(setting.replies[0])
        setting.replies[0].send("late")


async def test_a_reply_sent_before_the_handler_returns_is_the_answer_at_once() -> None:
    """The caller does not wait for the rest of the handler."""
    setting = _Setting()
    async with open_supervisor(setting.spec()) as root:
        assert await root["office"].call(Waits()) == "early"
        setting.gate.set()


async def test_an_actor_may_answer_from_its_own_terminate() -> None:
    """What is answered there is answered: only the rest fails."""
    setting = _Setting()

    class Farewell(Office):
        async def terminate(self, reason: object) -> None:
            self.replies[0].send("goodbye")

    tree = SupervisorSpec([ChildSpec("office", Farewell, args=(setting.replies, setting.gate))])
    async with open_supervisor(tree) as root, trio.open_nursery() as nursery:
        answered = await ask(nursery, root["office"], Later())
        failed = await ask(nursery, root["office"], Later())

        await root.terminate_child("office")

        assert await answered.wait() == "goodbye"
        assert isinstance(await failed.error(), ActorDied)


async def test_an_answer_may_come_from_another_actor() -> None:
    """The reply is a value: whoever holds it may answer."""
    setting, board = _Setting(), Board()
    outcome = Outcome()
    tree = SupervisorSpec([*setting.spec().children, board.spec("helper")])

    async def help_out(_desk: object) -> None:
        setting.replies.pop().send("from the helper")

    async with open_supervisor(tree) as root, trio.open_nursery() as nursery:
        nursery.start_soon(outcome.run, lambda: root["office"].call(Later()))
        await wait_all_tasks_blocked()

        await root["helper"].call(Do(help_out))

        assert await outcome.wait() == "from the helper"
