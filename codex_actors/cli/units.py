"""Times and sizes as people write them in settings, and sizes as they read them.  Pure."""

import math
import re
from collections.abc import Sequence
from fractions import Fraction

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_TIMES = (("h", 3600), ("m", 60), ("s", 1))
_SIZES = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1))
_POWERS = "kmgtp"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgtp])(i?b)?|b)?", re.IGNORECASE | re.ASCII)


def parse_seconds(text: str) -> float:
    """Read a time: seconds, or a number with s, m, h or d, or "inf".

    Raises:
        ValueError: it is none of these.
    """
    text = text.strip()
    scale = _SECONDS.get(text[-1:].lower())
    try:
        value = float(text) if scale is None else float(text[:-1]) * scale
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ValueError("give seconds, 90s, 5m, 12h, 7d or inf")
    return value


def parse_bytes(text: str) -> int | None:
    """Read a size: bytes, or a number with a unit; None for "inf", which is no limit.

    K, M, G, T, P and KiB, MiB ... count by 1024, KB, MB ... by 1000.

    Raises:
        ValueError: it is none of these.
    """
    text = text.strip()
    if text.lower() in {"inf", "infinity"}:
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("give bytes, 500K, 10MiB, 2G or inf")
    number, prefix, suffix = found.groups()
    step = 1000 if (suffix or "").lower() == "b" else _STEP
    power = _POWERS.index(prefix.lower()) + 1 if prefix else 0
    return int(Fraction(number) * step**power)


def format_seconds(seconds: float) -> str:
    """Return a time as `parse_seconds` reads it, in the largest unit that loses nothing."""
    return _in_largest(seconds, _TIMES)


def format_bytes(size: int) -> str:
    """Return a size as `parse_bytes` reads it, in the largest unit that loses nothing."""
    return _in_largest(size, _SIZES)


def human_bytes(size: float) -> str:
    """Return a size for people, in powers of 1024."""
    for unit in _UNITS:
        if size < _STEP or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    raise AssertionError("the last unit takes all")


def _in_largest(value: float, units: Sequence[tuple[str, int]]) -> str:
    """A value in the largest unit that it is a whole number of, or in the smallest."""
    for unit, length in units:
        if value and value % length == 0:
            return f"{value / length:.0f}{unit}"
    unit, _ = units[-1]
    return f"{value:g}{unit}"
