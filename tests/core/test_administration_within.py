"""Administration that the children themselves ask for."""

import pytest
import trio
from actors import Journal, Plan, worker
from trio.testing import MockClock, wait_all_tasks_blocked

from codex_actors import (
    Actor,
    CallCycle,
    Cast,
    ChildSpec,
    ChildStartError,
    Supervisor,
    SupervisorSpec,
    handle_cast,
    open_supervisor,
)
from codex_actors.testing import TreeOpener, assert_tree


class Go(Cast):
    """Do what the class is for."""


async def test_child_that_hangs_at_the_first_start_can_be_terminated(
    autojump_clock: MockClock,
) -> None:
    """While a supervisor starts its children, a running one can cancel a sibling's start."""
    journal = Journal()

    class Helper(Actor):
        @handle_cast(Go)
        async def go(self, message: Go) -> None:
            assert isinstance(self.supervisor, Supervisor)
            await self.supervisor.terminate_child("b")
            journal.write("helped")

        async def handle_continue(self) -> None:
            self.ref.cast_nowait(Go())

    tree = SupervisorSpec(
        [
            ChildSpec("a", Helper),
            worker(journal, "b", Plan(start_gate=trio.Event())),
            worker(journal, "c"),
        ]
    )

    with trio.fail_after(60):
        async with open_supervisor(tree) as supervisor:
            await wait_all_tasks_blocked()
            assert_tree(supervisor, {"a": "running", "b": "terminated", "c": "running"})
            assert sorted(journal.take().split()) == ["+b✗", "+c", "helped"]


@pytest.mark.parametrize("operation", ["stop", "terminate"])
async def test_child_cannot_wait_for_its_own_end(open_tree: TreeOpener, operation: str) -> None:
    """A child that terminates itself, or stops its supervisor, gets CallCycle, not a hang."""
    errors: list[CallCycle] = []

    class Suicidal(Actor):
        @handle_cast(Go)
        async def go(self, message: Go) -> None:
            assert isinstance(self.supervisor, Supervisor)
            try:
                if operation == "stop":
                    await self.supervisor.stop()
                else:
                    await self.supervisor.terminate_child("a")
            except CallCycle as error:
                errors.append(error)

    supervisor = await open_tree(SupervisorSpec([ChildSpec("a", Suicidal)]))

    supervisor["a"].cast_nowait(Go())
    await wait_all_tasks_blocked()

    assert len(errors) == 1
    assert errors[0].path[0] == "a"
    assert_tree(supervisor, {"a": "running"})


async def test_init_cannot_start_a_sibling() -> None:
    """`start_child` of one's own supervisor, awaited from `init`, is a loop and raises."""

    class Eager(Actor):
        async def init(self) -> None:
            await self.supervisor.start_child(worker(Journal(), "b"))

    with pytest.raises(ChildStartError) as raised:
        async with open_supervisor(SupervisorSpec([ChildSpec("a", Eager)])):
            pytest.fail("opened")

    assert isinstance(raised.value.__cause__, CallCycle)


async def test_handler_can_start_a_sibling(open_tree: TreeOpener) -> None:
    """`start_child` from a handler, or from `handle_continue`, is fine."""
    journal = Journal()

    class Parent(Actor):
        async def handle_continue(self) -> None:
            await self.supervisor.start_child(worker(journal, "b"))

        @handle_cast(Go)
        async def go(self, message: Go) -> None:
            await self.supervisor.start_child(worker(journal, "c"))

    supervisor = await open_tree(SupervisorSpec([ChildSpec("a", Parent)]))
    await supervisor["a"].cast(Go())
    await wait_all_tasks_blocked()

    assert_tree(supervisor, {"a": "running", "b": "running", "c": "running"})
