"""The fake codex and the real one, side by side."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
import trio
from PIL import Image

from codex_actors.codex import CodexNotFound, find_codex
from codex_actors.codex.events import ErrorReported, ItemCompleted, TurnFailed, parse_event
from codex_actors.codex.toml import config_arguments
from codex_actors.testing import CodexFault, FailWith, ModelServer, fake_codex

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from codex_actors.codex import Event
    from codex_actors.testing import ModelRequest


def png() -> bytes:
    """Return a PNG."""
    target = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(target, "PNG")
    return target.getvalue()


PNG = png()


async def run(
    codex: Path,
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """Run an executable, whatever it exits with."""
    return await trio.run_process(
        [str(codex), *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=stdin,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )


def kinds(printed: bytes) -> list[str]:
    """Name the events, without the real one's warning about the test's model."""
    found: list[Event] = [parse_event(line) for line in printed.splitlines()]
    return [
        type(event).__name__
        for event in found
        if not (isinstance(event, ItemCompleted) and event.item.type == "error")
    ]


def image_count(request: ModelRequest) -> int:
    """Count the images that codex took from its arguments, delivered or not."""
    marks = ("<image name=", "could not read the local image")
    return sum(mark in text for text in request.texts() for mark in marks)


COMMAND_LINES = [
    ["--", "the prompt"],
    ["-i", "a.png", "--", "the prompt"],
    ["-i", "a.png", "the prompt"],
    ["the prompt", "-i", "a.png"],
    ["-i", "x,a.png", "--", "the prompt"],
    ["-i", "a.png", "-i", "a.png", "--", "the prompt"],
    ["-i", "a.png", "a.png", "--", "the prompt"],
    ["--image=a.png", "the prompt"],
    ["-ia.png", "the prompt"],
    ["-i=a.png", "--", "the prompt"],
    ["-i", "missing.png", "--", "the prompt"],
    ["--", "-x"],
    ["--", "-"],
    ["-"],
    [],
    ["one", "two"],
    ["-i", "--", "the prompt"],
    ["-s", "nope", "--", "the prompt"],
    ["-s", "--", "the prompt"],
    ["-m", "-x", "--", "the prompt"],
    ["--nope", "--", "the prompt"],
    ["-c", 'model_verbosity="low"', "--add-dir", "x", "--", "the prompt"],
]


# Where it matters what is on standard input.
STDIN_LINES = [["the prompt"], ["-i", "a.png", "--", "the prompt"], ["--", "-"], ["-"], []]
STDIN = b"from standard input"


@pytest.mark.parametrize(
    ("line", "stdin"),
    [*((line, b"") for line in COMMAND_LINES), *((line, STDIN) for line in STDIN_LINES)],
    ids=lambda value: value.decode() if isinstance(value, bytes) else " ".join(map(str, value)),
)
async def test_fake_takes_its_arguments_as_the_real_one(
    tmp_path: Path, line: list[str], stdin: bytes
) -> None:
    """Same exit status, same events, same prompt, same images."""
    try:
        real = find_codex()
    except CodexNotFound:
        pytest.skip("the extra `codex` is not installed")
    (tmp_path / "a.png").write_bytes(PNG)
    home = tmp_path / "home"
    home.mkdir()
    fake = fake_codex(tmp_path / "bin")
    common = ["exec", "--json", "--skip-git-repo-check", "--ephemeral"]

    async with ModelServer() as server:
        config = config_arguments(server.config())
        env = {**server.env(), "CODEX_HOME": str(home), "HOME": str(home)}
        expected = await run(real, *common, *config, *line, cwd=tmp_path, env=env, stdin=stdin)
        got = await run(fake.path, *common, *line, cwd=tmp_path, stdin=stdin)

        assert got.returncode == expected.returncode, expected.stderr
        assert kinds(got.stdout) == kinds(expected.stdout)
        assert len(fake.calls()) == len(server.turns)
        for call, turn in zip(fake.calls(), server.turns, strict=True):
            assert call.prompt == turn.texts()[-1]
            assert len(call.images) == image_count(turn)
            assert [i.data for i in call.images if i.omitted is None] == list(turn.images())


async def test_failure_looks_like_the_real_ones(tmp_path: Path) -> None:
    """A failed turn ends with the same events and status 1."""
    try:
        real = find_codex()
    except CodexNotFound:
        pytest.skip("the extra `codex` is not installed")
    home = tmp_path / "home"
    home.mkdir()
    fake = fake_codex(tmp_path / "bin", faults=[CodexFault("item.completed", FailWith())])
    common = ["exec", "--json", "--skip-git-repo-check", "--ephemeral"]

    async with ModelServer(status=400) as server:
        config = config_arguments(server.config())
        env = {**server.env(), "CODEX_HOME": str(home), "HOME": str(home)}
        expected = await run(real, *common, *config, "--", "Hi", cwd=tmp_path, env=env)
    got = await run(fake.path, *common, "--", "Hi", cwd=tmp_path)

    assert got.returncode == expected.returncode == 1
    assert kinds(got.stdout) == kinds(expected.stdout)
    assert kinds(got.stdout)[-2:] == [ErrorReported.__name__, TurnFailed.__name__]


async def test_calls_are_recorded(tmp_path: Path) -> None:
    """Arguments, directory, variables, standard input, and the images' bytes at that time."""
    directory = tmp_path / 'it\'s a "bin"'
    fake = fake_codex(directory, name="my codex", env_names=("ONE", "UNSET"), stderr="hello\n")
    (tmp_path / "a.png").write_bytes(PNG)

    result = await run(
        fake.path,
        "exec",
        "--skip-git-repo-check",
        "-i",
        "a.png",
        "--",
        "Hi",
        cwd=tmp_path,
        env={"ONE": "1"},
        stdin=b"x",
    )
    (tmp_path / "a.png").unlink()

    (call,) = fake.calls()
    assert result.returncode == 0
    assert result.stderr.startswith(b"hello\n")
    assert call.argv == ("exec", "--skip-git-repo-check", "-i", "a.png", "--", "Hi")
    assert call.cwd == tmp_path
    assert call.env == {"ONE": "1"}
    assert call.stdin == "pipe"
    assert [(image.path, image.data) for image in call.images] == [("a.png", PNG)]


async def test_calls_keep_their_order(tmp_path: Path) -> None:
    """The first invocation comes first."""
    fake = fake_codex(tmp_path / "bin", reply="again")

    for number in range(3):
        await run(
            fake.path,
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--",
            f"turn {number}",
            cwd=tmp_path,
        )

    assert [call.prompt for call in fake.calls()] == ["turn 0", "turn 1", "turn 2"]


async def test_version_and_unknown_commands(tmp_path: Path) -> None:
    """It says which codex it stands for, and refuses what it does not stand for."""
    fake = fake_codex(tmp_path / "bin")

    version = await run(fake.path, "--version", cwd=tmp_path)
    unknown = await run(fake.path, "login", cwd=tmp_path)

    assert version.stdout == b"codex-cli 0.163.0\n"
    assert unknown.returncode == 2
    assert fake.calls() == ()
