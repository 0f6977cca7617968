"""The supervisor process from its start to its end, run as users run it."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import trio
from process_support import Launcher, documents

_T = "process_trees:"


async def test_one_line_says_that_it_is_ready(tmp_path: Path) -> None:
    """Who it is and where it can be asked; `--once` ends it in order, and nothing is left."""
    launcher = Launcher(tmp_path)

    code, out, err = await launcher.run("--once")

    assert code == 0, err
    assert len(out) == 1
    assert out[0].startswith("ready: files (pid ")
    assert f"socket {launcher.socket}, files in {launcher.staging})" in out[0]
    assert not launcher.socket.exists()
    assert launcher.command_line.debris() == []
    assert not any("error" in line for line in err)


async def test_the_line_for_programs(tmp_path: Path) -> None:
    """One document on one line; the log is JSON, too, when that is asked for."""
    launcher = Launcher(tmp_path)

    code, out, err = await launcher.run(
        "--once", "--json", "--log-format", "json", "-v", "files", f"{_T}IDLE", f"more={_T}make"
    )

    (ready,) = documents(out)
    assert code == 0
    assert (ready["schema"], ready["event"]) == (1, "ready")
    assert ready["trees"] == ["files", "idle", "more"]
    assert (ready["staging_dir"], ready["socket"]) == (
        str(launcher.staging),
        str(launcher.socket),
    )
    started = [each["path"] for each in documents(err) if each["event"] == "child_started"]
    assert {"files/registry", "idle/idle", "more/idle"} <= set(started)


async def test_the_bare_command_runs_what_the_settings_say(tmp_path: Path) -> None:
    """`codex-actors` alone is `codex-actors run`, and so are options alone."""
    launcher = Launcher(tmp_path)
    (tmp_path / "codex_actors.toml").write_text(f'trees = ["{_T}FINISH"]\n')

    done = await launcher.command_line.run(env=launcher.environment())
    once = await launcher.command_line.run("--once", "--json", env=launcher.environment())

    assert (done.code, done.out.partition(" (")[0]) == (0, "ready: finish")
    assert (once.code, once.document["trees"]) == (0, ["finish"])


async def test_a_tree_that_ends_by_itself(tmp_path: Path) -> None:
    """auto_shutdown is a good end: 0."""
    # A2
    code, out, _err = await Launcher(tmp_path).run(f"{_T}FINISH")

    assert (code, len(out)) == (0, 1)


async def test_a_tree_that_gives_up(tmp_path: Path) -> None:
    """70, and the log says what crashed, where, and who gave up."""
    # I5
    code, _out, err = await Launcher(tmp_path).run(f"{_T}CRASH", "--log-format", "json")

    told = documents(err)
    assert code == 70
    assert told[-1]["event"] == "gave_up"
    crash = next(each for each in told if each["event"] == "child_exited")
    assert crash["level"] == "error"
    assert "process_trees.py" in crash["traceback"]


async def test_one_of_several_trees_gives_up(tmp_path: Path) -> None:
    """It is restarted as a whole first; then all end, in order, the worker with its cleanup."""
    # I8
    async with Launcher(tmp_path).start(f"{_T}WORK", f"{_T}CRASH") as running:
        await running.err.until("restart_intensity_reached (root)")
        await running.go_on()
        code = await running.wait()

    assert code == 70
    assert "the trees gave up: root: more than 3 restarts" in running.err.text
    assert "restart_intensity_reached crash" in running.err.text
    assert running.out.lines[-1] == "worker ended: shutdown"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((f"{_T}UNABLE",), "child 'unable' could not be started (RuntimeError: no such thing)"),
        (("--staging-dir", "taken", "files", f"{_T}IDLE"), "is a file: name another path"),
        (("--socket", "taken"), "is no socket"),
    ],
    ids=["tree", "files of two", "socket"],
)
async def test_a_start_that_fails(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    """1, and the last line says why; nothing was ready."""
    launcher = Launcher(tmp_path)
    (tmp_path / "taken").write_text("x")

    code, out, err = await launcher.run(*arguments)

    assert (code, out) == (1, [])
    assert reason in err[-1]
    assert (tmp_path / "taken").read_text() == "x"


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        ((f"{_T}IDEL",), {}, "did you mean IDLE?"),
        ((), {"CODEX_ACTORS_DRAIN_TIMEOUTS": "3"}, "did you mean CODEX_ACTORS_DRAIN_TIMEOUT?"),
    ],
)
async def test_wrong_usage(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], reason: str
) -> None:
    """2, one line, and nothing was made."""
    launcher = Launcher(tmp_path)

    code, out, err = await launcher.run(*arguments, env=environment)

    assert (code, out, len(err)) == (2, [], 1)
    assert err[0].startswith("codex-actors: ")
    assert reason in err[0]
    assert not launcher.staging.exists()


async def test_a_second_supervisor_is_told_who_the_first_is(tmp_path: Path) -> None:
    """75: on the same socket, and with another socket on the same files."""
    launcher = Launcher(tmp_path)
    async with launcher.start() as first:
        await first.ready()
        same = await launcher.run()
        other_socket = await launcher.run("--socket", "other")
        other_files = await launcher.run("--socket", "other", "--staging-dir", "more", "--once")

    for code, out, err in (same, other_socket):
        assert (code, out) == (75, [])
        assert f"process {first.process.pid}" in err[-1]
    assert str(launcher.staging) in other_socket[2][-1]
    assert other_files[0] == 0


async def test_after_a_kill_the_next_one_starts_at_once(tmp_path: Path) -> None:
    """The dead hold nothing: its socket is replaced, its lock free, its debris swept."""
    launcher = Launcher(tmp_path)
    async with launcher.start() as first:
        await first.ready()
        first.signal(signal.SIGKILL)
        assert await first.wait() == -signal.SIGKILL
    assert launcher.socket.exists()

    code, out, _err = await launcher.run("--once")

    assert (code, len(out)) == (0, 1)
    assert not launcher.socket.exists()
    assert list((launcher.staging / ".partials").iterdir()) == []


async def test_the_tree_on_request(tmp_path: Path) -> None:
    """SIGUSR1: the tree on stderr, whatever the level, as text or as one document."""
    launcher = Launcher(tmp_path)
    async with launcher.start(f"{_T}IDLE", f"other={_T}IDLE", "-q") as running:
        await running.ready()
        running.signal(signal.SIGUSR1)
        await running.err.until("    └── idle  running")
        assert running.err.lines[0].startswith("root ")
        assert running.err.lines[1].startswith("├── idle")

    async with launcher.start(f"{_T}IDLE", "--log-format", "json") as running:
        await running.ready()
        running.signal(signal.SIGUSR1)
        document = json.loads(await running.err.until('"tree"'))
        assert document["tree"]["children"][0]["path"] == "idle"


async def test_a_tree_that_is_not_there_yet(tmp_path: Path) -> None:
    """SIGUSR1 during the start: there is nothing to show, and nothing happens."""
    async with Launcher(tmp_path).start(f"{_T}HESITANT") as running:
        await running.out.until("hesitating")
        running.signal(signal.SIGUSR1)
        await running.err.until("there is no tree to show: the supervisor is starting")


async def test_a_tree_that_is_not_even_known_yet(tmp_path: Path) -> None:
    """SIGUSR1 while it is imported: that is not its end."""
    code, out, _err = await Launcher(tmp_path).run(f"{_T}make_early", "--once")

    assert (code, len(out)) == (0, 1)


async def test_a_stderr_that_nobody_reads(tmp_path: Path) -> None:
    """The tree goes on, and the end does not wait for a reader, either."""
    launcher = Launcher(tmp_path)
    reader, writer = os.pipe()
    process = await trio.lowlevel.open_process(
        launcher.arguments(f"{_T}LOUD"),
        cwd=tmp_path,
        env=launcher.environment(),
        stdout=subprocess.PIPE,
        stderr=writer,
    )
    os.close(writer)
    try:
        assert process.stdout is not None
        with trio.fail_after(60):
            said = b""
            while b"a thousand crashes later" not in said:
                said += await process.stdout.receive_some()
            process.terminate()
            code = await process.wait()
    finally:
        process.kill()
        os.close(reader)

    assert code == 143


async def test_what_actors_log_looks_like_the_rest(tmp_path: Path) -> None:
    """A record of `logging` is a line of ours."""
    async with Launcher(tmp_path).start(f"{_T}LOGGER", "--log-format", "json") as running:
        (said,) = documents([await running.err.until("we have opened")])

    assert (said["level"], said["logger"]) == ("info", "shop")


@pytest.mark.parametrize(
    ("tree", "redirection"),
    [
        ("files", ">&-"),
        ("files", "<&- >&- 2>&-"),
        ("files", ">/dev/full 2>/dev/full"),
        (f"{_T}CHATTY", ">/dev/full"),
        (f"{_T}RUDE", ""),
    ],
)
async def test_streams_that_take_nothing(tmp_path: Path, tree: str, redirection: str) -> None:
    """Whoever closes them does not want to read: the trees run, and end, all the same."""
    launcher = Launcher(tmp_path)
    command = " ".join(launcher.arguments(tree, "--once"))

    done = await trio.run_process(
        ["/bin/sh", "-c", f"unset PYTHONUNBUFFERED; exec {command} {redirection}"],
        cwd=tmp_path,
        env=launcher.environment(),
        stdin=subprocess.DEVNULL,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert not launcher.socket.exists()
