"""Orders for a supervisor that is between two lives wait for the next one."""

import pytest
from actors import Journal, worker
from trio.testing import MockClock

from codex_actors import ChildSpec, DynamicSupervisorSpec, Supervisor, SupervisorSpec
from codex_actors.testing import TreeOpener, assert_tree


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_a_child_for_a_supervisor_that_was_just_killed(
    open_tree: TreeOpener, autojump_clock: MockClock, kind: str
) -> None:
    """It is started by the next life, behind the static children."""
    journal = Journal()
    spec = SupervisorSpec([worker(journal, "a")]) if kind == "static" else DynamicSupervisorSpec()
    root = await open_tree(SupervisorSpec([ChildSpec("sub", spec)]))
    below = root.subtree("sub")

    root["sub"].kill()
    await below.start_child(worker(journal, "b"))

    static = {"a": "running"} if isinstance(below, Supervisor) else {}
    assert_tree(root, {"sub": {**static, "b": "running"}})
