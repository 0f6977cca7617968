"""The framework does what the model of OTP's supervisor does, whatever is done to the tree."""

import copy
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from otp_commands import Administer, Command, Die, Fail, Ignore, Pass, runs
from otp_driver import Driver, Stage, spec_of
from otp_model import Model
from otp_model import Supervisor as ModelSupervisor
from otp_world import Group, Worker
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import RestartIntensityExceeded, Supervisor, SupervisorSpec, open_supervisor


def _apply(model: Model, command: Command) -> str:
    """Have the model do it; returns what an administrative call answers."""
    world = model.world
    match command:
        case Die(deaths):
            model.die(*deaths)
        case Fail(name, times):
            world.failing[name] = times
        case Ignore(name):
            world.ignoring.add(name)
        case Administer(above, verb, child):
            supervisor = model.supervisor(above)
            if supervisor is None:
                return "no supervisor"
            argument = child if verb == "start_child" else child.name
            return str(getattr(supervisor, verb)(argument))
        case Pass(seconds):
            world.now += seconds
    return ""


def _possible(model: Model, command: Command) -> list[tuple[Model, str]]:
    """The outcomes that the rules admit: more than one only when two die at once.

    Either may be the first.  Under one_for_one children are restarted independently:
    both deaths may be charged before either start, and the starts have no order.
    """
    if not isinstance(command, Die) or len(command.deaths) == 1:
        return [(model, _apply(model, command))]
    outcomes: list[tuple[Model, str]] = []
    for deaths in (command.deaths, command.deaths[::-1]):
        for late, last_first in ((False, False), (True, False), (True, True)):
            variant = copy.deepcopy(model)
            variant.world.late_starts, variant.world.last_first = late, last_first
            _apply(variant, Die(deaths))
            variant.world.late_starts = variant.world.last_first = False
            outcomes.append((variant, ""))
    return outcomes


def _split(model: Model, command: Command) -> list[Command]:
    """Two deaths that no single supervisor sees are two commands: OTP gives them no order.

    So are two of which one then fails to start under one_for_one.
    """
    if not isinstance(command, Die) or len(command.deaths) == 1:
        return [command]
    found = [model.root.find(name) for name, _ in command.deaths]
    supervisors: set[ModelSupervisor] = {one[0] for one in found if one is not None}
    fails = any(model.world.failing.get(name, 0) for name, _ in command.deaths)
    names = {name for name, _ in command.deaths}
    if len(supervisors) == 1 and len(names) == 2:
        supervisor = supervisors.pop()
        if supervisor.spec.strategy != "one_for_one" or not fails:
            return [command]
    return [Die((death,)) for death in command.deaths]


class _Comparison:
    """One run of both, command by command."""

    def __init__(self, driver: Driver, model: Model, clock: MockClock) -> None:
        self.driver = driver
        self.model = model
        self.clock = clock
        self.history: list[str] = []

    async def step(self, command: Command) -> None:
        """Do one command on both sides and compare."""
        models = _possible(self.model, command)
        said = await self._command(command)
        await wait_all_tasks_blocked()
        log = self.driver.stage.log
        self.history.append(f"{command}: {said} {' '.join(log)}")
        for model, answer in models:
            if model.world.log == log and answer == said:
                self.model = model
                break
        else:
            expected = "\n  or ".join(f"{a} {' '.join(m.world.log)}" for m, a in models)
            raise AssertionError("\n".join([*self.history, f"  expected {expected}"]))
        log.clear()
        self.model.world.log.clear()
        if self.model.root.gave_up:
            return
        assert self.driver.picture() == list(self.model.root.picture()), self.history
        self._compare_counts()

    async def _command(self, command: Command) -> str:
        stage = self.driver.stage
        match command:
            case Die(deaths):
                self.driver.die(*deaths)
            case Fail(name, times):
                stage.failing[name] = times
            case Ignore(name):
                stage.ignoring.add(name)
            case Administer(above, verb, child):
                return await self.driver.administer(above, verb, child)
            case Pass(seconds):
                self.clock.jump(seconds)
        return ""

    def _compare_counts(self) -> None:
        root = self.model.root
        children = list(root.children.values())
        counts = self.driver.root.count_children()
        supervisors = sum(isinstance(child.spec, Group) for child in children)
        assert counts.specs == len(children)
        assert counts.active == sum(child.process is not None for child in children)
        assert (counts.supervisors, counts.workers) == (supervisors, len(children) - supervisors)
        window = self.driver.root.snapshot().restarts_in_window
        assert window == root.in_window(), self.history


@asynccontextmanager
async def _tree(spec: SupervisorSpec, ends: list[str]) -> AsyncGenerator[Supervisor, None]:
    """Open a tree beside the block, so that its end does not cancel who looks at it."""

    async def run(task_status: trio.TaskStatus[Supervisor]) -> None:
        try:
            async with open_supervisor(spec) as supervisor:
                task_status.started(supervisor)
                await trio.sleep_forever()
        except RestartIntensityExceeded:
            ends.append("gave up")

    async with trio.open_nursery() as nursery:
        yield await nursery.start(run)
        nursery.cancel_scope.cancel()


async def _compare(tree: Group, commands: list[Command], checkpoints: int) -> None:
    """Run the commands on both sides, then stop both."""
    model = Model(tree)
    assert model.root.start_all()
    stage, ends = Stage(checkpoints), list[str]()
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    async with _tree(spec_of(stage, tree), ends) as root:
        comparison = _Comparison(Driver(root, stage), model, clock)
        assert stage.log == model.world.log
        stage.log.clear()
        model.world.log.clear()
        for command in commands:
            for part in _split(comparison.model, command):
                if not ends:
                    await comparison.step(part)
        await root.stop()
    model = comparison.model
    model.stop()
    assert stage.log == model.world.log, comparison.history
    assert ends == ["gave up"] * model.root.gave_up, comparison.history


_CRASH = Die((("a", True),))
# Exactly at the edge of the window, which chance does not find often enough (I4).
_AT_THE_EDGE: tuple[Group, list[Command], int] = (
    Group("root", (Worker("a"), Worker("b")), max_restarts=1),
    [_CRASH, Pass(5), _CRASH],
    0,
)


@example(run=_AT_THE_EDGE)
@given(run=runs())
@settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=400,
    # The fixture sets the scheduling order for the whole test; examples need no fresh one.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.usefixtures("scheduling_order")
def test_does_what_otp_does(scheduling_order: str, run: tuple[Group, list[Command], int]) -> None:
    """Every start, stop, state, count and answer is what the model of OTP says."""
    # R1 R2 R3 R4 I3 I4 I5 I7 I8 I11 G1 G2 G3 G4 G7 G8 G12 G13
    tree, commands, checkpoints = run

    trio.run(_compare, tree, commands, checkpoints, clock=MockClock())
