"""Trees for the supervisor process of the tests: what each does is its name.

They talk by lines on stdout, and what waits does so for a line on stdin, so that a test need not
guess when something has happened.
"""

import logging
import signal
import sys

import trio
from attrs import frozen

from codex_actors import (
    Actor,
    AutoShutdown,
    Cast,
    ChildSpec,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    ExitReason,
    Restart,
    SupervisorSpec,
    handle_cast,
)

NUMBER = 7


def say(line: str) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@frozen
class Job(Cast):
    """Some work."""

    number: int


class Worker(Actor):
    """Sends itself two jobs; the first one waits."""

    async def init(self) -> None:
        """Have something to do."""
        await self.ref.cast(Job(1))
        await self.ref.cast(Job(2))

    @handle_cast(Job)
    async def job(self, message: Job) -> None:
        """Do one job."""
        say(f"job {message.number} begins")
        if message.number == 1:
            await trio.lowlevel.wait_readable(sys.stdin)
        say(f"job {message.number} done")

    async def terminate(self, reason: ExitReason) -> None:
        """Say how it ended."""
        say(f"worker ended: {reason.kind.value}")


async def idle() -> None:
    """Do nothing, for ever."""
    await trio.sleep_forever()


async def crash() -> None:
    """Do something wrong."""
    await trio.lowlevel.checkpoint()
    raise ValueError("it broke")


async def finish() -> None:
    """Be done at once."""
    await trio.lowlevel.checkpoint()


async def logger() -> None:
    """Say something by `logging`, and for ever nothing more."""
    await trio.lowlevel.checkpoint()
    logging.getLogger("shop").info("we have opened")
    await trio.sleep_forever()


async def orderly() -> None:
    """End when asked, and say so."""
    try:
        await trio.sleep_forever()
    finally:
        say("orderly ended")


async def stubborn() -> None:
    """End when a line comes, whatever is asked."""
    with trio.CancelScope(shield=True):
        await trio.lowlevel.wait_readable(sys.stdin)
    say("stubborn ended")


class Hesitant(Actor):
    """Never gets up."""

    async def init(self) -> None:
        """Wait for what does not come."""
        say("hesitating")
        try:
            await trio.sleep_forever()
        finally:
            say("called off")


class Unable(Actor):
    """Cannot start."""

    async def init(self) -> None:
        """Fail."""
        raise RuntimeError("no such thing")


class Chatty(Actor):
    """Prints something, which waits in a buffer until the end."""

    async def init(self) -> None:
        """Print it."""
        print("hello", end="")  # noqa: T201 - what is tested


class Rude(Actor):
    """Closes what belongs to all."""

    async def init(self) -> None:
        """Close stdout."""
        sys.stdout.close()


class Loud(Actor):
    """Starts children that crash, each with a traceback in the log, and says how it goes on."""

    async def handle_continue(self) -> None:
        """Fill any pipe: a traceback has half a KiB."""
        crowd = self.supervisor.subtree("crowd")
        assert isinstance(crowd, DynamicSupervisor)
        for _ in range(1_000):
            ref = await crowd.start_child(ChildSpec(None, crash, restart=Restart.TEMPORARY))
            await ref.wait_stopped()
        say("a thousand crashes later")


IDLE = SupervisorSpec([ChildSpec("idle", idle)])
WORK = SupervisorSpec([ChildSpec("worker", Worker, shutdown=60.0)])
CRASH = SupervisorSpec([ChildSpec("crash", crash)], max_restarts=1)
FINISH = SupervisorSpec(
    [ChildSpec("finish", finish, restart=Restart.TEMPORARY, significant=True)],
    auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
)
LOGGER = SupervisorSpec([ChildSpec("logger", logger)])
STUBBORN = SupervisorSpec([ChildSpec("orderly", orderly), ChildSpec("stubborn", stubborn)])
HESITANT = SupervisorSpec([ChildSpec("hesitant", Hesitant)])
UNABLE = SupervisorSpec([ChildSpec("unable", Unable)])
CHATTY = SupervisorSpec([ChildSpec("chatty", Chatty)])
RUDE = SupervisorSpec([ChildSpec("rude", Rude)])
LOUD = SupervisorSpec([ChildSpec("crowd", DynamicSupervisorSpec()), ChildSpec("loud", Loud)])


def make() -> SupervisorSpec:
    """Return a tree."""
    return IDLE


def make_early() -> SupervisorSpec:
    """Return a tree; somebody cannot wait to see it."""
    signal.raise_signal(signal.SIGUSR1)
    return IDLE


async def make_async() -> SupervisorSpec:
    """Return a tree, but too late."""
    return IDLE


def make_nothing() -> None:
    """Return no tree."""


def make_trouble() -> SupervisorSpec:
    """Return no tree at all."""
    raise LookupError("nothing to be had")
