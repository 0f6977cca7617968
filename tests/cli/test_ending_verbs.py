"""The verbs that end a supervisor: `drain`, `shutdown`."""

from pathlib import Path

from cli_support import open_terminal
from supervised_support import supervised


async def test_drain_waits_until_it_has_gone(tmp_path: Path) -> None:
    """It tells what is waited for; at its end the process is gone, and its socket."""
    with supervised(tmp_path, "STUBBORN") as running:
        done = await running.run("drain", "--timeout", "0.5")
        code = running.wait()

        assert running.process is not None
        assert (done.code, code) == (0, 0)
        assert done.out == f"the supervisor (pid {running.process.pid}) has ended\n"
        assert "waiting for stubborn" in done.err
        assert not running.socket.exists()


async def test_drain_need_not_be_waited_for(tmp_path: Path) -> None:
    """Then it says that it has begun; `status` and `dump` are still answered meanwhile."""
    with supervised(tmp_path, "STUBBORN") as running:
        begun, status, dump, refused, ended = await running.several(
            ("drain", "--no-wait", "--json"),
            ("status",),
            ("dump", "stubborn"),
            ("stop", "stubborn"),
            ("shutdown", "--now", "--json"),
        )

        assert (begun.code, begun.document["ended"]) == (0, False)
        assert begun.document["state"] == "draining"
        assert "is draining" in status.out
        assert "waiting for stubborn" in status.out
        assert "Stubborn.wait" in dump.out
        assert (refused.code, refused.err) == (
            1,
            "codex-actors: the supervisor is draining and takes no new work\n",
        )
        assert (ended.code, ended.document["ended"]) == (0, True)
        assert running.wait() == 0


async def test_shutdown(tmp_path: Path) -> None:
    """Messages in hand are finished; then it is gone."""
    with supervised(tmp_path, "IDLE") as running:
        done = await running.run("shutdown", "-q")

        assert (done.code, done.err) == (0, "")
        assert done.out.endswith("has ended\n")
        assert running.wait() == 0


async def test_shutdown_now_asks_at_a_terminal(tmp_path: Path) -> None:
    """Cancelling everything is not what one does by a slip."""
    with supervised(tmp_path, "STUBBORN") as running:
        assert running.process is not None
        command = running.command("shutdown", "--now")
        async with open_terminal(command, tmp_path, running.environment()) as terminal:
            await terminal.wait_for("now? [y/N] ")
            await terminal.type("n\n")
            assert await terminal.wait() == 1
        assert running.process.poll() is None

        async with open_terminal(command, tmp_path, running.environment()) as terminal:
            await terminal.wait_for("now? [y/N] ")
            await terminal.type("y\n")
            assert await terminal.wait() == 0
        assert running.wait() == 0
