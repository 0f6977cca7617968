"""Whatever happens to a group of actors that call each other: every call ends.

Random trees are asked random things, with calls that have no timeout: an answer or an
error must come, however stops, drains, kills, crashes and restarts cross each other.
"""

import math
from collections.abc import Awaitable, Callable

import hypothesis.strategies as st
import pytest
import trio
from attrs import define, field, frozen
from hypothesis import HealthCheck, given, settings
from messaging import Board, Desk, Do, DoCast, Note, Outcome, Work, crash, pause, stop_self
from trio.testing import MockClock

from codex_actors import (
    ActorStopped,
    Backoff,
    CallCycle,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildSpec,
    ChildStartError,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)

_NAMES = "abc"
# In seconds, virtual ones: far longer than all that the steps take together.
_FOR_EVER = 5_000

# Calls are what most is about.
_ACTIONS = ("call",) * 3 + ("cast", "stop", "drain", "kill", "crash", "terminate", "restart")

_EXPECTED = (
    ActorStopped,
    CallCycle,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildSpec,
    ChildStartError,
    trio.Cancelled,  # of a cleanup that was cut short
)


@frozen
class Step:
    """One thing to do to one child; then the clock goes on."""

    action: str
    target: str
    chain: str
    end: str
    then: float


@frozen
class Child:
    """How one child is specified, and what its `terminate` calls."""

    restart: str
    capacity: int
    shutdown: float
    backoff: bool
    farewell: str


_STEPS = st.builds(
    Step,
    st.sampled_from(_ACTIONS),
    st.sampled_from(_NAMES),
    st.text(_NAMES, max_size=3),
    st.sampled_from(["say", "pause", "crash", "stop"]),
    st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0]),
)
_CHILDREN = st.builds(
    Child,
    st.sampled_from(["permanent", "transient"]),
    st.sampled_from([0, 1, 1024]),
    st.sampled_from([1.0, 20.0]),
    st.booleans(),
    st.sampled_from(["", *_NAMES]),
)
_STRATEGIES = st.sampled_from(["one_for_one", "rest_for_one", "one_for_all"])

_ENDS: dict[str, Work] = {"pause": pause(1), "crash": crash, "stop": stop_self}


@define
class _World:
    """All that was begun, and what became of it."""

    outcomes: list[tuple[str, Outcome]] = field(factory=list[tuple[str, Outcome]])

    def begin(
        self, nursery: trio.Nursery, name: str, operation: Callable[[], Awaitable[object]]
    ) -> None:
        """Begin one thing in a task of its own."""
        outcome = Outcome()
        self.outcomes.append((name, outcome))
        nursery.start_soon(outcome.run, operation)

    def work(self, chain: str, end: str) -> Work:
        """Call those of the chain, each from within the one before, and end the last so."""
        if not chain:
            return _ENDS.get(end, _say_something)

        async def call(desk: Desk) -> None:
            outcome = Outcome()
            self.outcomes.append((f"{desk.ref.path} -> {chain}", outcome))
            ref, message = desk.supervisor[chain[0]], Do(self.work(chain[1:], end))
            await outcome.run(lambda: ref.call(message, timeout=math.inf))

        return call

    def operation(self, root: Supervisor, step: Step) -> Callable[[], Awaitable[object]]:
        """What a step does."""
        ref = root[step.target]
        operations: dict[str, Callable[[], Awaitable[object]]] = {
            "call": lambda: ref.call(Do(self.work(step.chain, step.end)), timeout=math.inf),
            "cast": lambda: ref.cast(Note("x")),
            "crash": lambda: ref.cast(DoCast(crash)),
            "stop": ref.stop,
            "drain": ref.drain,
            "terminate": lambda: root.terminate_child(step.target),
            "restart": lambda: root.restart_child(step.target),
        }
        return operations[step.action]

    async def settle(self) -> list[str]:
        """Wait for the end of everything; the names of what never ends."""
        with trio.move_on_after(_FOR_EVER):
            for _, outcome in self.outcomes:  # which grows meanwhile
                await outcome.wait()
        return [name for name, outcome in self.outcomes if outcome.pending]


async def _say_something(desk: Desk) -> str:
    await trio.lowlevel.checkpoint()
    return desk.ref.path


async def _play(children: list[Child], strategy: str, steps: list[Step]) -> None:
    world = _World()
    specs: list[ChildSpec] = []
    for name, child in zip(_NAMES, children, strict=True):
        board = Board()
        if child.farewell:
            board.on_terminate = world.work(child.farewell, "say")
        specs.append(
            board.spec(
                name,
                restart=child.restart,
                mailbox_capacity=child.capacity,
                shutdown=child.shutdown,
                backoff=Backoff(base=3.0) if child.backoff else None,
            )
        )
    spec = SupervisorSpec(specs, strategy=strategy, max_restarts=1_000_000)
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        refs = {name: root[name] for name in _NAMES}
        for step in steps:
            if step.action == "kill":
                refs[step.target].kill()
            else:
                name = f"{step.action} {step.target}{step.chain} {step.end}"
                world.begin(nursery, name, world.operation(root, step))
            await trio.sleep(step.then)

        hanging = await world.settle()
        nursery.cancel_scope.cancel()

        assert hanging == []
    for name, outcome in world.outcomes:
        error = outcome.result
        assert not isinstance(error, BaseException) or isinstance(error, _EXPECTED), (name, error)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("scheduling_order")
@settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=500,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    children=st.lists(_CHILDREN, min_size=3, max_size=3),
    strategy=_STRATEGIES,
    steps=st.lists(_STEPS, min_size=1, max_size=25),
)
def test_every_call_ends(
    scheduling_order: str, children: list[Child], strategy: str, steps: list[Step]
) -> None:
    """With an answer, or with an error that the documentation names."""
    # C1, X4, X9
    trio.run(_play, children, strategy, steps, clock=MockClock(autojump_threshold=0))
