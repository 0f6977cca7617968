"""A tree of one's own in the supervisor process, which finishes its work when it is told to end.

Run it in this folder, look at it from a second terminal, and end it with Ctrl-C:

    codex-actors run supervised:TREE
    codex-actors pstree

As a program of its own it does that in a moment, and ends the supervisor after the first page; the
pages that were accepted are printed all the same. It prints:

    ready: tree
    page 1 is printed
    SIGTERM
    page 2 is printed
    page 3 is printed
    the printer has stopped: shutdown
    exit code 143
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import trio
from attrs import frozen

from codex_actors import Actor, Cast, ChildSpec, ExitReason, SupervisorSpec, handle_cast


@frozen
class Page(Cast):
    """Something to print."""

    number: int


class Printer(Actor):
    """Prints page after page, slowly."""

    async def init(self) -> None:
        """Accept three pages."""
        for number in (1, 2, 3):
            await self.ref.cast(Page(number))

    @handle_cast(Page)
    async def page(self, message: Page) -> None:
        """Print one page."""
        await trio.sleep(0.5)
        print(f"page {message.number} is printed", flush=True)

    async def terminate(self, reason: ExitReason) -> None:
        """Say why it ends."""
        print(f"the printer has stopped: {reason.kind.value}", flush=True)


TREE = SupervisorSpec([ChildSpec("printer", Printer, shutdown=10.0)])


def main() -> None:
    """Run the tree as `codex-actors run` does, and end it in the middle of its work."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "codex_actors", "run", "supervised:TREE"),
            *("--socket", f"{folder}/socket", "--log-level", "error"),
        ]
        with subprocess.Popen(
            command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                print(line.partition(" (")[0].rstrip())
                if line == "page 1 is printed\n":
                    print("SIGTERM")
                    process.send_signal(signal.SIGTERM)
    print(f"exit code {process.returncode}")


if __name__ == "__main__":
    main()
