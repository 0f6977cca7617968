"""Wrong input at the command line: one line on stderr, an exit code, and nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from cli_support import CommandLine

from codex_actors.testing import CodexFault, HangForever, fake_codex


async def test_each_bad_source_is_named(tmp_path: Path) -> None:
    """A missing file, a directory and a FIFO are refused at once; what is good is still staged."""
    # F11 F13 F15
    command_line = CommandLine(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "good.txt").write_text("x")

    done = await command_line.run("stage", "missing", "folder", "pipe", "good.txt", "--json")

    assert done.code == 5
    lines = done.err.splitlines()
    assert len(lines) == 3
    for line, name in zip(lines, ("missing", "folder", "pipe"), strict=True):
        assert line.startswith("codex-actors: ")
        assert name in line
    assert [each["name"] for each in done.document["attachments"]] == ["good.txt"]
    assert len(command_line.debris()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--name", "../victim.txt"),
        ("--name", "a/b"),
        ("--name", ".."),
        ("--ttl", "-1"),
        ("--content-type", "nonsense"),
    ],
    ids=" ".join,
)
async def test_bad_values_are_refused(tmp_path: Path, arguments: tuple[str, str]) -> None:
    """A bad name, time or type: exit code 1, one line, nothing staged."""
    # F17
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("x")

    done = await command_line.run("stage", "a.txt", *arguments)

    assert done.code == 1
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert command_line.debris() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("stage",),
        ("stage", "a", "--ttl", "soon"),
        ("stage", "a", "b", "--name", "c"),
        ("stage", "a", "--nonsense"),
        ("nonsense",),
        ("list", "extra"),
        ("exec",),
        ("exec", "hi", "--config", "novalue"),
        ("exec", "hi", "--sandbox", "nonsense"),
    ],
    ids=" ".join,
)
async def test_bad_usage_is_exit_code_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What the command line does not understand is 2, with a line that says what."""
    command_line = CommandLine(tmp_path)
    done = await command_line.run(*arguments)

    if not arguments:
        assert (done.code, done.err) == (0, "")  # help was asked for, in a way
        assert "COMMAND" in done.out
        return
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1


async def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """A file without permission: exit code 1, naming it."""
    # F14
    command_line = CommandLine(tmp_path)
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "secret.txt").chmod(0)

    done = await command_line.run("stage", "secret.txt")

    assert done.code == 1
    assert "secret.txt" in done.err


async def test_a_staging_directory_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    """The store does not follow a link that somebody may have planted."""
    # F20
    command_line = CommandLine(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    command_line.staging.symlink_to(tmp_path / "elsewhere")

    done = await command_line.run("list")

    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_missing_codex_says_how_to_get_it(tmp_path: Path) -> None:
    """A codex that is not there: exit code 1, and the way out."""
    command_line = CommandLine(tmp_path)
    done = await command_line.run("exec", "hi", "--codex", "./no-such-codex")

    assert done.code == 1
    assert "no-such-codex" in done.err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
async def test_a_signal_during_a_turn_leaves_nothing(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Ctrl-C, a supervisor's SIGTERM, a closed terminal: codex, its files and leases are gone."""
    command_line = CommandLine(tmp_path)
    fake = fake_codex(tmp_path / "bin", faults=[CodexFault("item.completed", HangForever())])
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "tmp").mkdir()
    process = await trio.lowlevel.open_process(
        [
            *(sys.executable, "-m", "codex_actors", "exec", "hi"),
            *("--attach", "a.csv", "--codex", str(fake.path)),
        ],
        cwd=tmp_path,
        env=command_line.environment({"TMPDIR": str(tmp_path / "tmp")}),
        stderr=subprocess.PIPE,
    )
    with trio.fail_after(60):
        while not fake.calls():
            await trio.lowlevel.checkpoint()

        process.send_signal(number)

        assert process.stderr is not None
        complaint = b"".join([part async for part in process.stderr])
        assert (await process.wait(), complaint.count(b"\n")) == (code, 1), complaint
    with pytest.raises(ProcessLookupError):
        os.kill(fake.calls()[0].pid, 0)
    assert list((tmp_path / "tmp").iterdir()) == []
    metrics = await command_line.run("metrics", "--json")
    assert metrics.document["metrics"]["leases"] == 0


async def test_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    """`list | head` where the reader has gone: quiet."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    await command_line.run("stage", "a.txt")
    reader, writer = os.pipe()
    os.close(reader)

    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "codex_actors", "list"],
        env=command_line.environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    assert process.stderr is not None
    complaint = b"".join([part async for part in process.stderr])

    assert await process.wait() == 1
    assert complaint == b""


async def test_an_interrupt_while_it_is_still_importing(tmp_path: Path) -> None:
    """Ctrl-C in the first moments, before there is anything to clean up: one line."""
    hasty = """
import sys
from codex_actors.__main__ import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "codex_actors.cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
raise SystemExit(main())
"""

    done = await trio.run_process(
        [sys.executable, "-c", hasty],
        env=CommandLine(tmp_path).environment(),
        capture_stderr=True,
        check=False,
    )

    assert done.returncode == 130
    assert done.stderr == b"codex-actors: interrupted before it began\n"


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
async def test_closed_streams_are_no_traceback(tmp_path: Path, redirection: str) -> None:
    """Whoever closes stdout or stderr does not want to read it; the work is done all the same."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    command = f"exec {sys.executable} -m codex_actors stage missing a.txt {redirection}"

    done = await trio.run_process(
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env=command_line.environment(),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )

    assert done.returncode == 5
    assert b"Traceback" not in done.stderr
    assert len(command_line.debris()) == 1


async def test_an_empty_staging_directory_is_no_directory(tmp_path: Path) -> None:
    """An unset shell variable must not turn the working directory into a staging directory."""
    command_line = CommandLine(tmp_path)
    mode = tmp_path.stat().st_mode

    (tmp_path / "a.txt").touch()

    unset = await command_line.run("stage", "a.txt", env={"CODEX_ACTORS_STAGING_DIR": ""})
    empty = await command_line.run("stage", "a.txt", "--staging-dir", "")

    assert (unset.code, empty.code) == (0, 2)
    assert len(empty.err.splitlines()) == 1
    assert tmp_path.stat().st_mode == mode
    assert not (tmp_path / ".gitignore").exists()
    assert (tmp_path / "_build" / "codex_files").is_dir()


async def test_a_directory_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    """A home or a repository is not made private and marked as a cache by a slip."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "project").mkdir(mode=0o755)
    (tmp_path / "project" / "code.py").write_text("x")

    done = await command_line.run("list", "--staging-dir", "project")

    assert done.code == 1
    assert "project" in done.err
    assert [path.name for path in (tmp_path / "project").iterdir()] == ["code.py"]
    assert (tmp_path / "project").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "arguments",
    [
        ("exec", "hi", "--timeout", "-3"),
        ("exec", "hi", "--timeout", "0"),
        ("list", "--staging-dir", "~no-such-user/x"),
        ("exec", "hi", "--codex", "~no-such-user/codex"),
    ],
    ids=" ".join,
)
async def test_values_that_make_no_sense_are_one_line(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """No traceback: a line that names the value."""
    command_line = CommandLine(tmp_path)

    done = await command_line.run(*arguments)

    assert done.code in {1, 2}
    assert len(done.err.splitlines()) == 1, done.err


async def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """An escape sequence in a path is shown, not sent."""
    command_line = CommandLine(tmp_path)
    done = await command_line.run("stage", "evil\x1b[2Jname")

    assert "\x1b" not in done.err
    assert "\\x1b[2Jname" in done.err
