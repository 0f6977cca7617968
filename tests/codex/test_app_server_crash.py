"""Whatever ends a turn of the real app-server, its leases are given back and its processes gone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from app_server_support import counted_codex, kill_and_wait, lingering, real_app_server
from codex_support import Leases, needs_codex, needs_proc, png, staged, wait_gone

from codex_actors.codex import (
    CodexDied,
    CodexError,
    Thread,
    ThreadOptions,
    TurnInterrupted,
    TurnTimeout,
)
from codex_actors.files import FilesConfig, open_files
from codex_actors.testing import ModelRequest, ModelServer, assistant_message, shell_command

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [needs_codex, needs_proc]

ENDINGS = ["killed", "cancelled", "interrupted", "left"]


class Left(Exception):
    """The block was left by an error of its own."""


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_turn_that_ends_badly_leaves_nothing(tmp_path: Path, ending: str) -> None:
    """The agent's command, in a session of its own, is gone; leases and links with it."""
    codex = counted_codex(tmp_path)
    error: dict[str, type[Exception]] = {"killed": CodexDied, "interrupted": TurnInterrupted}
    texts: Sequence[str] = ()

    async with open_files(FilesConfig(staging_dir=tmp_path / "staging")) as files:
        attachments = (
            await files.stage(png(), name="a.png"),
            await files.stage(b"1,2\n", name="b.csv"),
        )
        async with lingering(tmp_path) as command:

            def respond(request: ModelRequest) -> list[dict[str, Any]]:
                if any("Linger" in text for text in request.texts()):
                    return [shell_command(command.command, wait=60)]
                return [assistant_message("fine")]

            with pytest.RaisesGroup(Left) if ending == "left" else trio.CancelScope():
                async with (
                    ModelServer(respond=respond) as server,
                    real_app_server(server, tmp_path, files, codex) as opened,
                    trio.open_nursery() as nursery,
                ):
                    thread = await opened.start_thread(
                        ThreadOptions(cwd=tmp_path, sandbox="danger-full-access")
                    )
                    turn = trio.CancelScope()
                    ended = trio.Event()

                    async def run() -> None:
                        with turn:
                            if ending in error:
                                with pytest.raises(error[ending]) as caught:
                                    await thread.run_turn("Linger.", attachments)
                                if ending == "killed":
                                    assert caught.match("exit status -9")
                            else:
                                await thread.run_turn("Linger.", attachments)
                        ended.set()

                    nursery.start_soon(run)
                    pid = await command.wait()
                    texts = server.texts()
                    if ending == "killed":
                        os.kill(codex.pids()[-1], signal.SIGKILL)
                    elif ending == "cancelled":
                        turn.cancel()
                    elif ending == "interrupted":
                        await thread.interrupt()
                    else:
                        raise Left
                    await ended.wait()
                    await wait_gone(pid)

                    assert (await files.metrics()).leases == 0
                    assert (await thread.run_turn("Go on.")).final_message == "fine"
                    assert (len(codex.pids()) == 2) == (ending == "killed")
            await wait_gone(pid)
        for codex_pid in codex.pids():
            await wait_gone(codex_pid)
        assert (await files.metrics()).leases == 0
        assert (await files.verify()).unknown == ()
        for attachment in attachments:
            await files.remove(attachment)
    (manifest,) = [line for text in texts for line in text.splitlines() if "b.csv" in line]
    assert not Path(manifest.split('"path": "')[1].split('"')[0]).parent.exists()


async def test_a_model_that_never_answers_ends_by_the_timeout(tmp_path: Path) -> None:
    """The turn is interrupted, the process lives, the thread can be used again."""
    files = Leases()
    codex = counted_codex(tmp_path)
    picture = staged(tmp_path, "a.png", png())

    async with (
        ModelServer(stalled=True) as server,
        real_app_server(server, tmp_path, files, codex) as opened,
    ):
        thread = await opened.start_thread()
        with pytest.raises(TurnTimeout, match=r"longer than 0\.7 s"):
            await thread.run_turn("Hello?", (picture,), timeout=0.7)
        assert files.held == []
        server.stalled = False
        result = await thread.run_turn("Hello again?", timeout=30)

        assert result.final_message == "ok"
    assert len(codex.pids()) == 1


async def test_a_turn_cancelled_at_any_moment_is_over_afterwards(tmp_path: Path) -> None:
    """Also before codex has said which turn it is, when it cannot be interrupted yet."""
    files = Leases()
    codex = counted_codex(tmp_path)
    picture = staged(tmp_path, "a.png", png())

    async with (
        ModelServer(stalled=True) as server,
        real_app_server(server, tmp_path, files, codex) as opened,
    ):
        thread = await opened.start_thread()
        for milliseconds in (0, 1, 2, 4, 8, 16, 32):
            with trio.move_on_after(milliseconds / 1000):
                await thread.run_turn("Never mind.", (picture,))
            assert files.held == []
        server.stalled = False

        assert (await thread.run_turn("Now.", timeout=30)).final_message == "ok"
    assert len(codex.pids()) == 1


async def test_an_interrupt_without_a_turn_is_nothing(tmp_path: Path) -> None:
    """Before the first turn, and after one: codex would never answer."""
    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread()
        await thread.interrupt()
        await thread.run_turn("Hi")
        await thread.interrupt()

        assert (await thread.run_turn("Again")).final_message == "ok"


async def test_a_thread_without_history_starts_again(tmp_path: Path) -> None:
    """Codex knows nothing of it when it has died before the first turn; nothing is lost here."""
    codex = counted_codex(tmp_path)
    picture = staged(tmp_path, "a.png", png(), "image/png")
    noted = staged(tmp_path, "b.csv", b"1", "text/csv")

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases(), codex) as opened,
    ):
        thread = await opened.start_thread(ThreadOptions((picture,), cwd=tmp_path))
        await thread.add_attachment(noted)
        await kill_and_wait(codex, opened)
        await thread.run_turn("Hi")

        assert server.images() == (png(),)
        assert await opened.threads_of(noted) == (thread.id,)
        assert await opened.threads_of(picture) == (thread.id,)


async def test_records_are_made_before_a_thread_is_resumed(tmp_path: Path) -> None:
    """The next process need not have the thread loaded to keep its records."""
    codex = counted_codex(tmp_path)
    noted, delivered = (staged(tmp_path, f"{n}.csv", b"%d" % n, "text/csv") for n in range(2))

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases(), codex) as opened,
    ):
        thread = await opened.start_thread()
        await thread.run_turn("Hi", (delivered,))
        await kill_and_wait(codex, opened)
        await thread.add_attachment(noted)
        await thread.remove_attachment(delivered)

        assert [entry.name for entry in await thread.list_attachments()] == ["0.csv"]
        assert await opened.threads_of(noted) == (thread.id,)


async def test_an_ephemeral_thread_ends_with_its_process(tmp_path: Path) -> None:
    """That is an error which says so, not a thread that has forgotten everything."""
    codex = counted_codex(tmp_path)

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases(), codex) as opened,
    ):
        thread = await opened.start_thread(ThreadOptions(ephemeral=True))
        await thread.run_turn("Hi")
        await kill_and_wait(codex, opened)

        with pytest.raises(CodexError, match="ephemeral thread ends with its app-server"):
            await thread.run_turn("Still there?")


async def test_threads_run_beside_each_other(tmp_path: Path) -> None:
    """Two threads have turns at the same time; a second turn of one thread waits for the first."""
    async with (
        ModelServer(stalled=True) as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        first, second = await codex.start_thread(), await codex.start_thread()
        ended: list[str] = []

        async def run(thread: Thread, prompt: str) -> None:
            try:
                ended.append((await thread.run_turn(prompt)).final_message)
            except TurnInterrupted:
                ended.append(prompt)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, first, "one")
            await server.wait_requests(1)
            nursery.start_soon(run, second, "two")
            await server.wait_requests(2)
            nursery.start_soon(run, first, "three")
            await trio.testing.wait_all_tasks_blocked()
            server.stalled = False
            await first.interrupt()
            await second.interrupt()

    assert sorted(ended) == ["ok", "one", "two"]
    assert [turn.texts()[-1] for turn in server.turns] == ["one", "two", "three"]
