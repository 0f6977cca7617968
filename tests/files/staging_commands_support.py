"""What can be asked of a staging directory, as data, and how Hypothesis draws it."""

from typing import Literal, TypeAlias

import hypothesis.strategies as st
from attrs import frozen
from staging_model_support import TYPES, Key, Limits

__all__ = [
    "COMMANDS",
    "CONTENTS",
    "LIMITS",
    "Cleanup",
    "Command",
    "Crash",
    "Damage",
    "End",
    "Pass",
    "Remove",
    "Reopen",
    "Reset",
    "Stage",
    "Take",
    "Verify",
]

CONTENTS = (b"", b"one", b"three", b"seven77")

KEYS = st.tuples(st.sampled_from(CONTENTS), st.sampled_from(sorted(TYPES)))


@frozen
class Stage:
    """Stage a content under a name."""

    key: Key
    source: Literal["bytes", "path", "stream"]
    ttl: float
    persist: bool
    declared: str | None
    verify: bool


@frozen
class Take:
    """Take a lease, or stage temporarily: one that an `End` ends."""

    key: Key
    temporary: bool


@frozen
class End:
    """End one of the leases."""

    which: int


@frozen
class Remove:
    """Remove one attachment."""

    key: Key


@frozen
class Pass:
    """Let time pass."""

    seconds: int


@frozen
class Cleanup:
    """Clean up, or tell what would go."""

    dry_run: bool


@frozen
class Reset:
    """Remove everything."""

    force: bool


@frozen
class Reopen:
    """Close a tree and open it again."""


@frozen
class Crash:
    """Kill a registry."""


@frozen
class Damage:
    """Do something to a file behind everybody's back."""

    key: Key
    how: Literal["delete", "cut", "change", "change in silence"]


@frozen
class Verify:
    """Read everything."""


Command: TypeAlias = (
    Stage | Take | End | Remove | Pass | Cleanup | Reset | Reopen | Crash | Damage | Verify
)

STAGES = st.builds(
    Stage,
    KEYS,
    st.sampled_from(["bytes", "path", "stream"]),
    st.sampled_from([0.0, 0.0004, 1.0, 30.0, 60.0, 90.0, 3600.0, float("inf")]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([None, None, "application/x-own"]),
    st.sampled_from([False, False, True]),
)
COMMANDS = st.one_of(
    STAGES,
    STAGES,
    STAGES,
    st.builds(Take, KEYS, st.booleans()),
    st.builds(Take, KEYS, st.booleans()),
    st.builds(End, st.integers(0, 3)),
    st.builds(Remove, KEYS),
    st.builds(Pass, st.sampled_from([1, 29, 60, 61, 3600])),
    st.builds(Cleanup, st.booleans()),
    st.builds(Reset, st.booleans()),
    st.builds(Reopen),
    st.builds(Crash),
    st.builds(Damage, KEYS, st.sampled_from(["delete", "cut", "change", "change in silence"])),
    st.builds(Verify),
)
LIMITS = st.builds(
    Limits, st.sampled_from([None, None, 8, 12]), st.sampled_from([None, None, 2, 3])
)
