"""The pytest plugin, in pytest runs of its own: what it gives, and what it fails."""

import pytest

pytest_plugins = ["pytester"]

_HEAD = """
import trio
from codex_actors import Actor, ChildSpec, ChildStarted, SupervisorSpec, handle_cast
from codex_actors.testing import assert_tree

TREE = SupervisorSpec([ChildSpec("a", Actor)])
"""


def _run(pytester: pytest.Pytester, body: str) -> pytest.RunResult:
    pytester.makeini("[pytest]\ntrio_mode = true\nfilterwarnings = error\n")
    pytester.makepyfile(_HEAD + body)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider")


def test_the_fixtures_are_there_without_an_import(pytester: pytest.Pytester) -> None:
    """`open_tree`, `event_log` and `faults`, by installing the package."""
    result = _run(
        pytester,
        """
async def test_fixtures(open_tree, event_log, faults, autojump_clock):
    faults.crash("a", at="nowhere")
    with faults:
        root = await open_tree(TREE, on_event=[event_log])
    assert_tree(root, {"a": "running"})
    assert len(event_log.of(ChildStarted, "a")) == 1
    await trio.sleep(1000)
""",
    )

    result.assert_outcomes(passed=1)


def test_a_tree_outlives_the_test_body_and_no_more(pytester: pytest.Pytester) -> None:
    """It is stopped, its cleanup awaited, before the next test."""
    result = _run(
        pytester,
        """
ended = []

class Ending(Actor):
    async def terminate(self, reason):
        await trio.sleep(0)
        ended.append(reason.kind.value)

async def test_first(open_tree):
    await open_tree(SupervisorSpec([ChildSpec("a", Ending)]))
    assert ended == []

async def test_second():
    assert ended == ["shutdown"]
""",
    )

    result.assert_outcomes(passed=2)


def test_a_tree_that_leaks_a_task_fails_its_test(pytester: pytest.Pytester) -> None:
    """Its name and its place are in the report."""
    result = _run(
        pytester,
        """
async def forgotten():
    await trio.sleep_forever()

class Leaky(Actor):
    async def init(self):
        trio.lowlevel.spawn_system_task(forgotten)

async def test_leaks(open_tree):
    await open_tree(SupervisorSpec([ChildSpec("a", Leaky)]))
""",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*TreeLeak*left the task*forgotten*behind*"])


def test_a_tree_that_does_not_end_fails_its_test(pytester: pytest.Pytester) -> None:
    """Within virtual time; what shields itself for ever ends with the test's nursery."""
    result = _run(
        pytester,
        """
class Stubborn(Actor):
    async def terminate(self, reason):
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 100):
            await trio.sleep_forever()

async def test_hangs(open_tree, autojump_clock):
    await open_tree(SupervisorSpec([ChildSpec("a", Stubborn)]), name="app")
""",
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*TreeLeak*'app'*did not end in 60 s*"])


def test_a_failing_test_stops_its_tree_too(pytester: pytest.Pytester) -> None:
    """And shows its own failure, not the tree's."""
    result = _run(
        pytester,
        """
async def test_fails(open_tree):
    await open_tree(TREE)
    assert 1 == 2

async def test_passes(open_tree):
    await open_tree(TREE)
""",
    )

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2*"])
    result.stdout.no_fnmatch_line("*TreeLeak*")
