"""Restarts under a dynamic supervisor: one_for_one, and forgotten when they do not come back."""

import pytest
import trio
from actors import Crash, CrashCall, Finish, Journal, Ping, Plan, worker
from scenes import ENDLESS
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    ActorDied,
    ActorStopped,
    ChildCounts,
    ChildSpec,
    DynamicSupervisorSpec,
    ExitKind,
    MaxChildrenReached,
    RestartIntensityExceeded,
    SupervisorSpec,
    open_supervisor,
)
from codex_actors.testing import TreeOpener, assert_tree

EMPTY = ChildCounts(0, 0, 0, 0)


@pytest.mark.parametrize("state", ["starting", "restarting", "backoff", "stopping"])
async def test_what_occupies_a_slot(open_tree: TreeOpener, state: str) -> None:
    """A child that starts, stops, is restarted or waits for it occupies its slot."""
    journal, plan = Journal(), Plan()
    supervisor = await open_tree(DynamicSupervisorSpec(max_children=1))
    spec = worker(journal, "a", plan, backoff=ENDLESS if state == "backoff" else None)
    gate = trio.Event()

    async with trio.open_nursery() as nursery:
        if state == "starting":
            plan.start_gate = gate
            nursery.start_soon(supervisor.start_child, spec)
        else:
            ref = await supervisor.start_child(spec)
            plan.start_gate = plan.stop_gate = gate
            if state == "stopping":
                nursery.start_soon(supervisor.terminate_child, ref)
            else:
                plan.stop_gate = None
                await ref.cast(Crash())
        await wait_all_tasks_blocked()
        assert_tree(supervisor, {"a": state})
        with pytest.raises(MaxChildrenReached):
            await supervisor.start_child(worker(journal, "b"))
        gate.set()


@pytest.mark.parametrize("state", ["restarting", "backoff"])
async def test_terminate_while_restarting(
    open_tree: TreeOpener, autojump_clock: MockClock, state: str
) -> None:
    """terminate_child ends a restart, or the pause before it, at once."""
    # D5 G10 B7
    journal, plan = Journal(), Plan()
    supervisor = await open_tree(DynamicSupervisorSpec())
    spec = worker(journal, "a", plan, backoff=ENDLESS if state == "backoff" else None)
    ref = await supervisor.start_child(spec)
    plan.start_gate = trio.Event()
    await ref.cast(Crash())
    await wait_all_tasks_blocked()
    assert_tree(supervisor, {"a": state})
    asked = trio.current_time()

    await supervisor.terminate_child(ref)

    assert trio.current_time() == asked
    assert supervisor.count_children() == EMPTY
    plan.start_gate.set()
    autojump_clock.jump(ENDLESS.max)
    await wait_all_tasks_blocked()
    assert supervisor.count_children() == EMPTY


async def test_retry_after_a_failed_restart(open_tree: TreeOpener) -> None:
    """The first restart fails, the second succeeds: it lives, one worker active."""
    # D7
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec(max_restarts=2))
    ref = await supervisor.start_child(worker(journal, "a", Plan(failing={2})))

    await ref.cast(Crash())
    await wait_all_tasks_blocked()

    assert journal.take() == "+a -a! +a✗ +a"
    assert supervisor.count_children() == ChildCounts(1, 1, 0, 1)


async def test_shared_intensity(autojump_clock: MockClock) -> None:
    """The intensity is shared by all children; beyond it all stop with shutdown."""
    # D8 I3
    journal = Journal()

    async def body() -> None:
        async with open_supervisor(DynamicSupervisorSpec(max_restarts=2)) as supervisor:
            refs = [await supervisor.start_child(worker(journal, name)) for name in "abcd"]
            for ref in refs[:3]:
                await ref.cast(Crash())
                await wait_all_tasks_blocked()
            await trio.sleep_forever()

    with pytest.raises(RestartIntensityExceeded) as raised:
        await body()

    assert len(raised.value.crashes) == 3
    assert journal.entries[-4] == "-c!"
    assert sorted(journal.entries[-3:]) == ["-a", "-b", "-d"]
    assert {kind for _, kind in journal.reasons[-3:]} == {ExitKind.SHUTDOWN}


async def test_restart_that_ignores(open_tree: TreeOpener) -> None:
    """A restart that raises IgnoreChild drops the child silently."""
    # D11
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec(max_restarts=1))
    ref = await supervisor.start_child(worker(journal, "a", Plan(ignoring={2})))

    with pytest.raises(ActorDied):
        await ref.call(CrashCall())
    await wait_all_tasks_blocked()

    assert supervisor.count_children() == EMPTY
    with pytest.raises(ActorStopped):
        await ref.call(Ping())


@pytest.mark.parametrize(
    ("restart", "end", "comes_back"),
    [
        ("permanent", Finish(), True),
        ("permanent", Crash(), True),
        ("transient", Finish(), False),
        ("transient", Crash(), True),
        ("temporary", Finish(), False),
        ("temporary", Crash(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Finish | Crash) else str(value),
)
async def test_restart_types(
    open_tree: TreeOpener, restart: str, end: Finish | Crash, comes_back: bool
) -> None:
    """Restart types rule as under a static supervisor; what is not restarted is forgotten."""
    # R1 R2 R3
    journal = Journal()
    supervisor = await open_tree(DynamicSupervisorSpec())
    ref = await supervisor.start_child(worker(journal, "a", restart=restart))

    await ref.cast(end)
    await wait_all_tasks_blocked()

    assert_tree(supervisor, {"a": "running"} if comes_back else {})


async def test_restarted_supervisor_is_empty(open_tree: TreeOpener) -> None:
    """A dynamic supervisor that is restarted has forgotten its children."""
    # I7
    journal = Journal()
    tree = SupervisorSpec([ChildSpec("dyn", DynamicSupervisorSpec())])
    supervisor = await open_tree(tree)
    dynamic = supervisor.subtree("dyn")
    ref = await dynamic.start_child(worker(journal, "a"))

    dynamic.ref.kill()
    await wait_all_tasks_blocked()

    assert dynamic.count_children() == EMPTY
    with pytest.raises(ActorStopped):
        await ref.call(Ping())
    await dynamic.start_child(worker(journal, "a"))
    assert_tree(supervisor, {"dyn": {"a": "running"}})
