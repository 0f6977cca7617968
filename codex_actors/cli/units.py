"""Times and sizes as people write them.  Pure."""

import math
import re
from fractions import Fraction

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_POWERS = "kmgtp"
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
    step = 1000 if (suffix or "").lower() == "b" else 1024
    power = _POWERS.index(prefix.lower()) + 1 if prefix else 0
    return int(Fraction(number) * step**power)
