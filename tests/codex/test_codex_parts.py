"""The small parts around a turn: options, finding codex, manifest, links, lines, redaction."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from codex_support import described
from hypothesis import given
from hypothesis import strategies as st

from codex_actors.codex import CodexNotFound, ThreadOptions, find_codex
from codex_actors.codex.lines import LineReader, LineTooLong, Tail
from codex_actors.codex.links import open_links, safe_parent
from codex_actors.codex.manifest import manifest, prompt_with_manifest
from codex_actors.codex.redact import redactor


def test_options_cannot_be_changed() -> None:
    """What was given may change afterwards; the options do not."""
    config = {"a": {"b": [1]}}
    env = {"KEY": "secret-value"}
    options = ThreadOptions(config=config, env=env, add_dirs=["x"], cwd=".")

    config["a"]["b"].append(2)
    env["KEY"] = "other"

    assert options.config == {"a": {"b": (1,)}}
    assert options.env == {"KEY": "secret-value"}
    assert options.add_dirs == (Path("x"),)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        options.model = "other"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue] - the point
    assert attrs.evolve(options, model="m").config == options.config


def test_options_hide_values() -> None:
    """No value of the environment or the configuration shows."""
    options = ThreadOptions(env={"KEY": "hunter22"}, config={"token": "hunter23"})

    assert "hunter2" not in repr(options)
    assert "'KEY': ..." in repr(options)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sandbox": "none"},
        {"model": "-x"},
        {"model": ""},
        {"image_detail": "low"},  # F74
        {"env": {"A=B": "x"}},
        {"env": {"A": "x\0"}},
        {"env": {"A": 5}},
        {"config": {"a b": 1}},
        {"config": {"a": None}},
        {"add_dirs": "one"},
    ],
)
def test_wrong_options_are_refused_when_built(wrong: dict[str, Any]) -> None:
    """A mistake shows where it is made, not when the turn starts."""
    with pytest.raises((ValueError, TypeError)):
        ThreadOptions(**wrong)


def executable(path: Path) -> Path:
    """Make an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    return path


def test_codex_is_found_in_order(tmp_path: Path) -> None:
    """Argument, variable, extra, PATH."""
    argument = executable(tmp_path / "a" / "codex")
    variable = executable(tmp_path / "b" / "codex")
    bundled = executable(tmp_path / "c" / "codex")
    on_path = executable(tmp_path / "d" / "codex")
    environ = {"CODEX_ACTORS_CODEX": str(variable), "PATH": str(on_path.parent)}
    only_path = {"PATH": str(on_path.parent)}

    assert find_codex(argument, environ=environ, bundled=lambda: bundled) == argument
    assert find_codex(environ=environ, bundled=lambda: bundled) == variable
    assert find_codex(environ=only_path, bundled=lambda: bundled) == bundled
    assert find_codex(environ=only_path, bundled=lambda: None) == on_path
    assert find_codex("codex", environ=only_path, bundled=lambda: bundled) == on_path


def test_codex_that_is_nowhere_names_all_ways(tmp_path: Path) -> None:
    """The error says where codex can come from."""
    with pytest.raises(CodexNotFound) as caught:
        find_codex(environ={"PATH": str(tmp_path)}, bundled=lambda: None)

    for way in ("codex_path", "CODEX_ACTORS_CODEX", "codex-actors[codex]", "PATH"):
        assert way in str(caught.value)


def test_codex_that_was_named_wrongly_is_not_replaced(tmp_path: Path) -> None:
    """A typo does not run another codex."""
    plain = tmp_path / "codex"
    plain.write_text("not executable")
    found = executable(tmp_path / "d" / "codex")

    with pytest.raises(CodexNotFound, match="codex_path names"):
        find_codex(plain, environ={}, bundled=lambda: found)
    with pytest.raises(CodexNotFound, match="CODEX_ACTORS_CODEX names"):
        find_codex(environ={"CODEX_ACTORS_CODEX": "nowhere"}, bundled=lambda: found)


def test_home_that_is_not_known_is_named() -> None:
    """A `~` that stands for nothing is refused where it is written, or named by the search."""
    name = "~no-such-user-at-all/codex"

    with pytest.raises(ValueError, match=r"codex_path '~no-such-user-at-all/codex'.*whole path"):
        ThreadOptions(codex_path=name)
    with pytest.raises(CodexNotFound, match="codex_path names '~no-such-user-at-all/codex'"):
        find_codex(name, environ={})
    with pytest.raises(CodexNotFound, match="CODEX_ACTORS_CODEX names '~no-such-user-at-all"):
        find_codex(environ={"CODEX_ACTORS_CODEX": name})


def test_home_is_found() -> None:
    """A `~` is the home directory, in a path only."""
    assert ThreadOptions(codex_path="~/bin/codex").codex_path == Path.home() / "bin" / "codex"
    assert ThreadOptions(codex_path="./~/codex").codex_path == Path.cwd() / "~" / "codex"


@given(st.text(min_size=1))
def test_no_name_breaks_the_manifest(name: str) -> None:
    """Each file is one line of JSON, whatever its name is, and only ours is markup."""
    attachment = described(Path("/nowhere"), name, b"abc", "text/csv")

    lines = manifest([(attachment, Path("/links/1-a"))]).split("\n")

    assert lines[0] == "<attachments>"
    assert lines[-1] == "</attachments>"
    assert len(lines) == 4
    assert json.loads(lines[2]) == {
        "name": name,
        "content_type": "text/csv",
        "size": 3,
        "checksum": f"sha256:{attachment.checksum}",
        "path": "/links/1-a",
    }
    assert not set("<>\u202e\u2028") & set(lines[2])
    lines[2].encode()


def test_prompt_without_files_is_unchanged() -> None:
    """Images alone add no text."""
    assert prompt_with_manifest("Hi", []) == "Hi"


async def test_links_are_private_and_go(tmp_path: Path) -> None:
    """The directory is this user's alone, with a path that codex cannot misread, and goes."""
    target = tmp_path / "a, b"
    target.write_bytes(b"bytes")

    async with open_links({"1-a": target}) as directory:
        mode = (await trio.Path(directory).stat()).st_mode
        data = await trio.Path(directory / "1-a").read_bytes()
        await trio.Path(directory / "left by the agent").mkdir()

    assert stat.S_IMODE(mode) == 0o700
    assert data == b"bytes"
    assert not set(str(directory)) & set(", '\"")
    assert not await trio.Path(directory).exists()
    assert await trio.Path(target).exists()


async def test_links_go_when_cancelled(tmp_path: Path) -> None:
    """Cancellation removes the directory too."""
    made: list[Path] = []
    with trio.CancelScope() as scope:
        async with open_links({"1-a": tmp_path}) as directory:
            made.append(directory)
            scope.cancel()
            await trio.sleep_forever()

    assert not await trio.Path(made[0]).exists()


def test_unsafe_temporary_directory_is_avoided(tmp_path: Path) -> None:
    """A TMPDIR with a comma is not used."""
    awkward = tmp_path / "a, b"
    awkward.mkdir()

    assert "," not in str(safe_parent(str(awkward)))
    assert safe_parent(str(tmp_path)) == tmp_path
    assert safe_parent().samefile(tempfile.gettempdir())


@given(st.lists(st.binary(max_size=8).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_are_put_together(lines: list[bytes], data: st.DataObject) -> None:
    """However the stream is cut, the lines are the same."""
    whole = b"\n".join(lines)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True) if a < b]

    async def main() -> list[bytes]:
        sender, receiver = trio.testing.memory_stream_one_way_pair()
        for piece in pieces:
            await sender.send_all(piece)
        await sender.aclose()
        reader = LineReader(receiver, max_line=100)
        found: list[bytes] = []
        while (line := await reader.next_line()) is not None:
            found.append(line)
        return found

    assert trio.run(main) == (whole.removesuffix(b"\n").split(b"\n") if whole else [])


async def test_endless_line_is_refused() -> None:
    """A line is never held beyond the bound."""
    sender, receiver = trio.testing.memory_stream_one_way_pair()
    reader = LineReader(receiver, max_line=100)
    await sender.send_all(b"ok\n" + b"x" * 200)

    assert await reader.next_line() == b"ok"
    with pytest.raises(LineTooLong, match="100 bytes"):
        await reader.next_line()


async def test_tail_keeps_the_end() -> None:
    """Only the last bytes are kept."""
    sender, receiver = trio.testing.memory_stream_one_way_pair()
    await sender.send_all(b"x" * 1000 + b"the end")
    await sender.aclose()
    tail = Tail(size=10)

    await tail.pump(receiver)

    assert tail.text() == "xxxthe end"
    assert tail.ended.is_set()


@pytest.mark.parametrize(
    ("given_env", "inherited", "text", "expected"),
    [
        ({"A": "secret"}, {}, "a secret!", "a <A>!"),
        ({"A": "secret", "B": "secret-long"}, {}, "secret-long secret", "<B> <A>"),
        ({}, {"API_KEY": "sk-123", "HOME": "/root"}, "sk-123 /root", "<API_KEY> /root"),
        ({"A": "1"}, {}, "1", "1"),
        ({}, {}, "text", "text"),
        ({"A": "a.c+"}, {}, "abc a.c+", "abc <A>"),
    ],
)
def test_redaction(
    given_env: dict[str, str], inherited: dict[str, str], text: str, expected: str
) -> None:
    """Values that were given, and inherited ones with telling names, become the names."""
    assert redactor(given_env, inherited)(text) == expected


def test_dot_slash_is_kept_apart_from_a_bare_name() -> None:
    """`./codex` is this directory's, `codex` is found on PATH."""
    assert ThreadOptions(codex_path="./codex").codex_path == Path.cwd() / "codex"
    assert ThreadOptions(codex_path=f".{os.sep}x").codex_path == Path.cwd() / "x"
    assert ThreadOptions(codex_path="codex").codex_path == Path("codex")
