"""Owns the faults of the fake codex: what goes wrong, at which step, in which way.

Invariant: a fault is a frozen value; when it strikes depends on nothing but how often its step was
reached, by all processes of the fake together. Must not know how the fake carries it out.

    codex = fake_codex(
        directory,
        faults=[
            CodexFault("thread/attachment/add:answer", KillItself()),
            CodexFault("turn.completed", WaitFor(0.5), nth=2),
        ],
    )

The steps of `codex exec`: `exec` (the arguments are read), then, each right before the event of
that name is printed, `thread.started`, `turn.started`, `item.completed` and `turn.completed`. The
images are read after `turn.started`.

The steps of `codex app-server`: the name of a method, before the request is carried out, and the
name with `:answer` behind it, when it is carried out and not yet answered; and, each right before
that notification is sent, `turn/started`, `item/started:userMessage` (the images are read right
after this step), `item/completed:userMessage`, `item/started:agentMessage`,
`item/completed:agentMessage`, `turn/completed` and `thread/attachment/updated`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from attrs import Attribute, asdict, field, frozen

from codex_actors.testing.fake_binary.schema import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "STEPS",
    "CodexFault",
    "ExitWith",
    "FailWith",
    "HangForever",
    "KillItself",
    "PrintNonsense",
    "StallTurn",
    "WaitFor",
    "fault_script",
]

STEPS = (
    *("exec", "thread.started", "turn.started", "item.completed", "turn.completed"),
    *METHODS,
    *(f"{method}:answer" for method in METHODS),
    *("turn/started", "item/started:userMessage", "item/completed:userMessage"),
    *("item/started:agentMessage", "item/completed:agentMessage", "turn/completed"),
    "thread/attachment/updated",
)


@frozen
class ExitWith:
    """The process exits."""

    status: int = 1


@frozen
class KillItself:
    """The process is killed by SIGKILL."""


@frozen
class PrintNonsense:
    """A line that is no event and no message; then it goes on."""

    text: str = "this is not an event"


@frozen
class HangForever:
    """The whole process does nothing any more (it ends after five minutes)."""


@frozen
class StallTurn:
    """The step is never got past, as when the model does not answer.

    All else goes on: an app-server takes requests, an interruption among them. At a request: that
    request is never answered.
    """


@frozen
class WaitFor:
    """So many seconds pass, then it goes on. At a request, those after it wait too."""

    seconds: float


@frozen
class FailWith:
    """The step fails: a request is answered with an error, a turn fails.

    Attributes:
        message: What is wrong.
        code: Of the error that a request is answered with.
    """

    message: str = "the fake codex was told to fail"
    code: int = -32603


Then = ExitWith | KillItself | PrintNonsense | HangForever | StallTurn | WaitFor | FailWith


def _check_step(_fault: Any, _attribute: Attribute[Any], value: str) -> None:
    if value not in STEPS:
        raise ValueError(f"the fake codex has no step {value!r}: it has {', '.join(STEPS)}")


def _from_one(_fault: Any, attribute: Attribute[Any], value: float) -> None:
    if value < 1:
        raise ValueError(f"CodexFault.{attribute.name} is {value!r}: steps count from 1")


@frozen
class CodexFault:
    """What goes wrong at a step.

    Attributes:
        step: The name of the step, one of `STEPS`.
        then: What happens.
        nth: The first time that it happens, counted from 1 over all processes of the fake.
        times: How many times in a row, `math.inf` for every time from then on.
    """

    step: str = field(validator=_check_step)
    then: Then
    nth: int = field(default=1, kw_only=True, validator=_from_one)
    times: float = field(default=1, kw_only=True, validator=_from_one)

    def __attrs_post_init__(self) -> None:
        """Refuse a failure where nothing can fail."""
        fails = isinstance(self.then, FailWith | StallTurn)
        if fails and self.step == "thread/attachment/updated":
            raise ValueError(f"{self.step} cannot fail or stall: the change was answered already")


def fault_script(faults: Iterable[CodexFault]) -> list[dict[str, Any]]:
    """Write faults down for the fake's own process."""
    return [
        {
            "step": fault.step,
            "nth": fault.nth,
            "times": None if math.isinf(fault.times) else fault.times,
            "then": {"kind": type(fault.then).__name__, **asdict(fault.then)},
        }
        for fault in faults
    ]
