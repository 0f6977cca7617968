"""Owns what a finished turn amounts to.

Invariant: made from the turn's events alone. Must not know how they were got.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from codex_actors.codex.events import Event, ItemCompleted, ThreadStarted, TurnCompleted, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TurnResult", "turn_result"]


@frozen(kw_only=True)
class TurnResult:
    """A turn that completed.

    Attributes:
        events: Everything that codex reported, in order.
        final_message: The agent's last message, empty when it said nothing.
        thread_id: The thread that the turn belongs to.
        usage: Tokens taken.
    """

    events: tuple[Event, ...] = field(repr=False)
    final_message: str
    thread_id: str
    usage: Usage


def turn_result(events: Sequence[Event]) -> TurnResult:
    """Sum up the events of a completed turn."""
    final_message, thread_id, usage = "", "", Usage()
    for event in events:
        match event:
            case ItemCompleted(item) if item.type == "agent_message":
                final_message = item.text
            case ThreadStarted(id_):
                thread_id = id_
            case TurnCompleted(counted):
                usage = counted
            case _:
                pass
    return TurnResult(
        events=tuple(events), final_message=final_message, thread_id=thread_id, usage=usage
    )
