"""Long lines: made as short ones are, without keeping others waiting."""

import json
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_support import documents

from codex_actors.control.jsonrpc import encode
from codex_actors.control.pieces import encode_in_pieces, is_long


@given(documents, st.integers(0, 40))
def test_what_is_made_in_pieces_is_the_same(document: Any, piece: int) -> None:
    """However small they are."""
    assert encode_in_pieces(document, piece) == encode(document)


def test_keys_are_texts_and_what_has_no_form_is_refused() -> None:
    """As of the whole."""
    odd: dict[Any, Any] = {1: [1] * 9, None: (1, 2), False: {}, 1.5: "x"}
    circular: list[Any] = []
    circular.append(circular)

    assert encode_in_pieces(odd, 0) == encode(odd)
    for wrong in (float("nan"), {float("inf"): 1}, circular):
        with pytest.raises(ValueError, match=r"JSON|nested|Circular"):
            encode_in_pieces([wrong], 0)
    for thing in (object(), {(1, 2): 3}):
        with pytest.raises(TypeError):
            encode_in_pieces([thing], 0)


def test_other_threads_get_their_turns() -> None:
    """In one step the interpreter would not be given up until all is made."""
    rows = [{"name": "x" * 40, "number": number, "more": [1, 2, 3]} for number in range(100_000)]
    making = threading.Thread(target=encode_in_pieces, args=(rows,))

    begun = last = time.perf_counter()
    worst = 0.0
    making.start()
    while making.is_alive():
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
    making.join()

    assert worst < (time.perf_counter() - begun) / 3


@given(documents, st.integers(0, 300))
def test_a_document_counts_as_long_by_about_its_length(document: Any, limit: int) -> None:
    """Within what escapes and punctuation make of it."""
    length = len(json.dumps(document))

    said = is_long(document, limit)

    assert said or length <= 12 * limit + 20
    assert not said or length * 3 + 5 >= limit


def test_a_circular_document_is_long() -> None:
    """Looking ends."""
    circular: list[Any] = []
    circular.append(circular)

    assert is_long(circular)
