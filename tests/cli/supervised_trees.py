"""A tree for the verbs that ask a supervisor: each child is in another state.

What a test must wait for is said by lines on stdout.
"""

import sys

import trio
from attrs import frozen

from codex_actors import (
    Actor,
    Cast,
    ChildSpec,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    Restart,
    SupervisorSpec,
    handle_cast,
)

lives = {"crasher": 0, "fickle": 0, "slow": 0}


def say(line: str) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def idle() -> None:
    """Do nothing, for ever."""
    await trio.sleep_forever()


@frozen
class Count(Cast):
    """One more."""


@frozen
class Wait(Cast):
    """For ever."""


class Counter(Actor):
    """Counts to three."""

    async def init(self) -> None:
        """Have something to count."""
        for _ in range(3):
            await self.ref.cast(Count())

    @handle_cast(Count)
    async def count(self, _message: Count) -> None:
        """Count."""


class Crasher(Actor):
    """Crashes in its first life, and says when it lives again."""

    async def init(self) -> None:
        """Crash once."""
        lives["crasher"] += 1
        if lives["crasher"] == 1:
            await self.ref.cast(Count())
        else:
            say("settled")

    @handle_cast(Count)
    async def crash(self, _message: Count) -> None:
        """Do something wrong, and say so in colours."""
        raise ValueError("it broke \x1b[31mbadly")


class Stubborn(Actor):
    """Has a message in hand for ever; three more wait."""

    async def init(self) -> None:
        """Have too much to do."""
        for _ in range(4):
            await self.ref.cast(Wait())

    @handle_cast(Wait)
    async def wait(self, _message: Wait) -> None:
        """Wait for what does not come."""
        await trio.sleep_forever()


class Fickle(Actor):
    """Starts once."""

    async def init(self) -> None:
        """Fail from the second time on."""
        lives["fickle"] += 1
        if lives["fickle"] > 1:
            raise RuntimeError("not in the mood")


class Slow(Actor):
    """Never starts a second time, and does not fail to."""

    async def init(self) -> None:
        """Wait for ever from the second time on."""
        lives["slow"] += 1
        if lives["slow"] > 1:
            await trio.sleep_forever()


class Host(Actor):
    """Has a guest in the pool."""

    async def handle_continue(self) -> None:
        """Let it in."""
        pool = self.supervisor.subtree("pool")
        assert isinstance(pool, DynamicSupervisor)
        if pool.whereis("guest") is None:
            await pool.start_child(ChildSpec("guest", idle))


TREE = SupervisorSpec(
    [
        ChildSpec("pool", DynamicSupervisorSpec()),
        ChildSpec("host", Host),
        ChildSpec("counter", Counter),
        ChildSpec("stubborn", Stubborn, shutdown=1.0, mailbox_capacity=8),
        ChildSpec("fickle", Fickle),
        ChildSpec("inner", SupervisorSpec([ChildSpec("deep", idle)])),
        ChildSpec("brief", idle, restart=Restart.TEMPORARY),
        ChildSpec("slow", Slow),
        ChildSpec("crasher", Crasher),
    ]
)
IDLE = SupervisorSpec([ChildSpec("idle", idle)])
STUBBORN = SupervisorSpec([ChildSpec("stubborn", Stubborn, shutdown=60.0)])
