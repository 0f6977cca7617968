"""Ctrl-C at any line of the framework: the tree ends, and the interrupt arrives.

A trace function raises a real SIGINT at the n-th line that runs inside the framework, so
the same n always hits the same line: no time is involved.
"""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
from actors import Crash, Journal, Ping, worker
from trio.testing import MockClock

import codex_actors
from codex_actors import (
    ActorError,
    ChildSpec,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    SupervisorSpec,
    open_supervisor,
)

_CORE = str(Path(codex_actors.__file__).parent / "_core")
_POINTS = 400


async def _work() -> None:
    """A bit of everything: starts, calls, crashes, group restarts, children that come and go."""
    journal = Journal()
    group = SupervisorSpec(
        [worker(journal, "a"), worker(journal, "b")], strategy="one_for_all", max_restarts=9
    )
    tree = SupervisorSpec([ChildSpec("group", group), ChildSpec("pool", DynamicSupervisorSpec())])
    async with open_supervisor(tree) as root:
        pool = root.subtree("pool")
        assert isinstance(pool, DynamicSupervisor)
        for _ in range(2):
            ref = await pool.start_child(worker(journal, "c"))
            await ref.call(Ping())
            root.subtree("group")["a"].cast_nowait(Crash())
            try:
                await root.subtree("group")["b"].call(Ping())
            except ActorError:
                await trio.lowlevel.checkpoint()
            await pool.terminate_child(ref)


class _Interrupter:
    """Raises SIGINT at the n-th line of the framework."""

    def __init__(self, at: int) -> None:
        self.lines = 0
        self._at = at

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_CORE):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self._at:
                signal.raise_signal(signal.SIGINT)
        return self

    def run(self) -> bool:
        """Whether the work was interrupted."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            trio.run(_work, clock=MockClock(autojump_threshold=0))
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False


@pytest.fixture
def lines(scheduling_order: str) -> int:
    """How many lines of the framework the undisturbed work runs."""
    counter = _Interrupter(0)
    assert not counter.run()
    return counter.lines


def test_ctrl_c_at_any_line(lines: int, scheduling_order: str) -> None:
    """Wherever it lands, the run ends with a KeyboardInterrupt, which nothing wraps or swallows."""
    # X1 X5
    points = range(1, lines, max(1, lines // _POINTS))

    survived = [at for at in points if not _Interrupter(at).run()]

    # At the very end of the run nobody is left to be interrupted.
    assert [at for at in survived if at < lines * 0.98] == []
