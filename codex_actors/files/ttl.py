"""Owns the arithmetic of expiry.

Invariant: a refresh never shortens a life, and "for ever" (None) is sticky. Moments are integral
milliseconds of the manifest's clock, lives are seconds. Pure: knows no clock.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from codex_actors.files.errors import InvalidTTL

__all__ = [
    "MAX_TTL",
    "expiry",
    "from_milliseconds",
    "later",
    "to_milliseconds",
    "ttl_between",
    "validate_ttl",
]

MAX_TTL = 100 * 365.25 * 86_400.0  # a century: beyond it `math.inf` is what is meant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def validate_ttl(ttl: Any) -> float:
    """Return `ttl` as a float of seconds, `math.inf` for ever.

    Raises:
        InvalidTTL: Negative, not a number, or longer than a century without being infinite.
    """
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        raise InvalidTTL(f"The ttl {ttl!r} is not a number: give seconds, or infinity for ever.")
    if ttl < 0 or ttl != ttl:  # noqa: PLR0124 - a NaN; an integer may be too large for isnan
        raise InvalidTTL(f"The ttl {ttl!r} is not a duration: give seconds of at least 0.")
    if MAX_TTL < ttl < math.inf:
        raise InvalidTTL(f"The ttl {ttl!r} is over a century: give infinity for ever.")
    return float(ttl)


def expiry(now: int, ttl: float, *, persist: bool) -> int | None:
    """Return the moment at which what is staged `now` for `ttl` seconds expires, None for never."""
    return None if persist or math.isinf(ttl) else now + round(ttl * 1000)


def later(one: int | None, other: int | None) -> int | None:
    """Return the later of two expiries, where None is never."""
    return None if one is None or other is None else max(one, other)


def ttl_between(inserted_at: int, expires_at: int | None) -> float:
    """Return the seconds between two moments, `math.inf` when the second never comes."""
    return math.inf if expires_at is None else (expires_at - inserted_at) / 1000


def from_milliseconds(moment: int) -> datetime:
    """Return a moment of the manifest as an aware UTC datetime."""
    return _EPOCH + timedelta(milliseconds=moment)


def to_milliseconds(moment: datetime) -> int:
    """Return an aware datetime as a moment of the manifest, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
