"""Owns when a failed request is tried again: the settings, and the pauses that follow from them.

Invariant: pure. Exponential backoff with full jitter; a server's own wish for a pause is a lower
bound, and beyond the cap a reason to give up. Must not know any request.
"""

import math
from typing import Any

from attrs import Attribute, field, frozen, validators

from codex_actors.files.errors import InvalidConfig

__all__ = ["Retry", "pause"]


def _seconds(*, zero: bool, infinite: bool = False) -> Any:
    def check(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
        fits = (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (value >= 0 if zero else value > 0)  # neither holds for a NaN
            and (infinite or math.isfinite(value))
        )
        if not fits:
            bound = "at least 0" if zero else "above 0"
            raise InvalidConfig(
                f"Retry.{attribute.name} is {value!r}: give a number of seconds {bound}."
            )

    return check


def _attempts(_instance: Any, _attribute: "Attribute[Any]", value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidConfig(f"Retry.attempts is {value!r}: give an integer of at least 1.")


@frozen(kw_only=True)
class Retry:
    """How often, and for how long, the requests of an upload are tried. Times are seconds.

    The pause before the n-th repetition is drawn evenly from 0 to `base * 2**(n - 1)` or `cap`,
    whichever is less (full jitter), and is at least what the server asked for.

    Attributes:
        attempts: Of each request, the first included.
        base: Upper bound of the first pause.
        cap: Upper bound of every pause.
        attempt_timeout: How long one attempt may go on without a byte being taken or an answer
            given; `math.inf` for ever.
        deadline: How long the whole upload may take, None for any time.
        retry_after_cap: The longest pause that a server may ask for; beyond it the upload fails at
            once.

    Raises:
        InvalidConfig: A value makes no sense; the message names it.
    """

    attempts: int = field(default=5, validator=_attempts)
    base: float = field(default=0.5, validator=_seconds(zero=True))
    cap: float = field(default=30.0, validator=_seconds(zero=True))
    attempt_timeout: float = field(default=60.0, validator=_seconds(zero=False, infinite=True))
    deadline: float | None = field(
        default=None, validator=validators.optional(_seconds(zero=False, infinite=True))
    )
    retry_after_cap: float = field(default=120.0, validator=_seconds(zero=True, infinite=True))


def pause(retry: Retry, failures: int, drawn: float, retry_after: float | None) -> float | None:
    """Return how long to wait before the next attempt, None when there is to be none.

    Args:
        retry: The settings.
        failures: How often the request has failed, at least 1.
        drawn: A number drawn evenly from 0 to 1.
        retry_after: Seconds that the server asked for.
    """
    if failures >= retry.attempts:
        return None
    asked = retry_after or 0.0
    if asked > retry.retry_after_cap:
        return None
    # Beyond 2**64 the cap has long been reached, and a float would overflow.
    bound = min(retry.cap, retry.base * 2.0 ** min(failures - 1, 64))
    return max(asked, bound * drawn)
