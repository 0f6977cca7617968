"""What can be asked of a staging directory, as data, and how it is drawn."""

from collections.abc import Callable
from random import Random
from typing import Literal, TypeAlias

import hypothesis.strategies as st
from attrs import frozen
from staging_model_support import TYPES, Key, Limits

__all__ = [
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
    "commands",
]

CONTENTS = (b"", b"one", b"three")


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

LIMITS = st.builds(Limits, st.sampled_from([None, None, 5, 8]), st.sampled_from([None, None, 2, 3]))

Way: TypeAlias = Callable[[Random, Key], Command]


def _stage(dice: Random, key: Key) -> Command:
    sources: tuple[Literal["bytes", "path", "stream"], ...] = ("bytes", "path", "stream")
    return Stage(
        key,
        dice.choice(sources),
        dice.choice((0.0, 0.0004, 1.0, 30.0, 60.0, 90.0, 3600.0, float("inf"))),
        dice.random() < 0.2,
        dice.choice((None, None, "application/x-own")),
        dice.random() < 0.3,
    )


def _take(dice: Random, key: Key) -> Command:
    return Take(key, dice.random() < 0.5)


def _end(dice: Random, key: Key) -> Command:
    return End(dice.choice((0, 0, 1, 2)))


def _remove(dice: Random, key: Key) -> Command:
    return Remove(key)


def _pass(dice: Random, key: Key) -> Command:
    return Pass(dice.choice((1, 29, 60, 61, 3600)))


def _clean_up(dice: Random, key: Key) -> Command:
    return Cleanup(dice.random() < 0.5)


def _reset(dice: Random, key: Key) -> Command:
    return Reset(dice.random() < 0.3)


def _disturb(dice: Random, key: Key) -> Command:
    disturbances: tuple[Command, ...] = (Reopen(), Crash(), Verify())
    return dice.choice(disturbances)


def _damage(dice: Random, key: Key) -> Command:
    ways: tuple[Literal["delete", "cut", "change", "change in silence"], ...] = (
        "delete",
        "cut",
        "change",
        "change in silence",
    )
    return Damage(key, dice.choice(ways))


# Stagings are what most is about.
WAYS: tuple[Way, ...] = (
    *(_stage,) * 5,
    *(_take,) * 2,
    *(_end,) * 2,
    *(_disturb,) * 2,
    *(_damage,) * 2,
    *(_remove, _pass, _clean_up, _reset),
)


def commands(seed: int, length: int) -> list[Command]:
    """Return that many commands; those of a shorter length are the first of a longer one.

    Drawn evenly: Hypothesis likes repetitions, which say little about a store. It still finds the
    shortest length that fails.
    """
    dice = Random(seed)
    keys = [(content, name) for content in CONTENTS for name in sorted(TYPES)]
    return [dice.choice(WAYS)(dice, dice.choice(keys)) for _ in range(length)]
