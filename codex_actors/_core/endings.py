"""Why a supervisor stops its children, and which errors make it do so."""

from typing import cast

import trio
from attrs import frozen


def is_fatal(error: BaseException) -> bool:
    """Whether an exception ends the whole tree instead of counting as a crash.

    `KeyboardInterrupt`, `SystemExit`, others of the kind, and groups that hold one.  A
    `Cancelled` that is found here came from elsewhere, which is a child's own mistake.
    """
    inner = members(error)
    if inner:
        return any(map(is_fatal, inner))
    return not isinstance(error, Exception | GeneratorExit | trio.Cancelled)


def members(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions in a group, none when it is no group."""
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).exceptions
    return ()


@frozen
class Ending:
    """Why a supervisor stops its children; `error` is what its opener is told of it."""

    why: str
    error: BaseException | None = None

    @property
    def fatal(self) -> bool:
        """Whether a `KeyboardInterrupt` or its like is taking the tree down."""
        return self.error is not None and is_fatal(self.error)
