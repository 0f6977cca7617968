"""Wrong use of the framework is an error at once, and never a hang."""

import math
from typing import Any

import pytest
import trio
from actors import Crash, Journal, Ping, worker
from attrs import frozen
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    Call,
    CallCycle,
    Cast,
    ChildExited,
    ChildSpec,
    Event,
    HandlerDetached,
    SpecError,
    SupervisorSpec,
    UnhandledMessage,
    handle_call,
    handle_cast,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener


@frozen
class Ask(Call[str]):
    """A question."""


@frozen
class Other(Call[str]):
    """Another question."""


@frozen
class Tell(Cast):
    """A message without an answer."""


class Base(Actor):
    """Answers `Ask`, and waits for its own end when told so."""

    def __init__(self, seen: list[object] | None = None) -> None:
        self.seen: list[object] = [] if seen is None else seen

    @handle_call(Ask)
    async def answer(self, message: Ask) -> str:
        """Answer."""
        return "base"

    @handle_cast(Tell)
    async def wait_for_itself(self, message: Tell) -> None:
        """Wait for what cannot come while it waits."""
        try:
            await self.ref.wait_stopped()
        except CallCycle as cycle:
            self.seen.append(cycle)


class Overriding(Base):
    """The method of that name is for another message here."""

    @handle_call(Other)
    async def answer(self, message: Other) -> str:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] - the point
        """Answer the other question."""
        return "other"


@pytest.mark.parametrize("grace", [-1, math.nan, None, "soon"])
async def test_a_cancel_grace_that_is_no_time(grace: Any) -> None:
    """Refused when the tree is opened, not when it is cancelled."""
    with pytest.raises(SpecError, match="cancel_grace"):
        async with open_supervisor(SupervisorSpec([]), cancel_grace=grace):
            pass


@pytest.mark.parametrize("name", ["", "a/b", "two\nlines", None])
async def test_a_name_that_is_no_name(name: Any) -> None:
    """Refused, naming the field that is wrong."""
    with pytest.raises(SpecError, match="name"):
        async with open_supervisor(SupervisorSpec([]), name=name):
            pass


def test_an_id_of_two_lines() -> None:
    """It would make two lines of an event."""
    with pytest.raises(SpecError, match="id"):
        ChildSpec("two\nlines", Base)


async def test_waiting_for_the_own_end(open_tree: TreeOpener) -> None:
    """Raises at once: the message in hand would never be finished."""
    seen: list[object] = []
    supervisor = await open_tree(SupervisorSpec([ChildSpec("a", Base, args=(seen,))]))

    await supervisor["a"].cast(Tell())
    await wait_all_tasks_blocked()

    assert [type(error) for error in seen] == [CallCycle]


async def test_cast_nowait_from_a_thread(open_tree: TreeOpener) -> None:
    """Says how it is done instead of corrupting the mailbox."""
    supervisor = await open_tree(SupervisorSpec([ChildSpec("a", Base)]))

    with pytest.raises(RuntimeError, match="from_thread"):
        await trio.to_thread.run_sync(supervisor["a"].cast_nowait, Tell())

    await trio.to_thread.run_sync(trio.from_thread.run_sync, supervisor["a"].cast_nowait, Tell())


async def test_a_handler_that_was_overridden_for_another_message(open_tree: TreeOpener) -> None:
    """The message of the base class has no handler any more."""
    supervisor = await open_tree(SupervisorSpec([ChildSpec("a", Overriding)]))

    assert await supervisor["a"].call(Other()) == "other"
    with pytest.raises(UnhandledMessage):
        await supervisor["a"].call(Ask())


async def test_an_event_handler_that_fails_a_test(
    open_tree: TreeOpener, event_log: EventLog
) -> None:
    """What pytest raises is no Exception; it is detached like any other, and the tree goes on."""

    def picky(event: Event) -> None:
        pytest.fail(str(event))

    supervisor = await open_tree(
        SupervisorSpec([worker(Journal(), "a")]), on_event=[picky, event_log]
    )

    assert len(event_log.of(HandlerDetached)) == 1
    assert await supervisor["a"].call(Ping()) == 1


async def test_a_kill_by_an_event_handler(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Killing what has just ended does nothing; the next incarnation lives."""

    def kill(event: Event) -> None:
        if isinstance(event, ChildExited):
            supervisor["a"].kill()

    supervisor = await open_tree(SupervisorSpec([worker(Journal(), "a")]))
    supervisor.events.attach(kill)

    supervisor["a"].cast_nowait(Crash())

    assert await supervisor["a"].call(Ping()) == 2
