"""What all verbs share: settings, colour, quiet and verbose, and looking without creating."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio
from cli_support import CommandLine, open_terminal

from codex_actors.cli import output

ASK = """
import sys
from codex_actors.cli.common import confirm
from codex_actors.cli.errors import UsageError
try:
    print(confirm("Forget all of it?", yes=sys.argv[1:] == ["--yes"]))
except UsageError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "verb", [("list",), ("metrics",), ("cleanup",), ("cleanup", "--dry-run")], ids=" ".join
)
async def test_looking_creates_no_directory(tmp_path: Path, verb: tuple[str, ...]) -> None:
    """A directory that is not there holds nothing, and its name may be a slip: it is told."""
    command_line = CommandLine(tmp_path)

    done = await command_line.run(*verb, "--staging-dir", "typo")
    silent = await command_line.run(*verb, "--staging-dir", "typo", "-q", "--json")

    assert done.code == 0
    assert done.err == (
        f"codex-actors: there is no directory {tmp_path}/typo, so nothing is staged there\n"
    )
    assert (silent.code, silent.err, silent.document["schema"]) == (0, "", 1)
    assert {path.name for path in tmp_path.iterdir()} <= {"home"}


async def test_settings_come_from_the_file(tmp_path: Path) -> None:
    """What the file says holds for the verbs, and a flag comes before it."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    path = tmp_path / "mine.toml"
    path.write_text("staging_dir = 'of-the-file'\ndefault_ttl = '3h'\nmax_count = 1\n")
    path.chmod(0o600)
    env = {"CODEX_ACTORS_STAGING_DIR": ""}

    staged = await command_line.run("stage", "a.txt", "--config-file", path, "--json", env=env)

    (attachment,) = staged.document["attachments"]
    assert attachment["ttl"] == 3 * 3600
    assert Path(attachment["path"]).is_relative_to(tmp_path / "of-the-file")
    full = await command_line.run(
        *("stage", "mine.toml", "--persist"),
        env=env | {"CODEX_ACTORS_CONFIG_FILE": "mine.toml"},
    )
    assert full.code == 0  # a.txt gave way: there is room for one
    listed = await command_line.run("list", "--config-file", "mine.toml", "--json", env=env)
    assert [each["name"] for each in listed.document["attachments"]] == ["mine.toml"]


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        ((), {"CODEX_ACTORS_STAGINGDIR": "x"}, "did you mean CODEX_ACTORS_STAGING_DIR?"),
        ((), {"CODEX_ACTORS_MAX_BYTES": "much"}, "CODEX_ACTORS_MAX_BYTES is 'much': give bytes"),
        (("--config-file", "none.toml"), {}, "none.toml does not exist: name another."),
        (("--color", "blue"), {}, '"blue" for --color. Choose from: "auto", "always", "never"'),
    ],
)
async def test_settings_that_make_no_sense_are_2(
    tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], said: str
) -> None:
    """One line that names what sets it, and nothing done."""
    command_line = CommandLine(tmp_path)

    done = await command_line.run("list", *arguments, env=env)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert said in done.err


@pytest.mark.parametrize(
    ("color", "env", "coloured"),
    [
        ("auto", {}, False),  # pytest's stdout is no terminal
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", {}, True),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour(
    monkeypatch: pytest.MonkeyPatch, color: output.Color, env: dict[str, str], coloured: bool
) -> None:
    """What was said comes before NO_COLOR, that before FORCE_COLOR, that before the terminal."""
    for name, value in ({"NO_COLOR": "", "FORCE_COLOR": "", "TERM": "xterm"} | env).items():
        monkeypatch.setenv(name, value)
    output.configure(color=color, quiet=False, verbose=0)
    try:
        with (out := output.console()).capture() as capture:
            out.print("loud", style="bold red")
    finally:
        output.configure(color="auto", quiet=False, verbose=0)

    assert ("\x1b[" in capture.get()) is coloured


async def test_colour_by_flag_and_setting(tmp_path: Path) -> None:
    """The flag comes before the setting."""
    command_line = CommandLine(tmp_path)
    env = {"CODEX_ACTORS_COLOR": "always", "NO_COLOR": "", "TERM": "xterm"}

    by_setting = await command_line.run("config", "show", env=env)
    by_flag = await command_line.run("config", "show", "--color", "never", env=env)

    assert "\x1b[" in by_setting.out
    assert "\x1b[" not in by_flag.out


async def test_a_pipe_is_not_cut_to_the_width_of_a_terminal(tmp_path: Path) -> None:
    """Also when it is coloured; a terminal is, by COLUMNS."""
    command_line = CommandLine(tmp_path)
    name = "n" * 120
    (tmp_path / name).write_text("x")
    await command_line.run("stage", name)
    env = {"COLUMNS": "60", "NO_COLOR": ""}

    piped = await command_line.run("list", "--color", "always", env=env)
    code, shown = await on_a_terminal(command_line, "list", env=env)

    assert name in piped.out
    assert code == 0
    assert "…" in shown
    assert max(map(len, shown.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines())) <= 60


@pytest.mark.parametrize("quiet", [False, True])
async def test_progress_is_for_terminals_and_not_for_quiet(tmp_path: Path, quiet: bool) -> None:
    """On a terminal the file in hand is named; -q leaves the result alone."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    options = ("-q",) if quiet else ()

    code, shown = await on_a_terminal(command_line, "stage", "a.txt", *options)

    assert code == 0
    assert ("staging a.txt" in shown) is not quiet
    assert "text/plain" in shown


async def on_a_terminal(
    command_line: CommandLine, *arguments: str, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Run it at a terminal; its exit code and what was shown."""
    command = [sys.executable, "-m", "codex_actors", *arguments]
    environment = command_line.environment({"TERM": "xterm", **(env or {})})
    async with open_terminal(command, command_line.directory, environment) as terminal:
        return await terminal.wait(), terminal.shown


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("y\n", "True"), ("yes\n", "True"), ("\n", "False"), ("\x04", "False")],
)
async def test_who_sits_at_a_terminal_is_asked(tmp_path: Path, typed: str, answer: str) -> None:
    """Anything but yes is no, Ctrl-D too."""
    env = CommandLine(tmp_path).environment()

    async with open_terminal([sys.executable, "-c", ASK], tmp_path, env) as terminal:
        await terminal.wait_for("Forget all of it? [y/N]")
        await terminal.type(typed)
        code = await terminal.wait()

    assert code == 0
    assert terminal.shown.split()[-1] == answer


async def test_nobody_is_asked_without_a_terminal(tmp_path: Path) -> None:
    """A script says --yes, or is told to."""
    env = CommandLine(tmp_path).environment()
    command = [sys.executable, "-c", ASK]

    asked = await trio.run_process(
        command, env=env, stdin=subprocess.DEVNULL, capture_stdout=True, capture_stderr=True
    )
    told = await trio.run_process([*command, "--yes"], env=env, stdin=None, capture_stdout=True)

    assert asked.stderr == b""
    assert b"pass --yes" in asked.stdout
    assert told.stdout == b"True\n"


async def test_verbose_shows_more_of_an_error(tmp_path: Path) -> None:
    """One line; with -v what caused it, with -vv where."""
    command_line = CommandLine(tmp_path)
    command = ("stage", "missing")

    plain = await command_line.run(*command)
    caused = await command_line.run(*command, "-v")
    traced = await command_line.run(*command, "-v", "--verbose")

    assert [plain.code, caused.code, traced.code] == [1, 1, 1]
    assert len(plain.err.splitlines()) == 1
    assert caused.err.splitlines()[0] == plain.err.strip()
    assert "caused by FileNotFoundError: " in caused.err
    assert "Traceback" not in caused.err
    assert "Traceback" in traced.err


async def test_attach_does_not_swallow_the_prompt(tmp_path: Path) -> None:
    """It takes all that follows, so the right order is told, ready to be run."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.png").touch()

    done = await command_line.run("exec", "--attach", "a.png", "what is it?")
    forgotten = await command_line.run("exec", "--attach", "a.png")

    assert (done.code, done.out) == (2, "")
    assert "as in exec 'what is it?' --attach a.png" in done.err
    assert forgotten.code == 2
    assert "the prompt is missing: exec PROMPT --attach FILE" in forgotten.err


@pytest.mark.parametrize("way", ["flag", "environment", "file"])
async def test_a_codex_that_is_not_there_is_named_with_who_named_it(
    tmp_path: Path, way: str
) -> None:
    """A flag, a variable or the file: that is what has to be corrected."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "codex_actors.toml").write_text("codex = './gone'\n")
    (tmp_path / "codex_actors.toml").chmod(0o600)
    flags = ("--codex", "./gone") if way == "flag" else ()
    env = {"CODEX_ACTORS_CODEX": "./gone" if way == "environment" else ""}
    named = {
        "flag": "flag --codex",
        "environment": "environment CODEX_ACTORS_CODEX",
        "file": f"{tmp_path}/codex_actors.toml",
    }[way]

    done = await command_line.run("exec", "hi", *flags, env=env)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        f"codex-actors: {named} names the codex executable '{tmp_path}/gone', which is not"
    )


async def test_an_option_before_the_verb_is_told_where_it_stands(tmp_path: Path) -> None:
    """It is not taken for a verb that is not known."""
    done = await CommandLine(tmp_path).run("--json", "list")

    assert (done.code, done.out) == (2, "")
    assert "--json stands before the command: codex-actors list --json" in done.err


async def test_an_unknown_verb_names_the_nearest(tmp_path: Path) -> None:
    """A slip of the finger is answered with what was meant."""
    done = await CommandLine(tmp_path).run("clenaup")

    assert done.code == 2
    assert 'Did you mean "cleanup"?' in done.err
