"""A disk whose every system call is announced: to count it, to make it fail, to die at it."""

import functools
from collections.abc import Callable
from typing import Any, Literal, cast

from attrs import frozen

from codex_actors.files.store.disk import Disk

# Every public method, also those that are added after this was written.
KINDS: tuple[str, ...] = tuple(
    sorted(
        kind for kind, value in vars(Disk).items() if callable(value) and not kind.startswith("_")
    )
)

When = Literal["before", "after"]
Watch = Callable[[str, When], None]


def ignore(_kind: str, _when: When) -> None:
    """Let every call pass."""


@frozen
class WatchedDisk(Disk):
    """The real system calls; `watch` is told before and after each, and may raise.

    Attributes:
        watch: Is told.
        links: Whether the file system has hard links.
    """

    watch: Watch = ignore
    links: bool = True


def _watched(kind: str) -> Callable[..., Any]:
    real = cast("Callable[..., Any]", getattr(Disk, kind))

    @functools.wraps(real)
    def call(self: WatchedDisk, *args: Any, **kwargs: Any) -> Any:
        self.watch(kind, "before")
        answer: Any = False if kind == "link" and not self.links else real(self, *args, **kwargs)
        self.watch(kind, "after")
        return answer

    return call


for _kind in KINDS:
    setattr(WatchedDisk, _kind, _watched(_kind))
