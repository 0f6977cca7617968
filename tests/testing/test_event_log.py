"""EventLog: what happened, kept in order, and waited for."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ChildExited,
    ChildSpec,
    ChildStarted,
    Event,
    ExitKind,
    SupervisorSpec,
    SupervisorStopping,
    open_supervisor,
)
from codex_actors.testing import EventLog

_TREE = SupervisorSpec([ChildSpec("a", Actor), ChildSpec("b", Actor)])


async def test_everything_is_kept_in_order(event_log: EventLog) -> None:
    """As events, and as the lines of a story."""
    async with open_supervisor(_TREE, on_event=[event_log]):
        pass

    assert event_log.lines() == [
        "child_started a: incarnation 1",
        "child_started b: incarnation 1",
        f"supervisor_stopping (root): {event_log.of(SupervisorStopping)[0].why}",
        "child_exited b: shutdown",
        "child_exited a: shutdown",
    ]
    assert [type(event) for event in event_log][:2] == [ChildStarted, ChildStarted]
    assert len(event_log) == 5


async def test_events_are_found_by_class_and_path(event_log: EventLog) -> None:
    """A base class finds all that is of its kind."""
    async with open_supervisor(_TREE, on_event=[event_log]):
        pass

    assert [event.path for event in event_log.of(ChildExited)] == ["b", "a"]
    assert [event.reason.kind for event in event_log.of(ChildExited, "a")] == [ExitKind.SHUTDOWN]
    assert event_log.of(ChildExited, "c") == []
    assert len(event_log.of(Event)) == len(event_log)


async def test_an_event_that_has_happened_is_found_at_once(event_log: EventLog) -> None:
    """Waiting for the past is no waiting."""
    async with open_supervisor(_TREE, on_event=[event_log]):
        started = await event_log.wait_for(ChildStarted, "b")

    assert started.incarnation == 1


async def test_an_event_to_come_is_waited_for(event_log: EventLog) -> None:
    """The first that matches: here by a condition."""
    async with (
        open_supervisor(_TREE, on_event=[event_log]) as root,
        trio.open_nursery() as nursery,
    ):
        found: list[ChildStarted] = []

        async def watch() -> None:
            found.append(
                await event_log.wait_for(ChildStarted, "a", lambda event: event.incarnation == 3)
            )

        nursery.start_soon(watch)
        await wait_all_tasks_blocked()

        await root["a"].stop()
        await wait_all_tasks_blocked()
        assert found == []
        await root["a"].stop()
        await wait_all_tasks_blocked()

        assert [event.incarnation for event in found] == [3]


async def test_a_wait_for_what_never_comes_can_be_bounded(
    event_log: EventLog, autojump_clock: MockClock
) -> None:
    """By any scope: it is an ordinary wait."""
    async with open_supervisor(_TREE, on_event=[event_log]):
        with pytest.raises(trio.TooSlowError), trio.fail_after(10):
            await event_log.wait_for(ChildExited)


async def test_clear_forgets_the_past_and_hears_the_future(event_log: EventLog) -> None:
    """A test looks at what its own step did."""
    async with open_supervisor(_TREE, on_event=[event_log]) as root:
        event_log.clear()
        assert len(event_log) == 0

        await root["b"].stop()
        await wait_all_tasks_blocked()

        assert [type(event).__name__ for event in event_log] == [
            "ChildExited",
            "ChildRestartingEvent",
            "ChildStarted",
        ]
