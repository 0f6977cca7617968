"""A program of one tree, for the tests of `codex_actors.run`: what it does is its argument.

It talks by lines, so that a test need not guess when something has happened: it prints
what it does, and a job that waits does so for a line on its standard input.
"""

import sys

import trio
from attrs import frozen
from trio.testing import wait_all_tasks_blocked

from codex_actors import (
    Actor,
    AutoShutdown,
    Cast,
    ChildSpec,
    Event,
    ExitReason,
    SupervisorSpec,
    handle_cast,
    run,
)


def say(line: str) -> None:
    """One line to whoever started this program."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@frozen
class Job(Cast):
    """Some work; the first waits for a line on standard input."""

    number: int


class Worker(Actor):
    """Sends itself three jobs and says what becomes of them."""

    def __init__(self, what: str) -> None:
        self.what = what

    async def init(self) -> None:
        """Start as the argument says."""
        if self.what == "slow-start":
            say("starting")
            await trio.sleep_forever()
        if self.what == "broken-start":
            raise ValueError("cannot start")
        for number in (1, 2, 3):
            await self.ref.cast(Job(number))

    @handle_cast(Job)
    async def job(self, message: Job) -> None:
        """Do one job."""
        say(f"job {message.number}")
        if message.number > 1:
            return
        match self.what:
            case "crash":
                raise ValueError("the job went wrong")
            case "exit":
                sys.exit(3)
            case "finish":
                self.stop()
            case "hang":
                await trio.sleep_forever()
            case _:
                await trio.lowlevel.wait_readable(sys.stdin)

    async def terminate(self, reason: ExitReason) -> None:
        """Say how it ended."""
        say(f"{self.what} ended: {reason.kind.value}")


async def herald() -> None:
    """Say when everybody waits: the start is over, and who is to work has begun."""
    await wait_all_tasks_blocked()
    say("ready")


def on_event(event: Event) -> None:
    """Tell when the tree has taken notice of a signal."""
    if event.kind == "supervisor_stopping":
        say("stopping")


def main(what: str) -> int:
    """Run the tree."""
    spec = SupervisorSpec(
        [
            ChildSpec("herald", herald, restart="temporary"),
            ChildSpec(
                "worker",
                Worker,
                args=(what,),
                restart="temporary" if what == "finish" else "permanent",
                significant=what == "finish",
                shutdown=60,
            ),
        ],
        max_restarts=0,
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    return run(spec, name="program", on_event=[on_event])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
