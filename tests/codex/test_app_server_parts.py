"""The parts of the app-server's client that decide, without a process."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
from codex_support import described
from hypothesis import given
from hypothesis import strategies as st

from codex_actors.codex import NotRecorded, ThreadOptions, TurnCompleted, Usage
from codex_actors.codex.app_server.params import thread_params
from codex_actors.codex.app_server.records import parse_attachments, record_of
from codex_actors.codex.app_server.turns import Turn
from codex_actors.codex.app_server.wire import (
    Damaged,
    Failure,
    Noise,
    Notification,
    Result,
    ServerRequest,
    encode,
    parse_line,
)

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"id":1,"result":{}}', Result(1, {})),
        (b' {"id":1,"result":null}\r', Result(1, None)),
        (b'{"id":1,"error":{"code":-32602,"message":"no"}}', Failure(1, -32602, "no")),
        (b'{"method":"a","params":{"b":1}}', Notification("a", {"b": 1})),
        (b'{"method":"a","params":[1]}', Notification("a", {})),
        (b'{"id":"x","method":"a"}', ServerRequest("x", "a", {})),
        (b"", Noise(b"")),
        (b"text {", Noise(b"text {")),
        (b'["id"]', Noise(b'["id"]')),
        (b'{"id":1}', None),
        (b'{"id":1,"error":"no"}', None),
        (b'{"method":5}', None),
        (b'{"id":1,"result":', None),
        (b"{" * 100_000, None),
    ],
)
def test_lines(line: bytes, expected: object) -> None:
    """A message, noise, or damage."""
    if expected is None:
        with pytest.raises(Damaged):
            parse_line(line)
    else:
        assert parse_line(line) == expected


@given(st.binary())
def test_no_line_breaks_the_reader(line: bytes) -> None:
    """Whatever comes is something."""
    for received in (line, b"{" + line):
        with contextlib.suppress(Damaged):
            parse_line(received)


@given(st.dictionaries(st.text("abc"), values))
def test_what_is_sent_is_one_line_that_says_it(params: dict[str, Any]) -> None:
    """Read by the other side's rules it is the same."""
    line = encode({"method": "a", "params": params})

    assert line.count(b"\n") == 1
    assert parse_line(line) == Notification("a", params)


def tell(turn: Turn, method: str, **params: Any) -> None:
    """Have a turn hear something about itself."""
    turn.hear(Notification(method, {"threadId": "t", "turnId": "1", **params}))


def tokens(total: int, last: int) -> dict[str, Any]:
    """Return what codex tells of the usage, with a counter that nobody knows."""
    return {
        "tokenUsage": {
            "total": {"inputTokens": total, "newTokens": 1},
            "last": {"inputTokens": last, "outputTokens": 1, "newTokens": 1},
        }
    }


def test_usage_is_the_turns_own() -> None:
    """Every answer of the model is counted once; what the thread took before is not."""
    turn = Turn("t")
    before = tokens(100, 100)
    turn.hear(Notification("thread/tokenUsage/updated", {"turnId": "0", **before}))
    tell(turn, "turn/started")
    for told in (before, tokens(110, 10), tokens(110, 10), tokens(115, 5)):
        tell(turn, "thread/tokenUsage/updated", **told)
    turn.hear(Notification("turn/completed", {"turn": {"id": "1", "status": "completed"}}))

    assert turn.events[-1] == TurnCompleted(Usage(input_tokens=115, output_tokens=3))


def test_a_turn_that_is_lost_keeps_nobody_waiting() -> None:
    """Nothing has arrived, and nothing more is heard."""
    turn = Turn("t")
    turn.lose()
    tell(turn, "turn/started")

    assert turn.started.is_set()
    assert turn.settled.is_set()
    assert turn.over.is_set()
    assert not turn.arrived
    assert turn.status is None
    assert len(turn.events) == 1


def test_options_become_parameters() -> None:
    """Paths are absolute; what is not chosen is not sent, but for the approvals."""
    options = ThreadOptions(
        cwd="here",
        model="m",
        sandbox="workspace-write",
        add_dirs=["x", "/y"],
        config={"a": {"b": [1, True, "c"]}},
    )
    here = Path.cwd() / "here"

    assert thread_params(ThreadOptions()) == {"approvalPolicy": "never"}
    assert thread_params(ThreadOptions(config={"approval_policy": "untrusted"})) == {
        "config": {"approval_policy": "untrusted"}
    }
    assert thread_params(options) == {
        "cwd": str(here),
        "model": "m",
        "sandbox": "workspace-write",
        "approvalPolicy": "never",
        "config": {
            "a": {"b": [1, True, "c"]},
            "sandbox_workspace_write.writable_roots": [str(here / "x"), "/y"],
        },
    }


def test_numbers_that_json_lacks_are_refused() -> None:
    """The place is named."""
    with pytest.raises(ValueError, match=r"config value a\.b is inf"):
        thread_params(ThreadOptions(config={"a": {"b": [math.inf]}}))


def test_names_that_are_no_unicode_are_not_recorded() -> None:
    """Codex could not read the request."""
    with pytest.raises(NotRecorded, match="Unicode"):
        record_of(described(Path("/nowhere"), "a\ud800", b""))


def test_records_of_others_are_left_out() -> None:
    """Other types, and what is no record at all."""
    good = {"id": "1", "attachmentType": "codex_actors.file", "identityKey": "sha256:0"}
    others = [None, 1, {}, {**good, "attachmentType": "theirs"}, {**good, "id": 5}]

    (found,) = parse_attachments([*others, {**good, "payload": 7, "createdAt": "now"}])

    assert (found.key, found.payload, found.created_at, found.name) == ("sha256:0", {}, None, "")
    assert list(parse_attachments("nonsense")) == []
