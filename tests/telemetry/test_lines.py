"""How what happened looks on a line."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_actors.telemetry.levels import Level
from codex_actors.telemetry.lines import Record, as_json, as_text, traceback_of


def _record(message: str = "it is so", traceback: str = "", **fields: Any) -> Record:
    return Record(
        time=1_700_000_000.5,
        level=Level.WARNING,
        event="thing",
        message=message,
        fields=fields,
        traceback=traceback,
    )


def test_a_line_for_people() -> None:
    """The time, the level, the message; a traceback is indented below."""
    line = as_text(_record(traceback="Traceback:\n  File x\nValueError"))

    assert line == (
        "2023-11-14T22:13:20.500Z warning it is so\n    Traceback:\n      File x\n    ValueError\n"
    )


def test_a_line_for_programs() -> None:
    """One document, what it is about first; what JSON has no word for is text."""
    line = as_json(
        _record(path=Path("/x"), rate=math.inf, pair=(1, None), level="forged", nan=math.nan)
    )

    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.500Z",
        "level": "warning",
        "event": "thing",
        "message": "it is so",
        "path": "/x",
        "rate": "infinity",
        "pair": [1, None],
        "nan": "nan",
    }
    assert list(json.loads(line))[:4] == ["time", "level", "event", "message"]


@given(st.text(), st.text())
def test_whatever_a_stranger_calls_it_is_one_line(message: str, value: str) -> None:
    """Control characters, line separators and lone surrogates: a line, which can be encoded."""
    record = _record(message, name=value)

    text, document = as_text(record), as_json(record)

    assert text.count("\n") == 1
    assert text[:-1].isprintable()
    assert len(document.splitlines()) == 1
    assert document.isascii()
    assert json.loads(document)["name"] == value


def test_the_traceback_of_a_recursion_is_bounded() -> None:
    """A thousand frames are a few lines."""

    def fall(depth: int) -> None:
        if depth == 0:
            raise ValueError("x" * 100_000)
        fall(depth - 1)

    with pytest.raises(ValueError, match="x") as caught:
        fall(500)
    text = traceback_of(caught.value)

    assert text.startswith("Traceback")
    assert len(text) < 20_000
    assert traceback_of(None) == ""


def test_what_is_too_long_to_read_is_cut() -> None:
    """Names come from strangers, and errors hold names; a document stays one."""
    record = _record(
        message="m" * 1_000_000, name="n" * 1_000_000, nested={"of": ["x" * 1_000_000]}
    )

    lines = as_text(record), as_json(record)

    assert [len(line) < 100_000 for line in lines] == [True, True]
    assert "[... 980,000 more characters]" in lines[0]
    assert json.loads(lines[1])["name"].endswith("nnn [... 980,000 more characters]")
