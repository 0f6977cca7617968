"""KeyboardInterrupt, SystemExit and their like: down in order, and out, never restarted."""

import signal
from collections.abc import Awaitable, Callable

import pytest
import trio
from actors import Boom, Crash, CrashCall, Hang, Journal, Plan, task, worker, workers
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ActorDied,
    Cast,
    ChildRestartingEvent,
    ChildSpec,
    SupervisorSpec,
    handle_cast,
    open_supervisor,
)
from codex_actors.testing import EventLog


class Deadly(BaseException):
    """A stranger's BaseException."""


FATAL: list[Callable[[], BaseException]] = [
    KeyboardInterrupt,
    lambda: SystemExit(3),
    Deadly,
    lambda: BaseExceptionGroup("group", [Boom(), KeyboardInterrupt()]),
    lambda: BaseExceptionGroup("outer", [BaseExceptionGroup("inner", [SystemExit(3)])]),
]
IDS = ["KeyboardInterrupt", "SystemExit", "another", "in a group", "deep in a group"]


@pytest.mark.parametrize("make", FATAL, ids=IDS)
async def test_raised_in_a_handler(
    autojump_clock: MockClock, event_log: EventLog, make: Callable[[], BaseException]
) -> None:
    """The tree stops in order, nothing is restarted, and the very error propagates."""
    # X5
    journal, error = Journal(), make()
    sub = SupervisorSpec([*workers(journal, "b c d")])
    tree = SupervisorSpec([*workers(journal, "a"), ChildSpec("sub", sub), *workers(journal, "e")])

    async def body() -> None:
        async with open_supervisor(tree, on_event=[event_log]) as supervisor:
            journal.take()
            await supervisor.subtree("sub")["c"].cast(Crash(error))
            try:
                await trio.sleep_forever()
            finally:
                journal.write("body")

    with pytest.raises(type(error)) as raised:
        await body()

    assert raised.value is error
    assert journal.take() == "-c! -d -b -e -a body"
    assert event_log.of(ChildRestartingEvent) == []


@pytest.mark.parametrize("make", FATAL, ids=IDS)
@pytest.mark.parametrize("where", ["init", "first init", "task", "terminate"])
async def test_raised_elsewhere(
    autojump_clock: MockClock, where: str, make: Callable[[], BaseException]
) -> None:
    """The same from `init`, from an async function, and from `terminate`."""
    # X5
    journal, error = Journal(), make()

    async def fail() -> None:
        await wait_all_tasks_blocked()
        raise error

    child = {
        "init": worker(journal, "b", Plan(failing={2}, error=lambda: error)),
        "first init": worker(journal, "b", Plan(failing={1}, error=lambda: error)),
        "task": ChildSpec("b", fail),
        "terminate": worker(journal, "b", Plan(stop_error=lambda: error)),
    }[where]

    async def body() -> None:
        async with open_supervisor(
            SupervisorSpec([*workers(journal, "a"), child, *workers(journal, "c")])
        ) as supervisor:
            if where in {"init", "terminate"}:
                await supervisor["b"].cast(Crash())
            await trio.sleep_forever()

    with pytest.raises(type(error)) as raised:
        await body()

    assert raised.value is error
    ends = [entry for entry in journal.entries if entry in {"-a", "-c"}]
    assert ends == (["-a"] if where == "first init" else ["-c", "-a"])
    assert journal.entries.count("+b") <= 1


@pytest.mark.parametrize("make", FATAL[:2], ids=IDS[:2])
async def test_raised_in_the_body(
    autojump_clock: MockClock, make: Callable[[], BaseException]
) -> None:
    """A KeyboardInterrupt of the body cancels the children in order, and passes bare."""
    # X1 X5
    journal, error = Journal(), make()
    children = [worker(journal, name, Plan(stop_seconds=1)) for name in "abc"]

    async def body() -> None:
        async with open_supervisor(SupervisorSpec(children)) as supervisor:
            for child in supervisor.which_children():
                await child.ref.cast(Hang())
            await wait_all_tasks_blocked()
            journal.take()
            raise error

    with pytest.raises(type(error)) as raised:
        await body()

    assert raised.value is error
    assert journal.take() == "-c -b -a"


async def test_caller_of_the_child(autojump_clock: MockClock) -> None:
    """Who called the child that raised KeyboardInterrupt gets ActorDied, no interrupt."""
    # X5
    journal, died = Journal(), list[ActorDied]()

    async def body() -> None:
        async with open_supervisor(SupervisorSpec(workers(journal, "a"))) as supervisor:
            try:
                await supervisor["a"].call(CrashCall(KeyboardInterrupt()))
            except ActorDied as error:
                died.append(error)
                await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        await body()

    assert isinstance(died[0].__cause__, KeyboardInterrupt)


async def test_during_the_stop(autojump_clock: MockClock) -> None:
    """A KeyboardInterrupt that a child raises while the tree stops anyway still propagates."""
    # X5
    journal = Journal()
    children = [
        *workers(journal, "a"),
        worker(journal, "b", Plan(stop_error=KeyboardInterrupt)),
        *workers(journal, "c"),
    ]

    with pytest.raises(KeyboardInterrupt):
        async with open_supervisor(SupervisorSpec(children)):
            journal.take()

    assert journal.take() == "-c -b -a"


class Interrupt(Cast):
    """Press Ctrl-C."""


class Interrupted(Actor):
    """Is there when Ctrl-C is pressed."""

    @handle_cast(Interrupt)
    async def press(self, message: Interrupt) -> None:
        """See `Interrupt`."""
        signal.raise_signal(signal.SIGINT)
        await trio.sleep(1)


async def _in_the_body(journal: Journal) -> None:
    async with open_supervisor(SupervisorSpec(workers(journal, "a b c"))):
        signal.raise_signal(signal.SIGINT)
        await trio.sleep(1)


async def _in_a_child(journal: Journal) -> None:
    child = ChildSpec("b", Interrupted)
    tree = SupervisorSpec([*workers(journal, "a"), child, *workers(journal, "c")])
    async with open_supervisor(tree) as supervisor:
        await supervisor["b"].cast(Interrupt())
        await trio.sleep_forever()


async def _in_a_task(journal: Journal) -> None:
    async def press() -> None:
        await wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGINT)

    tree = SupervisorSpec([*workers(journal, "a"), ChildSpec("b", press), *workers(journal, "c")])
    async with open_supervisor(tree):
        await trio.sleep_forever()


async def _beside_the_tree(journal: Journal) -> None:
    async def press() -> None:
        await wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGINT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(press)
        async with open_supervisor(SupervisorSpec(workers(journal, "a b c"))):
            await trio.sleep_forever()


async def _in_an_event_handler(journal: Journal) -> None:
    # Handlers run inside the framework's bookkeeping, where the interrupt has to wait.
    pressed = False

    def press(_event: object) -> None:
        nonlocal pressed
        if not pressed:
            pressed = True
            signal.raise_signal(signal.SIGINT)

    tree = SupervisorSpec([*workers(journal, "a"), task(journal, "b")])
    async with open_supervisor(tree, on_event=[press]):
        await trio.sleep_forever()


@pytest.mark.parametrize(
    "main", [_in_the_body, _in_a_child, _in_a_task, _beside_the_tree, _in_an_event_handler]
)
def test_control_c(scheduling_order: str, main: Callable[[Journal], Awaitable[None]]) -> None:
    """A real SIGINT, wherever it lands: children stop in reverse order, and it comes out."""
    # X1 X5
    journal = Journal()

    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)) as raised:
        trio.run(main, journal, clock=MockClock(autojump_threshold=0.0))

    error = raised.value
    if isinstance(error, BaseExceptionGroup):
        assert main is _beside_the_tree
        interrupts, rest = error.split(KeyboardInterrupt)
        assert interrupts is not None
        assert rest is None
    started = [entry[1:] for entry in journal.entries if entry.startswith("+")]
    ended = [entry[1:] for entry in journal.entries if entry.startswith("-")]
    assert ended == started[::-1]
