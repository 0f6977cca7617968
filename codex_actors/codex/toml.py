"""Owns writing configuration values as TOML, for codex's `-c key=value`.

Invariant: what is written is read by a TOML parser as the same value; what TOML has no form for is
refused with its place named, never its value. Must not know which keys codex has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import cast

__all__ = ["config_arguments", "toml_value"]

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')
_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGERS = range(-(2**63), 2**63)


def config_arguments(config: Mapping[str, object]) -> list[str]:
    """Return `-c key=value` for each entry.

    A key may be a dotted path, as for codex itself (`model_providers.mine`); tables below it are
    written inline, where keys may be anything.

    Raises:
        ValueError: A key or value that codex could not be given.
        TypeError: A value of a type that TOML does not have.
    """
    arguments: list[str] = []
    for key, value in config.items():
        if not _KEY.fullmatch(key):
            raise ValueError(
                f"config key {key!r} is not a dotted path of letters, digits, '_' and '-': "
                "put other keys into a nested dict"
            )
        arguments += ["-c", f"{key}={toml_value(value, key)}"]
    return arguments


def toml_value(value: object, place: str) -> str:
    """Write one value on one line; `place` names it in errors.

    Raises:
        ValueError: Text that is not valid Unicode, an integer beyond 64 bits.
        TypeError: A type that TOML does not have (None among them: leave the key out).
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int() if value not in _INTEGERS:
            raise ValueError(f"config value {place} is an integer beyond 64 bits")
        case int():
            return str(int(value))
        case float():
            return repr(float(value)) if math.isfinite(value) else str(float(value))
        case str():
            return _text(value, place)
        case Mapping():
            table = cast("Mapping[object, object]", value)
            return "{" + ",".join(_pair(k, v, place) for k, v in table.items()) + "}"
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            items = cast("Sequence[object]", value)
            return "[" + ",".join(toml_value(v, f"{place}[{i}]") for i, v in enumerate(items)) + "]"
        case _:
            raise TypeError(
                f"config value {place} is a {type(value).__name__}, for which TOML has no form: "
                "use text, numbers, booleans, lists and dicts, or leave it out"
            )


def _pair(key: object, value: object, place: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"config table {place} has a key that is no text: {key!r}")
    written = key if _BARE.fullmatch(key) else _text(key, place)
    return f"{written}={toml_value(value, f'{place}.{key}')}"


def _text(text: str, place: str) -> str:
    if _SURROGATE.search(text):
        raise ValueError(f"config value {place} is not valid Unicode: it has a lone surrogate")
    return '"' + _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + '"'
