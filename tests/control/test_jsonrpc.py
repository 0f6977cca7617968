"""Lines become requests or what is wrong with them, documents become lines."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wire_support import documents, texts

from codex_actors.control.jsonrpc import (
    INVALID_REQUEST,
    MAX_BATCH,
    PARSE_ERROR,
    Batch,
    Failure,
    Incoming,
    Invalid,
    Note,
    Result,
    encode,
    failure,
    note,
    parse_answer,
    parse_line,
    success,
)

members = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | documents,
        "id": st.integers() | texts | documents,
        "method": texts | documents,
        "params": st.dictionaries(texts, documents) | documents,
    },
)


def line_of(document: object) -> bytes:
    """A document as one line."""
    return json.dumps(document).encode()


@given(st.binary() | members.map(line_of) | st.lists(members).map(line_of))
@example(b"[" * 500_000)
@example(b'{"a":' * 200_000)
@example(b"9" * 100_000)
@example(b"1e999")
@example(b"[-1E400]")
@example(b"NaN")
@example(b'{"jsonrpc":"2.0","method":"m","params":{"x":Infinity},"id":1}')
@example(b"\xff\xfe{\0}\0")
@example(b"\xef\xbb\xbf{}")
@example(b'"\xed\xa0\x80"')
@example(b"\0" * 100)
@example(b"")
def test_whatever_comes_is_a_request_or_has_an_answer(line: bytes) -> None:
    """It never raises, and ids and codes are those that the specification knows."""
    parsed = parse_line(line)

    items = parsed.items if isinstance(parsed, Batch) else (parsed,)
    assert 0 < len(items) <= MAX_BATCH
    for item in items:
        assert item.id is None or type(item.id) in {str, int}
        if isinstance(item, Invalid):
            assert item.code in {PARSE_ERROR, INVALID_REQUEST}
            assert json.loads(encode(failure(item.id, item.code, item.message)))["id"] == item.id
        else:
            assert item.params is None or isinstance(item.params, dict | list)


def test_a_request_is_what_the_specification_says() -> None:
    """The examples of the specification, of section 7."""
    ask = parse_line(b'{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}')
    tell = parse_line(b'{"jsonrpc": "2.0", "method": "foobar"}')
    null = parse_line(b'{"jsonrpc": "2.0", "method": "foobar", "id": null}')
    bad = parse_line(b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}')
    cut = parse_line(b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]')
    empty = parse_line(b"[]")
    batch = parse_line(b'[1, {"foo": "boo"}, {"jsonrpc": "2.0", "method": "m", "id": "9"}]')

    assert ask == Incoming("subtract", [42, 23], 1, wants_answer=True)
    assert tell == Incoming("foobar", None, None, wants_answer=False)
    assert null == Incoming("foobar", None, None, wants_answer=True)
    assert isinstance(bad, Invalid)
    assert (bad.code, bad.id) == (INVALID_REQUEST, None)
    assert isinstance(cut, Invalid)
    assert (cut.code, cut.id) == (PARSE_ERROR, None)
    assert isinstance(empty, Invalid)
    assert empty.code == INVALID_REQUEST
    assert isinstance(batch, Batch)
    assert [getattr(item, "code", None) for item in batch.items] == [
        INVALID_REQUEST,
        INVALID_REQUEST,
        None,
    ]


@pytest.mark.parametrize(
    ("id_", "kept"), [(True, None), (1.5, None), ([], None), ({}, None), ("x", "x"), (0, 0)]
)
def test_an_answer_carries_the_id_if_that_is_one(id_: object, kept: object) -> None:
    """Also when the rest is no request."""
    parsed = parse_line(line_of({"jsonrpc": "1.0", "method": "m", "id": id_}))

    assert isinstance(parsed, Invalid)
    assert parsed.id == kept


def test_a_batch_is_bounded() -> None:
    """One that is longer gets one error, not one for each."""
    item = {"jsonrpc": "2.0", "method": "m", "id": 1}

    full, longer = (parse_line(line_of([item] * count)) for count in (MAX_BATCH, MAX_BATCH + 1))

    assert isinstance(full, Batch)
    assert len(full.items) == MAX_BATCH
    assert isinstance(longer, Invalid)


@given(documents, st.integers() | texts)
def test_what_is_encoded_is_read_again(document: Any, id_: int | str) -> None:
    """One ASCII line, lone surrogates of file names and all."""
    lines = [encode(success(id_, document)), encode(note(id_, {"value": document}))]

    assert all(line.isascii() and line.count(b"\n") == 1 for line in lines)
    assert parse_answer(lines[0]) == Result(id_, document)
    assert parse_answer(lines[1]) == Note(id_, {"value": document})


def test_the_id_of_a_note_is_that_of_its_request() -> None:
    """A document cannot pass itself off as another's."""
    told = note(7, {"id": 8, "x": 1})

    assert told["params"] == {"id": 7, "x": 1}


@given(st.binary() | documents.map(line_of) | members.map(line_of))
@example(b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":[1]}}')
@example(b'{"jsonrpc":"2.0","method":"note","params":{"id":null}}')
@example(b"[" * 500_000)
def test_a_server_that_says_anything_is_understood_or_refused(line: bytes) -> None:
    """Nothing but ValueError comes of it."""
    try:
        answer = parse_answer(line)
    except ValueError:
        return

    assert answer is None or isinstance(answer, Result | Failure | Note)
    assert not isinstance(answer, Failure) or isinstance(answer.data, dict)


def test_what_json_has_no_form_for_is_refused() -> None:
    """With an error that can be caught, whatever it is."""
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    circular: dict[str, Any] = {}
    circular["self"] = circular

    for number in (float("nan"), float("inf"), nested, circular, 10**5000):
        with pytest.raises(ValueError, match=r"JSON|nested|Circular|digits"):
            encode(number)
    for thing in (object(), b"bytes", {(1, 2): 3}):
        with pytest.raises(TypeError):
            encode(thing)
