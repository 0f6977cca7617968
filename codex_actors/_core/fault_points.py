"""Where tests may make a child fail: at a message, or at a named point of its code.

Without an injector a point costs one lookup, so that it can stay in the code that
ships: what is tested is what runs.  The injector travels in a contextvar, from whoever
opened the tree to all of its tasks.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from .waits import responsible_life

if TYPE_CHECKING:
    from .ref import ActorRef


class FaultInjector(Protocol):
    """What decides whether a child fails; see `codex_actors.testing.Faults`."""

    async def on_message(self, ref: "ActorRef", message: object) -> None:
        """Called before a message is handled, in the actor's task."""
        ...

    async def on_point(self, ref: "ActorRef", name: str) -> None:
        """Called where a child's code has reached a named point, in its task."""
        ...


INJECTOR: ContextVar[FaultInjector | None] = ContextVar("codex_actors.injector", default=None)


@contextmanager
def inject_faults(injector: FaultInjector) -> Generator[None, None, None]:
    """Have `injector` decide in all trees that are opened within this block."""
    token = INJECTOR.set(injector)
    try:
        yield
    finally:
        INJECTOR.reset(token)


async def fault_point(name: str) -> None:
    """Mark a point of a child's code at which a test can make it fail.

    Does nothing, and is no checkpoint, unless a test has set a fault for this name and
    the child whose task (or whose task's descendant) reaches it.

    Args:
        name: the point, for instance "stage.copied".
    """
    injector = INJECTOR.get()
    if injector is None:
        return
    life = responsible_life()
    if life is not None:
        await injector.on_point(life.place.ref, name)
