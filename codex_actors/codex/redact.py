"""Owns keeping secrets out of error texts.

Invariant: no value of a variable that the caller set, nor of an inherited one that is named like a
secret, passes; its name stands in its place. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["redactor"]

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_SHORTEST = 4
"""A shorter value is no secret, and replacing it would garble the text."""


def redactor(given: Mapping[str, str], inherited: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that replaces the values of environment variables in a text."""
    secrets = {
        value: name
        for name, value in {
            **{name: value for name, value in inherited.items() if _SECRET_NAME.search(name)},
            **given,
        }.items()
        if len(value) >= _SHORTEST
    }
    if not secrets:
        return str
    # The longest first: one value may begin with another.
    longest_first = sorted(secrets, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(value) for value in longest_first))
    return lambda text: pattern.sub(lambda found: f"<{secrets[found[0]]}>", text)
