"""Lines of `codex exec --json` become events."""

from __future__ import annotations

import json

import pytest

from codex_actors.codex import (
    AttachmentNotRecorded,
    ErrorReported,
    Event,
    Item,
    ItemCompleted,
    ItemStarted,
    ThreadStarted,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
    UnknownEvent,
    Usage,
)
from codex_actors.codex.events import NotAnEvent, event_to_dict, parse_event
from codex_actors.codex.result import turn_result

ITEM = {"id": "item_0", "type": "agent_message", "text": "hi"}


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b'{"type":"thread.started","thread_id":"t"}', ThreadStarted("t")),
        (b'{"type":"turn.started"}\r', TurnStarted()),
        (
            b'{"type":"turn.completed","usage":{"input_tokens":1,"new_counter":5}}',
            TurnCompleted(Usage(input_tokens=1)),
        ),
        (b'{"type":"turn.completed"}', TurnCompleted(Usage())),
        (b'{"type":"turn.failed","error":{"message":"no"}}', TurnFailed("no")),
        (b'{"type":"error","message":"again"}', ErrorReported("again")),
        (
            b'{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"hi"}}',
            ItemCompleted(Item(id="item_0", type="agent_message", text="hi", data=ITEM)),
        ),
        (
            b'{"type":"item.started","item":{"id":"i","type":"error","message":"m"}}',
            ItemStarted(
                Item(
                    id="i",
                    type="error",
                    text="m",
                    data={"id": "i", "type": "error", "message": "m"},
                )
            ),
        ),
        (b'{"type":"new.kind","x":1}', UnknownEvent("new.kind", {"type": "new.kind", "x": 1})),
    ],
)
def test_each_kind_is_read(line: bytes, event: Event) -> None:
    """Every known kind has its class; an unknown one keeps its data. The way back is one."""
    assert parse_event(line) == event
    assert parse_event(json.dumps(event_to_dict(event)).encode()) == event


def test_what_codex_does_not_print_has_a_type_of_ours() -> None:
    """An attachment whose record could not be made."""
    event = AttachmentNotRecorded(name="a", reason="full")

    assert event_to_dict(event) == {
        "type": "codex_actors.attachment_not_recorded",
        "name": "a",
        "reason": "full",
    }


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"\xff",
        b"[]",
        b"{}",
        b'{"type":5}',
        b'{"type":"thread.started"}',
        b'{"type":"item.started","item":{"id":1}}',
        b'{"type":"item.completed"}',
        b"[" * 200_000,
    ],
)
def test_anything_else_is_an_error(line: bytes) -> None:
    """What is no event is refused, whatever it is."""
    with pytest.raises(NotAnEvent):
        parse_event(line)


def test_result_sums_up_the_events() -> None:
    """The last message of the agent is the final one."""
    events: list[Event] = [
        ThreadStarted("t"),
        ItemCompleted(Item(id="0", type="agent_message", text="first", data={})),
        ItemCompleted(Item(id="1", type="agent_message", text="last", data={})),
        ItemCompleted(Item(id="2", type="reasoning", text="hm", data={})),
        TurnCompleted(Usage(output_tokens=3)),
    ]

    result = turn_result(events)

    assert result.final_message == "last"
    assert result.thread_id == "t"
    assert result.usage.output_tokens == 3
    assert result.events == tuple(events)
