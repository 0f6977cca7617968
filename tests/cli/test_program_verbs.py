"""The verbs about the program itself: `config show`, `version`, `completion`."""

import platform
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from cli_support import CommandLine, Terminal, open_terminal

from codex_actors.cli.executable import CodexUnusable, codex_version
from codex_actors.cli.settings import SETTINGS
from codex_actors.testing import fake_codex


async def test_config_show(tmp_path: Path) -> None:
    """Each setting with its value and where that comes from; nothing is created."""
    command_line = CommandLine(tmp_path)
    path = tmp_path / "codex_actors.toml"
    path.write_text("max_bytes = '1MiB'\ntrees = ['files', 'app:TREE']\n")
    path.chmod(0o600)

    done = await command_line.run("config", "show", env={"CODEX_ACTORS_DEFAULT_TTL": "2h"})

    assert (done.code, done.err) == (0, "")
    header, *rows = done.out.splitlines()
    assert header.split() == ["KEY", "VALUE", "SOURCE"]
    assert [row.split()[0] for row in rows] == [setting.key for setting in SETTINGS]
    shown = {row.split()[0]: " ".join(row.split()[1:]) for row in rows}
    assert shown["max_bytes"] == f"1MiB {path}"
    assert shown["trees"] == f"files app:TREE {path}"
    assert shown["default_ttl"] == "2h environment CODEX_ACTORS_DEFAULT_TTL"
    assert shown["max_count"] == "inf default"
    assert shown["socket"] == "- default"
    assert not command_line.staging.exists()


async def test_config_show_in_json(tmp_path: Path) -> None:
    """The same for programs, with the file that was read."""
    command_line = CommandLine(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text("default_ttl = inf\n")
    path.chmod(0o600)

    done = await command_line.run("config", "show", "--json", "--config-file", path)

    assert (done.code, done.document["schema"]) == (0, 1)
    assert done.document["config_file"] == str(path)
    settings = done.document["settings"]
    assert settings["default_ttl"] == {"value": "infinity", "source": str(path)}
    assert settings["max_bytes"] == {"value": "infinity", "source": "default"}
    assert settings["trees"] == {"value": ["files"], "source": "default"}
    assert settings["staging_dir"] == {
        "value": str(command_line.staging),
        "source": "environment CODEX_ACTORS_STAGING_DIR",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "shwo"),
        ("config", "show", "max_bytes"),
        ("completion",),
        ("completion", "tcsh"),
        ("version", "trio"),
    ],
    ids=" ".join,
)
async def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 2, one line, nothing on stdout."""
    done = await CommandLine(tmp_path).run(*arguments)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1


async def test_version(tmp_path: Path) -> None:
    """Of this program, of what it runs on, and of the codex that would be run."""
    command_line = CommandLine(tmp_path)
    codex = tmp_path / "codex"
    codex.write_text("#!/bin/sh\necho codex-cli 0.99.1\n")
    codex.chmod(0o700)

    done = await command_line.run("version", env={"CODEX_ACTORS_CODEX": str(codex)})
    document = (
        await command_line.run("version", "--json", env={"CODEX_ACTORS_CODEX": str(codex)})
    ).document

    assert (done.code, done.err) == (0, "")
    rows = dict(line.split() for line in done.out.splitlines())
    assert list(rows) == ["PROGRAM", "codex-actors", "python", "trio", "sqlite", "codex"]
    assert rows["python"] == platform.python_version()
    assert rows["codex"] == "0.99.1"
    assert document["codex"] == {"version": "0.99.1", "path": str(codex), "problem": None}
    assert document["versions"]["trio"] == rows["trio"]


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("#!/bin/sh\necho hello\n", "--version says 'hello': that is no codex"),
        ("#!/bin/sh\necho no >&2; exit 3\n", "--version failed (3): no"),
        ("#!/no/such/interpreter\n", "cannot be run: No such file or directory"),
    ],
)
def test_version_of_a_codex_that_is_none(tmp_path: Path, script: str, problem: str) -> None:
    """It is told what is wrong with it."""
    codex = tmp_path / "codex"
    codex.write_text(script)
    codex.chmod(0o700)

    with pytest.raises(CodexUnusable) as caught:
        codex_version(codex)

    assert problem in str(caught.value)


async def test_version_without_codex(tmp_path: Path) -> None:
    """The other versions are told all the same."""
    command_line = CommandLine(tmp_path)

    done = await command_line.run("version", env={"CODEX_ACTORS_CODEX": "./gone"})

    assert done.code == 0
    assert done.out.splitlines()[-1].startswith(
        "codex         none: environment CODEX_ACTORS_CODEX"
    )


async def test_a_fake_codex_has_a_version(tmp_path: Path) -> None:
    """So that the checks of codex can be tested without one."""
    command_line = CommandLine(tmp_path)
    fake = fake_codex(tmp_path / "bin")

    done = await command_line.run("version", env={"CODEX_ACTORS_CODEX": str(fake.path)})

    assert done.out.splitlines()[-1].split() == ["codex", "0.163.0"]


async def test_the_flag_version_is_ours(tmp_path: Path) -> None:
    """Only our own, as other programs have it."""
    command_line = CommandLine(tmp_path)

    flag = await command_line.run("--version")
    verb = await command_line.run("version", "--json")

    assert flag.out.strip() == verb.document["versions"]["codex-actors"]


# What is typed, and what its last word becomes when Tab is pressed.
TYPED = (
    ("codex-actors stag", "stage"),
    ("codex-actors stage my", "my report.txt"),
    ("codex-actors list --col", "--color"),
    ("codex-actors list --color al", "always"),
    ("codex-actors list --staging-dir fol", "folder/"),
    ("codex-actors config s", "show"),
    ("codex-actors completion z", "zsh"),
)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
async def test_completion_in_a_shell(tmp_path: Path, shell: str) -> None:
    """Tab completes verbs, options, values and files, as in a shell that somebody sits at."""
    async with open_shell(tmp_path, shell) as terminal:
        for typed, completed in TYPED:
            await terminal.type(f"{typed}\t")
            await terminal.wait_for(typed.rpartition(" ")[0] + " " + completed.replace(" ", r"\ "))
            await terminal.type("\x15echo ne''xt\r")
            await terminal.wait_for("next")


async def test_completion_in_fish(tmp_path: Path) -> None:
    """Fish tells what it would offer."""
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("there is no fish here")
    command_line = CommandLine(tmp_path)
    await completion_folder(command_line, "fish")
    for typed, completed in TYPED:
        done = await trio.run_process(
            [fish, "--no-config", "-c", f"source script; complete -C '{typed}'"],
            cwd=tmp_path,
            env=command_line.environment(),
            capture_stdout=True,
        )
        offered = [line.partition("\t")[0] for line in done.stdout.decode().splitlines()]
        assert offered == [completed]


async def test_completion_for_programs(tmp_path: Path) -> None:
    """The same script, in a document."""
    command_line = CommandLine(tmp_path)
    plain = await command_line.run("completion", "fish")

    done = await command_line.run("completion", "fish", "--json")

    assert (done.code, done.document["shell"]) == (0, "fish")
    assert done.document["script"] == plain.out


async def completion_folder(command_line: CommandLine, shell: str) -> None:
    """Print the script, and make what can be completed."""
    done = await command_line.run("completion", shell)
    assert (done.code, done.err) == (0, "")
    (command_line.directory / "script").write_text(done.out)
    (command_line.directory / "my report.txt").touch()
    (command_line.directory / "folder").mkdir()


@asynccontextmanager
async def open_shell(directory: Path, shell: str) -> AsyncGenerator[Terminal]:
    """A shell at a terminal that knows the completion, and nothing of the developer's."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"there is no {shell} here")
    command_line = CommandLine(directory)
    await completion_folder(command_line, shell)
    options = {"bash": ("--norc", "--noprofile", "-i"), "zsh": ("-f", "-i")}[shell]
    env: Mapping[str, str] = command_line.environment({"TERM": "dumb", "PS1": "$ "})
    async with open_terminal([path, *options], directory, env) as terminal:
        if shell == "zsh":
            await terminal.type("autoload -U compinit && compinit -u -D\r")
        await terminal.type("source ./script; echo rea''dy\r")
        await terminal.wait_for("ready")
        yield terminal
