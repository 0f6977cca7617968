"""Errors cross process boundaries: pickled they keep their text, and leave live things behind."""

import pickle
from typing import TypeVar

import pytest
import trio

from codex_actors import (
    Actor,
    ActorDied,
    ActorError,
    ActorStopped,
    CallCycle,
    ChildAlreadyStarted,
    ChildSpec,
    ChildStartError,
    ExitKind,
    ExitReason,
    RestartIntensityExceeded,
    SupervisorSpec,
    open_supervisor,
)

T = TypeVar("T")


class Unpicklable(Exception):
    """It holds what cannot be pickled, as errors of libraries do."""

    def __init__(self) -> None:
        super().__init__("torn", lambda: None)

    def __str__(self) -> str:
        return "torn paper"


def _pickled(value: T) -> T:
    copy: T = pickle.loads(pickle.dumps(value))  # noqa: S301 - of what this very line has pickled
    return copy


@pytest.mark.parametrize("kind", [ActorStopped, ActorDied])
async def test_an_error_with_a_ref_keeps_its_text_and_its_reason_as_text(
    kind: type[ActorStopped],
) -> None:
    """The ref belongs to this process, and the crash may hold anything."""
    async with open_supervisor(SupervisorSpec([ChildSpec("desk", Actor)])) as root:
        error = kind(root["desk"], ExitReason(ExitKind.CRASH, Unpicklable()))

    copy = _pickled(error)

    assert type(copy) is kind
    assert isinstance(copy, trio.ClosedResourceError)
    assert str(copy) == str(error)
    assert copy.reason == ExitReason(ExitKind.CRASH, None, "Unpicklable: torn paper")
    assert not hasattr(copy, "ref")


async def test_an_error_that_only_has_a_ref_keeps_its_text() -> None:
    """It names the child all the same."""
    async with open_supervisor(SupervisorSpec([ChildSpec("desk", Actor)])) as root:
        error = ChildAlreadyStarted(root["desk"])

    copy = _pickled(error)

    assert type(copy) is ChildAlreadyStarted
    assert str(copy) == "child 'desk' is already running"


def test_what_is_text_already_is_kept() -> None:
    """An error that builds its message of its arguments does not build it twice."""
    cycle = CallCycle(("a", "b", "a"))
    start = ChildStartError("desk", Unpicklable())
    start.add_note("on a Monday")

    copies = _pickled((cycle, start))

    assert [str(copy) for copy in copies] == [str(cycle), str(start)]
    assert copies[0].path == ("a", "b", "a")
    assert copies[1].child_id == "desk"
    assert copies[1].__notes__ == ["on a Monday"]


def test_crashes_become_text() -> None:
    """Their order and their messages are what an operator needs of them."""
    error = RestartIntensityExceeded("desk gave up", (Unpicklable(), ValueError("blot")))

    copy = _pickled(error)

    assert str(copy) == "desk gave up"
    assert [type(crash) for crash in copy.crashes] == [ActorError, ActorError]
    assert [str(crash) for crash in copy.crashes] == ["Unpicklable: torn paper", "ValueError: blot"]
