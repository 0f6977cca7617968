"""Events: what every one of them can do, and how handlers get them."""

import json
import math

import pytest
from actors import Boom, Crash, Journal, Ping, Plan, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    CastUnhandled,
    ChildCleanupFailed,
    ChildExited,
    ChildRestartingEvent,
    ChildShutdownError,
    ChildSpec,
    ChildStarted,
    ChildStartFailed,
    ChildStartIgnored,
    ChildUnresponsive,
    Event,
    ExitKind,
    ExitReason,
    HandlerDetached,
    InfoDropped,
    RestartIntensityReached,
    RestartIntensityUnreachable,
    SupervisorSpec,
    SupervisorStopping,
    open_supervisor,
)
from codex_actors.testing import EventLog, TreeOpener


class _Silent(Exception):
    """Has no text to show."""

    def __str__(self) -> str:
        raise RuntimeError


_CRASH = ExitReason(ExitKind.CRASH, ValueError("two\nlines"))
_EVENTS: list[Event] = [
    CastUnhandled(path="a", message="Note"),
    ChildCleanupFailed(path="a", error=_Silent()),
    ChildExited(path="a", reason=_CRASH),
    ChildExited(path="a", reason=ExitReason(ExitKind.SHUTDOWN, detail="two\nlines")),
    ChildRestartingEvent(path="a/b", restarts=2, delay=0.25),
    ChildShutdownError(path="a", asked=ExitReason(ExitKind.SHUTDOWN), reason=_CRASH),
    ChildStarted(path="a", incarnation=3),
    ChildStartFailed(path="a", reason=_CRASH),
    ChildStartIgnored(path="a"),
    ChildUnresponsive(path="a", waited=5.0, stack='  File "x.py", line 1, in f\n    wait()\n'),
    HandlerDetached(path="a", handler="print", error=ValueError("two\nlines")),
    InfoDropped(path="a", info="Tick", why="its actor ended"),
    RestartIntensityReached(path="", max_restarts=3, max_seconds=math.inf),
    RestartIntensityUnreachable(path="", child="a", why="its backoff is slow"),
    SupervisorStopping(path="", why="two\nlines"),
]


def test_an_error_with_a_whole_document_for_a_message_is_told_in_short() -> None:
    """Whoever keeps a thousand events of a child that crashes again and again has room for them."""
    event = ChildExited(path="a", reason=ExitReason(ExitKind.CRASH, ValueError("x" * 5_000_000)))

    told = f"{event} {json.dumps(event.to_dict())}"

    assert len(told) < 10_000
    assert "4,998,000 more characters" in told
    assert len(str(event.reason.as_text())) < 5_000


@pytest.mark.parametrize("event", _EVENTS, ids=lambda event: str(event.kind))
def test_every_event_is_text_and_data(event: Event) -> None:
    """Each has a kind, a text of one line that names kind and path, and a JSON document."""
    text, document = str(event), event.to_dict()

    assert len(text.splitlines()) == 1
    assert text.startswith(event.kind)
    assert (event.path or "(root)") in text
    assert document["kind"] == event.kind
    assert document["path"] == event.path
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_every_class_is_covered() -> None:
    """The list above has an event of every class."""
    classes = set(Event.__subclasses__())

    missing = {cls.__name__ for cls in classes if cls.__module__.startswith("codex_actors")}
    missing -= {type(event).__name__ for event in _EVENTS}

    assert missing == set()
    assert len({event.kind for event in _EVENTS}) == len({type(event) for event in _EVENTS})


def test_events_are_frozen() -> None:
    """Nobody changes what has happened."""
    event = ChildStarted(path="a", incarnation=1)

    with pytest.raises(AttributeError):
        event.path = "b"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue] - that is the test


async def test_order_of_a_whole_life(event_log: EventLog, autojump_clock: MockClock) -> None:
    """Start, crash, failed and successful restart, and stop come in the order they happened."""
    journal = Journal()
    inner = SupervisorSpec([worker(journal, "x", Plan(failing={2}))])
    spec = SupervisorSpec([worker(journal, "a"), ChildSpec("inner", inner)])

    async with open_supervisor(spec, on_event=[event_log]) as supervisor:
        ref = supervisor.whereis("inner/x")
        assert ref is not None
        ref.cast_nowait(Crash())
        await ref.call(Ping())

    assert [(event.kind, event.path) for event in event_log] == [
        ("child_started", "a"),
        ("child_started", "inner/x"),
        ("child_started", "inner"),
        ("child_exited", "inner/x"),
        ("child_restarting", "inner/x"),
        ("child_start_failed", "inner/x"),
        ("child_restarting", "inner/x"),
        ("child_started", "inner/x"),
        ("supervisor_stopping", ""),
        ("supervisor_stopping", "inner"),
        ("child_exited", "inner/x"),
        ("child_exited", "inner"),
        ("child_exited", "a"),
    ]


async def test_events_carry_what_happened(
    open_tree: TreeOpener, event_log: EventLog, autojump_clock: MockClock
) -> None:
    """The crash's own exception, the incarnation's number, the restarts in the window."""
    journal, error = Journal(), Boom("why")
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")), on_event=[event_log])

    supervisor["a"].cast_nowait(Crash(error))
    await wait_all_tasks_blocked()

    assert [event.reason.error for event in event_log.of(ChildExited)] == [error]
    assert [event.incarnation for event in event_log.of(ChildStarted, "a")] == [1, 2]
    assert [event.restarts for event in event_log.of(ChildRestartingEvent)] == [1]


async def test_a_handler_that_raises_is_detached(
    event_log: EventLog, autojump_clock: MockClock
) -> None:
    """It is reported to the others, after the event that it failed at; the tree goes on."""
    seen: list[Event] = []

    def fragile(event: Event) -> None:
        seen.append(event)
        raise Boom("handler")

    journal = Journal()
    spec = SupervisorSpec(workers(journal, "a b"))

    async with open_supervisor(spec, on_event=[fragile, event_log]) as supervisor:
        assert await supervisor["b"].call(Ping()) == 1

    assert len(seen) == 1
    kinds = [event.kind for event in event_log]
    assert kinds[:3] == ["child_started", "handler_detached", "child_started"]
    report = event_log.of(HandlerDetached)[0]
    assert "fragile" in report.handler
    assert isinstance(report.error, Boom)


async def test_all_handlers_may_raise(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Even handlers that raise at the report about each other leave the tree whole."""
    calls: list[str] = []

    def first(event: Event) -> None:
        calls.append(f"first {event.kind}")
        raise Boom

    def second(event: Event) -> None:
        calls.append(f"second {event.kind}")
        raise Boom

    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")), on_event=[first, second])

    assert await supervisor["a"].call(Ping()) == 1
    assert calls == ["first child_started", "second child_started"]


async def test_attach_and_detach(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """A handler gets what comes between; detaching twice does nothing."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))
    log, twice = EventLog(), EventLog()

    detach = supervisor.events.attach(log)
    detachers = [supervisor.events.attach(twice) for _ in range(2)]
    await supervisor.terminate_child("a")
    detach()
    detach()
    detachers[0]()
    await supervisor.restart_child("a")

    assert [event.kind for event in log] == ["child_exited"]
    assert [event.kind for event in twice] == ["child_exited", "child_exited", "child_started"]


async def test_a_handler_may_detach_another(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """One that was detached while an event is delivered does not get it any more."""
    journal = Journal()
    supervisor = await open_tree(SupervisorSpec(workers(journal, "a")))
    log = EventLog()
    supervisor.events.attach(lambda _event: detach())
    detach = supervisor.events.attach(log)

    await supervisor.terminate_child("a")

    assert len(log) == 0


async def test_a_handler_may_look_at_the_tree(
    event_log: EventLog, autojump_clock: MockClock
) -> None:
    """Views and snapshots can be taken from within a handler."""
    states: list[str] = []
    journal = Journal()

    async with open_supervisor(SupervisorSpec(workers(journal, "a"))) as supervisor:

        def look(event: Event) -> None:
            child = supervisor.snapshot().children[0]
            states.append(f"{event.kind}: {child.state}")

        supervisor.events.attach(look)
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")

    assert states[1] == "child_started: running"
    assert not any("handler_detached" in state for state in states)
