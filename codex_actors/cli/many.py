"""The same for several things at a time, and what came of each, in the order they were given."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import trio
from attrs import frozen

from codex_actors import ActorError
from codex_actors.cli.exit_codes import FAILED, OK, PARTIAL, UNREACHABLE
from codex_actors.cli.output import print_failure
from codex_actors.codex import CodexError
from codex_actors.control.errors import ControlError, RequestFailed, Unreachable
from codex_actors.files import FilesError

T = TypeVar("T")

# A supervisor works on 16 requests of one client; the rest is room for what steers them.
AT_A_TIME = 8


@frozen
class Failure:
    """What went wrong with one of several things."""

    what: str
    error: Exception

    def to_dict(self) -> dict[str, str]:
        """Return JSON-ready data."""
        error = self.error
        kind = error.kind if isinstance(error, RequestFailed) else type(error).__name__
        return {"what": self.what, "kind": kind, "message": str(error)}


async def each(
    whats: Sequence[str], work: Callable[[str], Awaitable[T]]
) -> tuple[list[T], list[Failure]]:
    """Do it with each, several at a time; return what came of them, and what failed.

    Both are in the order of `whats`. Cancelled, all that is under way is.
    """
    done: dict[int, T] = {}
    failed: dict[int, Failure] = {}
    limiter = trio.CapacityLimiter(AT_A_TIME)

    async def one(place: int, what: str) -> None:
        async with limiter:
            try:
                done[place] = await work(what)
            except (ControlError, ActorError, FilesError, CodexError, OSError) as error:
                failed[place] = Failure(what, error)

    async with trio.open_nursery() as nursery:
        for place, what in enumerate(whats):
            nursery.start_soon(one, place, what)
    return [done[place] for place in sorted(done)], [failed[place] for place in sorted(failed)]


def report(failures: Iterable[Failure]) -> None:
    """Print each failure as one line; that nobody answers any more, only once."""
    told = False
    for failure in failures:
        unreachable = isinstance(failure.error, Unreachable)
        if not (unreachable and told):
            print_failure(failure.error, what=None if unreachable else failure.what)
        told = told or unreachable


def documents(failures: Iterable[Failure]) -> list[dict[str, Any]]:
    """Return failures as JSON-ready data."""
    return [failure.to_dict() for failure in failures]


def exit_code(done: Sequence[object], failures: Sequence[Failure]) -> int:
    """Return the exit code: 0 for all, 5 for some, 1 for none, 4 when nobody answers any more."""
    if any(isinstance(failure.error, Unreachable) for failure in failures):
        return UNREACHABLE
    if not failures:
        return OK
    return PARTIAL if done else FAILED
