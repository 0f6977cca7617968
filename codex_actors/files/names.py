"""Owns what may be the name of an attachment.

Invariant: a name that passes is exactly one entry of exactly one directory, on every platform it
may travel to, and prints on one line. Pure: knows neither the disk nor where a name is used.
"""

import unicodedata
from typing import Any

from codex_actors.files.errors import InvalidName

__all__ = ["MAX_NAME_BYTES", "validate_name"]

MAX_NAME_BYTES = 255  # NAME_MAX of every file system that matters

_SEPARATORS = frozenset("/\\")
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})  # the last two break lines


def validate_name(name: Any) -> str:
    r"""Return `name` unchanged when it may name an attachment.

    Unicode is kept as it is: no normalisation, since the name is the caller's.

    Raises:
        InvalidName: Empty, `.` or `..`, longer than 255 bytes in UTF-8, not valid Unicode, or with
            a separator (`/` or `\`) or a control character.
        TypeError: Not a str.
    """
    if not isinstance(name, str):
        raise TypeError(f"The name {name!r} is {type(name).__name__}, not text: give a str.")
    fault = _fault(name)
    if fault is not None:
        shown = name if len(name) <= MAX_NAME_BYTES else name[:40] + "…"
        raise InvalidName(f"The name {shown!r} {fault}: give it another name.")
    return name


def _fault(name: str) -> str | None:
    if name in {"", ".", ".."}:
        return "is not the name of a file"
    if not _SEPARATORS.isdisjoint(name):
        return "contains a path separator: a name is not a path"
    for character in name:
        category = unicodedata.category(character)
        if category in _CONTROLS:
            return f"contains the control character {character!r}"
        if category == "Cs":
            return "is not valid Unicode"
    size = len(name.encode())
    if size > MAX_NAME_BYTES:
        return f"takes {size} bytes of at most {MAX_NAME_BYTES}"
    return None
