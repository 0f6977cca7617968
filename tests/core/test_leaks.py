"""Nothing is left behind: no task, no channel, no reference, no memory, however long it runs."""

import gc
import tracemalloc
import weakref
from collections.abc import Callable

import trio
from attrs import frozen
from giving_up import give_up
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    Backoff,
    Call,
    Cast,
    ChildSpec,
    DynamicSupervisorSpec,
    Strategy,
    Supervisor,
    SupervisorSpec,
    handle_call,
    handle_cast,
)
from codex_actors.testing import TreeOpener

_CYCLES = 10_000
_WARM_UP = 500
# Below one object (16 bytes at the least) per cycle. Trio prunes cancelled deadlines late, which
# alone is about 100 kB, however many cycles there were.
_TOLERATED_BYTES = 150_000


class Failure(Exception):
    """A crash that can be referred to weakly."""


@frozen
class Fail(Cast):
    """Crash."""


@frozen
class Alive(Call[bool]):
    """Are you there?"""


_actors: "weakref.WeakSet[Mortal]" = weakref.WeakSet()
_failures: "weakref.WeakSet[Failure]" = weakref.WeakSet()


class Mortal(Actor):
    """Is remembered as long as anybody refers to it, and so are its crashes."""

    def __init__(self) -> None:
        _actors.add(self)

    @handle_cast(Fail)
    async def fail(self, message: Fail) -> None:
        """See `Fail`."""
        failure = Failure()
        _failures.add(failure)
        raise failure

    @handle_call(Alive)
    async def alive(self, message: Alive) -> bool:
        """See `Alive`."""
        return True


def _collect() -> None:
    for _ in range(3):
        gc.collect()


def _channels() -> int:
    kinds = (trio.MemorySendChannel, trio.MemoryReceiveChannel)
    return sum(isinstance(thing, kinds) for thing in gc.get_objects())


class _Traces:
    """What there is now, and how much more there is later."""

    def __init__(self) -> None:
        _collect()
        self.tasks = trio.lowlevel.current_statistics().tasks_living
        self.channels = _channels()
        tracemalloc.start()
        self.memory = tracemalloc.get_traced_memory()[0]

    def compare(self) -> None:
        """Assert that nothing was left behind."""
        _collect()
        grown = tracemalloc.get_traced_memory()[0] - self.memory
        tracemalloc.stop()
        assert grown < _TOLERATED_BYTES
        assert trio.lowlevel.current_statistics().tasks_living == self.tasks
        assert _channels() == self.channels


async def _crash_and_come_back(supervisor: Supervisor) -> None:
    ref = supervisor["a"]
    ref.cast_nowait(Fail())
    assert await ref.call(Alive())
    await trio.sleep(1)


async def test_ten_thousand_crashes(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Crash and restart leave nothing behind but the incarnation that runs."""
    spec = SupervisorSpec(
        [ChildSpec("a", Mortal), ChildSpec("b", Mortal)],
        strategy=Strategy.REST_FOR_ONE,
        max_restarts=2,
        max_seconds=0.5,
    )
    supervisor = await open_tree(spec)
    for _ in range(_WARM_UP):
        await _crash_and_come_back(supervisor)
    traces = _Traces()

    for _ in range(_CYCLES):
        await _crash_and_come_back(supervisor)

    traces.compare()
    assert len(_failures) == 0
    assert len(_actors) == 2


async def test_many_pauses(open_tree: TreeOpener, autojump_clock: MockClock) -> None:
    """Backoff waits, the calls that outlast them and their deadlines are forgotten too."""
    pause = Backoff(base=0.5, factor=1, max=0.5)
    spec = SupervisorSpec([ChildSpec("a", Mortal, backoff=pause)], max_restarts=2, max_seconds=0.5)
    supervisor = await open_tree(spec)
    for _ in range(_WARM_UP):
        await _crash_and_come_back(supervisor)
    traces = _Traces()

    for _ in range(_CYCLES // 5):
        await _crash_and_come_back(supervisor)

    traces.compare()
    assert len(_failures) == 0
    assert len(_actors) == 1


async def test_ten_thousand_dynamic_children(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """Children that came and went, by whatever end, are gone with their places and refs."""
    supervisor = await open_tree(DynamicSupervisorSpec())
    refs: weakref.WeakSet[object] = weakref.WeakSet()

    async def one(number: int) -> None:
        ref = await supervisor.start_child(ChildSpec(None, Mortal, restart="temporary"))
        refs.add(ref)
        refs.add(ref.place)
        match number % 3:
            case 0:
                await supervisor.terminate_child(ref)
            case 1:
                await ref.stop()
            case _:
                ref.cast_nowait(Fail())
                await ref.wait_stopped()

    for number in range(_WARM_UP):
        await one(number)
    traces = _Traces()

    for number in range(_CYCLES):
        await one(number)

    traces.compare()
    assert supervisor.count_children().specs == 0
    assert (len(refs), len(_failures), len(_actors)) == (0, 0, 0)


async def test_static_children_that_are_added_and_deleted(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A static supervisor forgets what was deleted, and what a temporary child was."""
    supervisor = await open_tree(SupervisorSpec([]))

    async def one() -> None:
        await supervisor.start_child(ChildSpec("kept", Mortal))
        await supervisor.start_child(ChildSpec("temporary", Mortal, restart="temporary"))
        await supervisor.terminate_child("temporary")
        await supervisor.terminate_child("kept")
        await supervisor.delete_child("kept")

    for _ in range(_WARM_UP):
        await one()
    traces = _Traces()

    for _ in range(_CYCLES // 10):
        await one()

    traces.compare()
    assert len(_actors) == 0


async def _watch_failures(count: Callable[[], int], supervisor: Supervisor) -> list[int]:
    """How many errors are alive at the edge of a window of 5 s, and just after it."""
    supervisor["a"].cast_nowait(Fail())
    await wait_all_tasks_blocked()
    seen: list[int] = []
    for pause in (4.0, 2.0):
        await trio.sleep(pause)
        _collect()
        seen.append(count())
    return seen


async def test_errors_live_only_inside_the_window(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """An idle supervisor lets go of a crash when it no longer counts; its text stays."""
    supervisor = await open_tree(SupervisorSpec([ChildSpec("a", Mortal)], max_seconds=5))

    seen = await _watch_failures(lambda: len(_failures), supervisor)

    assert seen == [1, 0]
    assert supervisor.snapshot().children[0].last_error == "crash: Failure"


async def test_errors_of_children_that_are_not_restarted(
    open_tree: TreeOpener, autojump_clock: MockClock
) -> None:
    """A crash that is not charged is not kept at all."""
    supervisor = await open_tree(SupervisorSpec([ChildSpec("a", Mortal, restart="temporary")]))

    seen = await _watch_failures(lambda: len(_failures), supervisor)

    assert seen == [0, 0]


async def test_a_tree_that_gave_up_leaves_nothing(autojump_clock: MockClock) -> None:
    """When the error has been handled, the actors and the crashes are free."""
    before = trio.lowlevel.current_statistics().tasks_living
    spec = SupervisorSpec([ChildSpec("a", Mortal), ChildSpec("b", Mortal)], max_restarts=1)

    async def act(supervisor: Supervisor) -> None:
        for _ in range(2):
            supervisor["a"].cast_nowait(Fail())
            await wait_all_tasks_blocked()

    crashes = len((await give_up(spec, act)).crashes)
    await wait_all_tasks_blocked()
    _collect()

    assert crashes == 2
    assert (len(_actors), len(_failures)) == (0, 0)
    assert trio.lowlevel.current_statistics().tasks_living == before
