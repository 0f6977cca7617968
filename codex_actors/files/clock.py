"""Owns the one clock by which attachments expire.

Invariant: within one `trio.run` it never jumps. It is the wall clock when first asked, advanced by
Trio's own monotonic (in tests: virtual) clock; so it outlives restarts of actors, not of the
process. Must not know what expires.
"""

import time
from collections.abc import Callable

import trio
from attrs import frozen

__all__ = ["Clock"]

# Kept per run, not per actor: a registry that restarts after a jump of the wall clock must not
# believe the jump.
_offset: trio.lowlevel.RunVar[float] = trio.lowlevel.RunVar("codex_actors.files.clock")


@frozen
class Clock:
    """Wall time in milliseconds that ignores jumps of the wall clock.

    Attributes:
        wall: Seconds since 1970; asked once per `trio.run`.
    """

    wall: Callable[[], float] = time.time

    def now(self) -> int:
        """Return milliseconds since 1970. Only from the Trio thread."""
        try:
            offset = _offset.get()
        except LookupError:
            offset = self.wall() - trio.current_time()
            _offset.set(offset)
        return int((offset + trio.current_time()) * 1000)
