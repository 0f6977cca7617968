"""Owns the making of lines so long that it takes a thread.

Invariant: what comes out is what `jsonrpc.encode` gives, but no step takes long: the encoder of the
standard library gives the interpreter up at no point, so that in one step a thread would keep the
event loop waiting as if it were done there. Pure; must not know what is encoded.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

__all__ = ["encode_in_pieces", "is_long"]

_LONG = 64 * 2**10
# Elements of a list that are looked at together.
_TOGETHER = 256


def encode_in_pieces(document: object, piece: int = _LONG) -> bytes:
    """Return a document as a line; for a thread.

    Args:
        document: What has a form in JSON.
        piece: About how many bytes are made in one step.

    Raises:
        ValueError: It has a number that JSON has not, contains itself, or is nested too deeply.
        TypeError: It is none.
    """
    try:
        text = "".join(_pieces(document, piece))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return text.encode("ascii") + b"\n"


def is_long(document: object, limit: int = _LONG) -> bool:
    """Tell, in a time that `limit` bounds, whether a document has more than about `limit` bytes."""
    left = limit
    stack = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            left -= len(value)
        elif isinstance(value, dict):
            members = cast("dict[object, object]", value)
            left -= 4 * len(members)
            if left >= 0:
                stack += [*members, *members.values()]
        elif isinstance(value, list | tuple):
            elements = cast("list[object]", value)
            left -= 2 * len(elements)
            if left >= 0:
                stack += elements
        else:
            left -= value.bit_length() // 3 if isinstance(value, int) else 4
        if left < 0:
            return True
    return False


def _pieces(value: object, piece: int) -> Iterator[str]:
    if not is_long(value, piece):
        yield _dumps(value)
    elif isinstance(value, dict):
        members = cast("dict[object, object]", value)
        comma = ""
        for key, member in members.items():
            yield comma or "{"
            # JSON's keys are texts: numbers are made such as the whole would be.
            yield _dumps({key: 0})[1:-2]
            yield from _pieces(member, piece)
            comma = ","
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        yield from _elements(cast("list[object]", value), piece)
        yield "]"
    else:
        yield _dumps(value)


def _elements(elements: list[object] | tuple[object, ...], piece: int) -> Iterator[str]:
    comma = ""
    for start in range(0, len(elements), _TOGETHER):
        together = elements[start : start + _TOGETHER]
        if not is_long(together, piece):
            yield comma + _dumps(together)[1:-1]
        else:
            for element in together:
                yield comma
                yield from _pieces(element, piece)
                comma = ","
        comma = ","


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
