"""Faults: children made to fail, by path, at a message or at a point of their code."""

import math

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    ActorDied,
    ActorRef,
    Call,
    CallTimeout,
    Cast,
    ChildExited,
    ChildSpec,
    ChildStartError,
    ChildState,
    ChildUnresponsive,
    ExitKind,
    Info,
    SupervisorSpec,
    fault_point,
    handle_call,
    handle_cast,
    handle_info,
    open_supervisor,
)
from codex_actors.testing import EventLog, Faults, InjectedFault, Injection


@frozen
class Publish(Call[int]):
    """Answered with the number of publications of this incarnation."""


@frozen
class Forget(Cast):
    """Not answered."""


@frozen
class Tick(Info):
    """From a timer."""


class Registry(Actor):
    """Has points, and work in tasks of its own."""

    def __init__(self) -> None:
        self.published = 0

    async def init(self) -> None:
        """Pass a point before the start is acknowledged."""
        await fault_point("registry.opening")

    @handle_call(Publish)
    async def publish(self, message: Publish) -> int:
        """Publish, in a nursery as real work would."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fault_point, "registry.writing")
        self.published += 1
        return self.published

    @handle_cast(Forget)
    async def forget(self, message: Forget) -> None:
        """Forget everything, and tick."""
        self.published = 0
        self.send_after(0, Tick())

    @handle_info(Tick)
    async def tick(self, message: Tick) -> None:
        """Count."""
        self.published += 100


def _tree(*names: str) -> SupervisorSpec:
    return SupervisorSpec([ChildSpec(name, Registry) for name in names or ("registry",)])


async def _publish(ref: ActorRef, times: int) -> list[int | str]:
    """What became of some calls: the answers, or the names of the causes."""
    answers: list[int | str] = []
    for _ in range(times):
        try:
            answers.append(await ref.call(Publish(), timeout=math.inf))
        except ActorDied as error:
            answers.append(type(error.__cause__).__name__)
    return answers


async def test_a_child_crashes_at_the_nth_message(faults: Faults) -> None:
    """Once, at a message of that class, in that child only."""
    faults.crash("registry", on=Publish, nth=2)
    with faults:
        async with open_supervisor(_tree("registry", "other")) as root:
            here = await _publish(root["registry"], 4)
            there = await _publish(root["other"], 3)

    assert here == [1, "InjectedFault", 1, 2]
    assert there == [1, 2, 3]
    assert faults.happened == [Injection("crash", "registry", "Publish")]


async def test_a_fault_may_happen_from_then_on(faults: Faults) -> None:
    """With an error of the test's choice."""
    faults.crash("registry", on=Publish, nth=2, always=True, error=OSError("disk full"))
    with faults:
        async with open_supervisor(_tree()) as root:
            answers = await _publish(root["registry"], 3)

    assert answers == [1, "OSError", "OSError"]
    assert len(faults.happened) == 2


async def test_casts_and_infos_are_messages_too(faults: Faults, event_log: EventLog) -> None:
    """A fault is set for any class of message."""
    faults.crash("registry", on=Forget)
    faults.crash("registry", on=Tick)
    with faults:
        async with open_supervisor(_tree(), on_event=[event_log]) as root:
            for _ in range(2):
                root["registry"].cast_nowait(Forget())
                await wait_all_tasks_blocked()

            assert [injection.where for injection in faults.happened] == ["Forget", "Tick"]
            assert len(event_log.of(ChildExited)) == 2


async def test_a_child_crashes_at_a_point_of_its_code(faults: Faults) -> None:
    """Also in a task that its handler has spawned: then in the group of that nursery."""
    faults.crash("registry", at="registry.writing")
    with faults:
        async with open_supervisor(_tree()) as root:
            with pytest.raises(ActorDied) as caught:
                await root["registry"].call(Publish())

            with pytest.raises(ExceptionGroup) as group:
                raise caught.value.__cause__ or caught.value
            assert group.group_contains(InjectedFault)
            assert await root["registry"].call(Publish()) == 1


async def test_a_start_may_be_made_to_fail(faults: Faults) -> None:
    """A point in `init`."""
    faults.crash("registry", at="registry.opening")

    async def start() -> None:
        async with open_supervisor(_tree()):
            pass

    with faults, pytest.raises(ChildStartError) as caught:
        await start()

    assert isinstance(caught.value.__cause__, InjectedFault)


async def test_a_child_hangs_until_it_is_cancelled(
    faults: Faults, autojump_clock: MockClock
) -> None:
    """Its caller times out, its supervisor can still stop it."""
    faults.hang("registry", on=Publish)
    with faults:
        async with open_supervisor(_tree()) as root:
            with pytest.raises(CallTimeout):
                await root["registry"].call(Publish(), timeout=3)

            root["registry"].kill()

            assert await root["registry"].call(Publish()) == 1


async def test_a_child_is_slowed_down(faults: Faults, autojump_clock: MockClock) -> None:
    """By the clock of the run."""
    faults.slow("registry", 7.0, on=Publish)
    with faults:
        async with open_supervisor(_tree()) as root:
            start = trio.current_time()

            assert await root["registry"].call(Publish(), timeout=math.inf) == 1

            assert trio.current_time() == start + 7


async def test_a_child_is_cancelled_there_and_then(faults: Faults, event_log: EventLog) -> None:
    """The message in hand is lost, as by `kill`."""
    faults.cancel("registry", at="registry.writing")
    with faults:
        async with open_supervisor(_tree(), on_event=[event_log]) as root:
            with pytest.raises(ActorDied) as caught:
                await root["registry"].call(Publish())

            assert caught.value.reason.kind is ExitKind.KILLED
            assert await root["registry"].call(Publish()) == 1


async def test_faults_end_with_their_block(faults: Faults) -> None:
    """A tree that is opened outside knows nothing of them."""
    faults.crash("registry", on=Publish, always=True)
    with faults:
        pass
    async with open_supervisor(_tree()) as root:
        assert await root["registry"].call(Publish()) == 1
        await fault_point("registry.writing")

    assert faults.happened == []


@pytest.mark.parametrize(
    "wrong",
    [{}, {"on": Publish, "at": "registry.writing"}, {"on": Publish, "nth": 0}],
    ids=["neither", "both", "nth 0"],
)
def test_a_fault_that_could_never_happen_is_refused(faults: Faults, wrong: dict[str, int]) -> None:
    """Where it is set, by name."""
    with pytest.raises(ValueError, match=r"crash 'registry'"):
        faults.crash("registry", **wrong)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - wrong on purpose


async def test_a_child_may_hang_against_cancellation(
    faults: Faults, event_log: EventLog, autojump_clock: MockClock
) -> None:
    """Reported, and waited for, until the test lets it go."""
    faults.hang("registry", on=Publish, shield=True)
    with faults:
        async with (
            open_supervisor(_tree(), on_event=[event_log]) as root,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(_publish, root["registry"], 1)
            await wait_all_tasks_blocked()
            root["registry"].kill()
            stuck = await event_log.wait_for(ChildUnresponsive)
            assert stuck.path == "registry"
            assert root.which_children()[0].state is ChildState.STOPPING

            faults.release()

            assert await root["registry"].call(Publish()) == 1
