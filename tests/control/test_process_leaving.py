"""How the supervisor process ends: signals, requests, deadlines."""

import signal
from pathlib import Path
from typing import Any

import pytest
import trio
from cli_support import open_terminal
from process_support import Launcher

from codex_actors.control.client import Client, open_client
from codex_actors.control.errors import Leaving, NotRunning, RequestFailed, Unreachable
from codex_actors.control.messages import (
    Drain,
    Events,
    Hello,
    Request,
    RestartChild,
    Shutdown,
    Status,
    TargetChoice,
    Tree,
    Upload,
)

_T = "process_trees:"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
async def test_the_first_signal_drains(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """What was admitted is handled before the tree stops; it is said what is waited for."""
    # Q4
    async with Launcher(tmp_path).start(f"{_T}WORK") as running:
        await running.working()

        running.signal(number)
        await running.err.until("draining: at most 30 s")
        await running.go_on()

        assert await running.wait() == code
    assert running.out.lines[-4:] == [
        "job 1 done",
        "job 2 begins",
        "job 2 done",
        "worker ended: shutdown",
    ]
    assert f"{number.name} received" in running.err.text
    assert running.err.lines[-1].endswith(f"ended, exit code {code}")


async def test_the_second_signal_cancels(tmp_path: Path) -> None:
    """What does not end is cancelled, and named; its cleanup runs."""
    async with Launcher(tmp_path).start(f"{_T}WORK") as running:
        await running.working()

        running.signal(signal.SIGTERM)
        await running.err.until("supervisor_stopping")
        running.signal(signal.SIGINT)

        assert await running.wait() == 130
        await running.out.until("worker ended: killed")
        await running.err.until("cancelling, waiting for worker")


async def test_the_deadline_cancels(tmp_path: Path) -> None:
    """A child that does not end in time is named, and cancelled."""
    async with Launcher(tmp_path).start(f"{_T}WORK", "--drain-timeout", "0.2") as running:
        await running.working()

        running.signal(signal.SIGTERM)

        assert await running.wait() == 143
        await running.out.until("worker ended: killed")
        await running.err.until("draining: not done within 0.2 s")
        await running.err.until("cancelling, waiting for worker")


async def test_what_ignores_the_cancellation_is_not_waited_for_by_the_others(
    tmp_path: Path,
) -> None:
    """After the grace all are cancelled at once; the one that stays is named until it goes."""
    async with Launcher(tmp_path).start(f"{_T}STUBBORN", "--cancel-grace", "0.1") as running:
        await running.ready()

        running.signal(signal.SIGTERM)
        await running.err.until("draining")
        running.signal(signal.SIGTERM)
        with trio.fail_after(8):  # the grace is ten seconds by default
            await running.out.until("orderly ended")
        await running.err.until("stubborn")
        await running.go_on()

        assert await running.wait() == 143
        await running.out.until("stubborn ended")


async def test_a_signal_during_the_start_calls_it_off(tmp_path: Path) -> None:
    """There is nothing to drain yet: the start is cancelled, and cleaned up after."""
    launcher = Launcher(tmp_path)
    async with launcher.start(f"{_T}HESITANT") as running:
        await running.out.until("hesitating")

        running.signal(signal.SIGTERM)

        assert await running.wait() == 143
        await running.out.until("called off")
    assert "ready" not in running.out.text
    assert not launcher.socket.exists()


async def test_a_terminal_counts(tmp_path: Path) -> None:
    """Ctrl-C at a terminal: one line counts the seconds, and names what is waited for."""
    launcher = Launcher(tmp_path)
    environment = launcher.environment({"TERM": "xterm"})
    command = launcher.arguments(f"{_T}WORK")
    async with open_terminal(command, tmp_path, environment) as terminal:
        await terminal.wait_for("ready")

        terminal.process.send_signal(signal.SIGINT)
        await terminal.wait_for("draining: at most 30 s")
        await terminal.wait_for("draining: 29 s left, waiting for worker")
        await terminal.wait_for("\r\x1b[Kdraining: 28 s left, waiting for worker")
        await terminal.type("\n")

        assert await terminal.wait() == 130
    assert "left" not in terminal.shown.rpartition("\x1b[K")[2]


async def test_nohup_is_respected(tmp_path: Path) -> None:
    """A signal that was ignored from the start stays so."""
    launcher = Launcher(tmp_path)
    process = await trio.lowlevel.open_process(
        ["/bin/sh", "-c", f"trap '' HUP; exec {' '.join(launcher.arguments(f'{_T}IDLE'))}"],
        cwd=tmp_path,
        env=launcher.environment(),
    )
    try:
        client = await _await_ready(launcher)

        process.send_signal(signal.SIGHUP)

        assert client["state"] == "running"
        assert (await _ask(launcher, Status()))["state"] == "running"
        process.terminate()
        with trio.fail_after(60):
            assert await process.wait() == 143
    finally:
        process.kill()


async def test_a_client_drains(tmp_path: Path) -> None:
    """As the first signal does, but the exit code is 0; meanwhile it can be asked how it is."""
    launcher = Launcher(tmp_path)
    async with launcher.start(f"{_T}WORK") as running:
        await running.working()

        answer = await _ask(launcher, Drain())
        status = await _ask(launcher, Status())
        await running.go_on()

        assert (answer["state"], status["state"]) == ("draining", "draining")
        assert await running.wait() == 0
    assert "job 2 done" in running.out.lines
    with pytest.raises(NotRunning):
        await _ask(launcher, Hello())


async def test_a_client_gives_the_drain_less_time(tmp_path: Path) -> None:
    """A second drain can shorten the first one's time; then it cancels."""
    launcher = Launcher(tmp_path)
    async with launcher.start(f"{_T}WORK") as running:
        await running.working()

        await _ask(launcher, Drain(timeout=1000.0))
        await _ask(launcher, Drain(timeout=0.1))

        assert await running.wait() == 0
        await running.out.until("worker ended: killed")
    assert "draining: at most 1e+03 s" in running.err.text
    assert "not done within 0.1 s" in running.err.text


@pytest.mark.parametrize("now", [False, True])
async def test_a_client_shuts_down(tmp_path: Path, now: bool) -> None:
    """The message in hand is finished, and no other; now, it is cancelled."""
    launcher = Launcher(tmp_path)
    async with launcher.start(f"{_T}WORK") as running:
        await running.working()

        await _ask(launcher, Shutdown(now=now))
        if not now:
            while (await _worker(launcher))["state"] != "stopping":
                await trio.lowlevel.checkpoint()
            await running.go_on()

        assert await running.wait() == 0
        await running.out.until("worker ended")
    ended = ["worker ended: killed"] if now else ["job 1 done", "worker ended: shutdown"]
    assert running.out.lines[-len(ended) :] == ended
    assert "job 2 begins" not in running.out.lines


async def test_who_follows_events_is_answered_at_the_end(tmp_path: Path) -> None:
    """The last thing that a client hears is an answer, not the end of the connection."""
    launcher = Launcher(tmp_path)
    notes: list[dict[str, Any]] = []
    async with launcher.start(f"{_T}IDLE") as running:
        await running.ready()
        with trio.fail_after(60):
            async with open_client(launcher.socket) as client, trio.open_nursery() as nursery:
                answers: list[dict[str, Any]] = []

                async def follow() -> None:
                    answers.append(await client.request(Events(follow=True), on_note=notes.append))

                nursery.start_soon(follow)
                while not notes:
                    await trio.lowlevel.checkpoint()
                running.signal(signal.SIGTERM)

        assert await running.wait() == 143
    assert [answer["state"] for answer in answers] == ["draining"]
    assert "supervisor_stopping" in [note["kind"] for note in notes]


async def test_while_it_starts_it_says_so(tmp_path: Path) -> None:
    """Clients are let in at once; what needs the tree is answered when there is one."""
    launcher = Launcher(tmp_path)
    async with launcher.start(f"{_T}HESITANT") as running:
        await running.out.until("hesitating")

        hello = await _ask(launcher, Hello())
        with pytest.raises(RequestFailed, match="starting") as caught:
            await _ask(launcher, Tree())

        assert hello["state"] == "starting"
        assert caught.value.code == -32001


async def test_a_tree_that_is_cancelled_slowly_takes_no_orders(tmp_path: Path) -> None:
    """What begins something is refused as by any supervisor that ends, and is no defect."""
    launcher = Launcher(tmp_path)
    codes: list[int] = []
    async with launcher.start(f"{_T}STUBBORN", "files") as running:
        await running.ready()
        await _ask(launcher, Shutdown(now=True))
        await running.err.until("supervisor_stopping stubborn")

        target = TargetChoice(kind="directory", path=str(tmp_path))
        for request in (
            RestartChild(path="stubborn/stubborn"),
            Upload(path=__file__, target=target, detach=True),
        ):
            with pytest.raises(RequestFailed) as caught:
                await _ask(launcher, request)
            codes.append(caught.value.code)
        await running.go_on()

        assert await running.wait() == 0
    assert codes == [Leaving.code, Leaving.code]


async def _worker(launcher: Launcher) -> dict[str, Any]:
    answer = await _ask(launcher, Tree(path="worker"))
    tree: dict[str, Any] = answer["tree"]
    return tree


async def _ask(launcher: Launcher, request: Request) -> dict[str, Any]:
    with trio.fail_after(60):
        async with open_client(launcher.socket) as client:
            return await _answer(client, request)
    raise AssertionError("open_client raises or lets the block run")


async def _answer(client: Client, request: Request) -> dict[str, Any]:
    return await client.request(request)


async def _await_ready(launcher: Launcher) -> dict[str, Any]:
    with trio.fail_after(60):
        while True:
            try:
                hello = await _ask(launcher, Hello())
            except (NotRunning, Unreachable):
                hello = {}
            if hello.get("state") == "running":
                return hello
            await trio.lowlevel.checkpoint()
