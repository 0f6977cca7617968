"""The verb `doctor`: what it finds, what it advises, and that looking touches nothing."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from cli_support import CommandLine, Done

from codex_actors.cli.checks import staging
from codex_actors.cli.checks.finding import Status
from codex_actors.cli.checks.program import required, satisfies
from codex_actors.cli.settings import load_settings
from codex_actors.control.locks import lock_holder
from codex_actors.files import FilesConfig, open_files
from codex_actors.testing import fake_codex

MOST = ("staging", "disk", "manifest", "users", "debris", "supervisor", "directory lock", "codex")


def checks(done: Done) -> dict[str, tuple[str, str, str]]:
    """What `--json` told: by name, the status, what was found and the advice."""
    return {
        each["name"]: (each["status"], each["found"], each["advice"])
        for each in done.document["checks"]
    }


def snapshot(directory: Path) -> dict[str, tuple[int, int, int, int]]:
    """Everything in a directory, with what a change of it would change."""
    found: dict[str, tuple[int, int, int, int]] = {}
    for path in [directory, *directory.rglob("*")]:
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)
    return found


@asynccontextmanager
async def running(command_line: CommandLine) -> AsyncGenerator[trio.Process]:
    """A supervisor that is ready; it is killed when the block is left."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "codex_actors", "run", "-q"],
        cwd=command_line.directory,
        env=command_line.environment({"XDG_RUNTIME_DIR": ""}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        with trio.fail_after(60):
            assert await process.stdout.receive_some()
        yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def test_before_anything_was_done(tmp_path: Path) -> None:
    """All is well, and stays as it was: neither directory nor socket comes into being."""
    command_line = CommandLine(tmp_path)
    fake = fake_codex(tmp_path / "bin")
    env = {"CODEX_ACTORS_CODEX": str(fake.path), "XDG_RUNTIME_DIR": ""}
    command_line.environment()
    before = snapshot(tmp_path)

    text = await command_line.run("doctor", env=env)
    done = await command_line.run("doctor", "--json", env=env)

    assert (text.code, text.err, done.code) == (0, "", 0)
    assert (done.document["schema"], done.document["ok"]) == (1, True)
    found = checks(done)
    assert {status for status, _, _ in found.values()} == {"ok"}
    assert "does not exist; the first staging creates it" in found["staging"][1]
    assert found["codex"][1] == f"0.163.0 at {fake.path}"
    for name, (_, seen, _) in found.items():
        if name not in {"disk", "inodes"}:
            assert any(name in line and seen in line for line in text.out.splitlines())
    assert text.out.splitlines()[-1] == f"{len(found)} ok, 0 to watch, 0 wrong"
    assert snapshot(tmp_path) == before


async def test_what_is_staged_is_counted(tmp_path: Path) -> None:
    """The manifest is whole; it is looked at without a trace."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("alpha")
    await command_line.run("stage", "a.txt")
    before = snapshot(tmp_path)

    found = checks(await command_line.run("doctor", "--json"))

    assert found["staging"] == ("ok", str(command_line.staging), "")
    assert found["manifest"][0] == "ok"
    assert found["manifest"][1].endswith("whole: 1 attachment, 5 B")
    assert found["users"] == ("ok", "nobody uses it now", "")
    assert found["debris"] == ("ok", "none of dead processes", "")
    assert snapshot(tmp_path) == before


async def test_a_supervisor_and_what_is_left_of_it(tmp_path: Path) -> None:
    """While it runs it answers; killed, it leaves a socket, a log and a claim, all told of."""
    command_line = CommandLine(tmp_path)
    fake = fake_codex(tmp_path / "bin")
    env = {"CODEX_ACTORS_CODEX": str(fake.path), "XDG_RUNTIME_DIR": ""}
    async with running(command_line) as process:
        alive = await command_line.run("doctor", "--json", env=env)
        elsewhere = await command_line.run("doctor", "--json", "--socket", "other.sock", env=env)
    before = snapshot(tmp_path)
    dead = await command_line.run("doctor", "--json", env=env)

    status, seen, _ = checks(alive)["supervisor"]
    assert (alive.code, status) == (0, "ok")
    assert seen.startswith(f"process {process.pid} at {command_line.staging}.sock (running)")
    assert checks(alive)["users"][1] == f"in use by process {process.pid}"
    assert checks(alive)["directory lock"][0] == "ok"
    status, seen, advice = checks(elsewhere)["directory lock"]
    assert (status, "--socket" in advice) == ("warn", True)
    assert f"process {process.pid} has the staging directory" in seen
    assert dead.code == 0
    assert checks(dead)["supervisor"][:2] == (
        "warn",
        f"{command_line.staging}.sock was left by a supervisor that was killed",
    )
    assert checks(dead)["debris"][0] == "warn"
    assert "cleanup" in checks(dead)["debris"][2]
    assert checks(dead)["manifest"][0] == "ok"
    assert checks(dead)["directory lock"][0] == "ok"
    assert snapshot(tmp_path) == before


async def test_what_is_wrong_fails_with_a_way_out(tmp_path: Path) -> None:
    """A damaged manifest, a codex that is none, and a file in place of the socket, all at once."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("alpha")
    await command_line.run("stage", "a.txt")
    manifest = command_line.staging / "manifest.sqlite3"
    manifest.write_bytes(b"no database at all, whatever it was")
    command_line.staging.with_name("staging.sock").write_text("x")
    command_line.staging.chmod(0o755)
    env = {"XDG_RUNTIME_DIR": "", "CODEX_ACTORS_CODEX": "./a.txt", "CODEX_ACTORS_MAX_BYTES": "1P"}
    before = snapshot(tmp_path)

    done = await command_line.run("doctor", "--json", env=env)
    text = await command_line.run("doctor", env=env)

    assert (done.code, text.code, done.document["ok"]) == (1, 1, False)
    found = checks(done)
    assert [name for name, (status, _, _) in found.items() if status == "fail"] == [
        "codex",
        "manifest",
        "supervisor",
    ]
    assert "is damaged: file is not a database" in found["manifest"][1]
    assert "is no socket" in found["supervisor"][1]
    assert "a.txt', which is not an executable file" in found["codex"][1]
    assert found["staging"][0] == "warn"
    assert "chmod 700" in found["staging"][2]
    assert found["disk"][0] == "warn"
    assert "max_bytes allows 1.0 PiB more" in found["disk"][1]
    for status, _, advice in found.values():
        assert bool(advice) is (status != "ok")
        assert advice in text.out
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("kind", ["symlink", "file", "project", "below a file", "newer"])
async def test_a_directory_that_cannot_be_used(tmp_path: Path, kind: str) -> None:
    """It fails as a start would, with the same reason."""
    directory = tmp_path / "staging"
    match kind:
        case "symlink":
            directory.symlink_to(tmp_path)
        case "file":
            directory.touch()
        case "project":
            directory.mkdir()
            (directory / "code.py").touch()
        case "below a file":
            (tmp_path / "file").touch()
            directory = tmp_path / "file" / "below"
        case _:
            async with open_files(FilesConfig(staging_dir=directory)):
                pass
            with sqlite3.connect(directory / "manifest.sqlite3") as connection:
                connection.execute("PRAGMA user_version = 1000")
            connection.close()

    settings = load_settings({"staging_dir": directory}, {})
    check = staging.check_manifest if kind == "newer" else staging.check_directory
    (finding,) = check(settings)

    assert finding.status is Status.FAIL
    assert str(directory) in finding.found
    assert "name " in finding.advice


async def test_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    """Neither it nor its parent."""
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    command_line = CommandLine(tmp_path)
    (tmp_path / "closed").mkdir(mode=0o500)

    done = await command_line.run("doctor", "--json", "--staging-dir", "closed/staging")

    assert done.code == 1
    assert checks(done)["staging"][1] == f"{tmp_path}/closed cannot be written to"


async def test_settings_that_cannot_be_read_are_a_finding(tmp_path: Path) -> None:
    """What does not depend on them is looked at all the same."""
    command_line = CommandLine(tmp_path)

    done = await command_line.run("doctor", "--json", env={"CODEX_ACTORS_MAX_COUNT": "few"})

    assert done.code == 1
    found = checks(done)
    assert found["python"][0] == "ok"
    assert found["settings"][0] == "fail"
    assert "CODEX_ACTORS_MAX_COUNT is 'few'" in found["settings"][1]
    assert not found.keys() & set(MOST)


async def test_few_descriptors_are_a_warning(tmp_path: Path) -> None:
    """A supervisor with many clients would run out of them."""
    command = f"ulimit -n 200 && exec {sys.executable} -m codex_actors doctor"

    done = await trio.run_process(
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env=CommandLine(tmp_path).environment(),
        capture_stdout=True,
        check=False,
    )

    assert b"200 at most" in done.stdout
    assert b"-> a busy supervisor needs more: ulimit -n 512" in done.stdout


async def test_wrong_usage(tmp_path: Path) -> None:
    """It takes no arguments."""
    done = await CommandLine(tmp_path).run("doctor", "codex")

    assert (done.code, done.out) == (2, "")


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("0.163.0", "<0.170,>=0.163", True),
        ("0.170.0", "<0.170,>=0.163", False),
        ("0.162.9", "<0.170,>=0.163", False),
        ("0.9", ">=0.10", False),
        ("3.14.0rc1", ">=3.11", True),
        ("1", "", True),
    ],
)
def test_versions_are_compared_by_number(version: str, wanted: str, expected: bool) -> None:
    """As installers do, for the operators that our requirements use."""
    assert satisfies(version, wanted) is expected


def test_requirements_are_those_of_the_package() -> None:
    """An extra's too; a package that is not asked for may have any version."""
    assert required("openai-codex-cli-bin").count(".") >= 2
    assert required("trio").startswith(">=")
    assert required("nothing-of-that-name") == ""


@pytest.mark.parametrize("content", ["", "garbage\n", "-1\n", "0\n", "999999999\n", "9" * 20])
def test_a_lock_that_nobody_holds(tmp_path: Path, content: str) -> None:
    """Empty, written by nobody, or by a process that has died."""
    (tmp_path / "lock").write_text(content)

    assert lock_holder(tmp_path / "lock") is None
    assert lock_holder(tmp_path / "missing") is None


def test_a_lock_of_a_process_that_lives(tmp_path: Path) -> None:
    """It is told by what it wrote, and the lock is not tried."""
    (tmp_path / "lock").write_text(f"{os.getpid()}\n")

    assert lock_holder(tmp_path / "lock") == os.getpid()
