"""A supervised counter that crashes and comes back.

Run it:

    python examples/counter.py

It prints:

    counting: 1, 2, 3
    the counter crashed: ZeroDivisionError
    counting again, from the start: 1
    it was restarted 1 time

A crash loses the counter's state, which `__init__` makes anew for every incarnation.  It
loses neither the counter's place in the tree nor the messages that waited for it, so
whoever holds its ref simply goes on.
"""

import trio
from attrs import frozen

from codex_actors import (
    Actor,
    ActorDied,
    Call,
    ChildSpec,
    SupervisorSpec,
    handle_call,
    open_supervisor,
)


@frozen
class Add(Call[int]):
    """Add to the counter; the answer is the new total."""

    amount: int


@frozen
class DivideBy(Call[int]):
    """Divide the counter, by zero too if you ask for it."""

    divisor: int


class Counter(Actor):
    """Keeps a total."""

    def __init__(self) -> None:
        self.total = 0

    @handle_call(Add)
    async def add(self, message: Add) -> int:
        """Add and answer."""
        self.total += message.amount
        return self.total

    @handle_call(DivideBy)
    async def divide(self, message: DivideBy) -> int:
        """Divide and answer; an error that is not declared is a crash."""
        self.total //= message.divisor
        return self.total


async def main() -> None:
    """Count, crash, and count again."""
    tree = SupervisorSpec([ChildSpec("counter", Counter)])
    async with open_supervisor(tree) as supervisor:
        counter = supervisor["counter"]
        totals = [await counter.call(Add(1)) for _ in range(3)]
        print("counting:", ", ".join(map(str, totals)))
        try:
            await counter.call(DivideBy(0))
        except ActorDied as died:
            print("the counter crashed:", type(died.__cause__).__name__)
        print("counting again, from the start:", await counter.call(Add(1)))
        restarts = supervisor.snapshot().children[0].restarts
        print(f"it was restarted {restarts} time")


if __name__ == "__main__":
    trio.run(main)
