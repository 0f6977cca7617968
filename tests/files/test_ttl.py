"""The arithmetic of expiry."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_actors.files import InvalidTTL
from codex_actors.files.ttl import expiry, from_milliseconds, later, ttl_between, validate_ttl

MOMENT = st.integers(0, 10**13)
EXPIRY = st.none() | MOMENT


@pytest.mark.parametrize("ttl", [-1, -0.001, math.nan, -math.inf, "60", None, True, 1e12])
def test_what_is_no_duration_is_refused(ttl: object) -> None:
    """Negative, not a number, not a number at all: each says so."""
    with pytest.raises(InvalidTTL, match="ttl"):
        validate_ttl(ttl)


@pytest.mark.parametrize("ttl", [0, 0.5, 60, 86_400.0, math.inf])
def test_durations_pass(ttl: float) -> None:
    """Zero and for ever are durations."""
    assert validate_ttl(ttl) == ttl


def test_a_life_ends_after_its_ttl() -> None:
    """Seconds become milliseconds after now."""
    assert expiry(1000, 1.5, persist=False) == 2500


@pytest.mark.parametrize(("ttl", "persist"), [(math.inf, False), (1.0, True)])
def test_infinite_and_persistent_never_expire(ttl: float, persist: bool) -> None:
    """Both have no expiry."""
    assert expiry(1000, ttl, persist=persist) is None


@given(EXPIRY, EXPIRY)
def test_a_refresh_never_shortens(old: int | None, new: int | None) -> None:
    """The later one wins, for ever is later than all."""
    # F35, E7
    both = later(old, new)

    assert both is None if old is None or new is None else both == max(old, new)


@given(MOMENT, st.floats(0, 1e9))
def test_ttl_is_what_lies_between(now: int, ttl: float) -> None:
    """The shown ttl leads from the shown start to the shown end."""
    end = expiry(now, ttl, persist=False)

    assert end is not None
    assert now + round(ttl_between(now, end) * 1000) == end


def test_moments_are_aware_utc_to_the_millisecond() -> None:
    """No rounding through floats."""
    moment = from_milliseconds(1_800_000_000_123)

    assert moment == datetime(2027, 1, 15, 8, 0, 0, 123_000, tzinfo=UTC)
