"""Every verb, as a user runs it: what it prints, and its exit code."""

from pathlib import Path

import pytest
from cli_support import CommandLine
from codex_support import needs_codex, png
from supervisor_support import MODES, asking

from codex_actors.codex import find_codex
from codex_actors.codex.toml import config_arguments
from codex_actors.testing import ModelServer, fake_codex


async def test_stage_list_and_metrics(tmp_path: Path) -> None:
    """What one process staged, another lists and counts."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / "b.png").write_bytes(png())

    staged = await command_line.run("stage", "a.txt", "b.png", "--ttl", "2h", "--json")

    assert (staged.code, staged.err) == (0, "")
    assert staged.document["schema"] == 1
    names = [each["name"] for each in staged.document["attachments"]]
    assert names == ["a.txt", "b.png"]
    listed = await command_line.run("list")
    assert listed.code == 0
    assert "a.txt" in listed.out
    assert "image/png" in listed.out
    assert "in 2h" in listed.out
    metrics = await command_line.run("metrics", "--json")
    assert metrics.document["metrics"]["total_count"] == 2
    assert metrics.document["metrics"]["total_bytes"] == 5 + len(png())


async def test_stage_says_what_it_made(tmp_path: Path) -> None:
    """Without `--json` a table, under the name that was given."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("alpha")

    done = await command_line.run(
        "stage", "a.txt", "--name", "report.csv", "--persist", "--content-type", "text/csv"
    )

    header, row = done.out.splitlines()
    assert header.split() == ["NAME", "SIZE", "TYPE", "CHECKSUM", "EXPIRES"]
    assert row.split()[:4] == ["report.csv", "5", "B", "text/csv"]
    assert row.endswith("never (persistent)")


async def test_cleanup_removes_what_has_expired(tmp_path: Path) -> None:
    """A dry run shows what would go; the real one leaves nothing of it."""
    command_line = CommandLine(tmp_path)
    (tmp_path / "a.txt").write_text("alpha")
    await command_line.run("stage", "a.txt", "--ttl", "0")

    dry = await command_line.run("cleanup", "--dry-run", "--json")
    assert (dry.code, dry.document["count"], dry.document["dry_run"]) == (0, 1, True)
    done = await command_line.run("cleanup")

    assert done.code == 0
    assert "a.txt" in done.out
    assert "freed 5 B in 1" in done.out
    assert command_line.debris() == []
    again = await command_line.run("cleanup")
    assert again.out == "nothing has expired\n"


async def test_list_of_nothing(tmp_path: Path) -> None:
    """An empty staging directory is a sentence for people and an empty list for programs."""
    command_line = CommandLine(tmp_path)
    assert (await command_line.run("list")).out == "nothing is staged\n"

    assert (await command_line.run("list", "--json")).document["attachments"] == []


@needs_codex
@pytest.mark.parametrize("mode", MODES)
async def test_exec_delivers_the_picture(tmp_path: Path, mode: str) -> None:
    """`exec PROMPT --attach FILE` against the model server: the bytes arrive, whoever runs codex.

    The key of the model is in the environment of the client only.
    """
    (tmp_path / "pic.png").write_bytes(png())
    async with ModelServer(reply="It is red.") as server:
        mine = {**server.env(), "CODEX_ACTORS_CODEX": str(find_codex())}
        async with asking(mode, tmp_path, mine=mine) as at:
            done = await at.ask(
                *("exec", "describe", "--attach", "pic.png"), *config_arguments(server.config())
            )

            assert (done.code, done.out) == (0, "It is red.\n")
            assert server.images() == (png(),)


async def test_exec_in_json(tmp_path: Path) -> None:
    """Programs get the message, the thread and what it cost."""
    command_line = CommandLine(tmp_path)
    fake = fake_codex(tmp_path / "bin", reply="fine")
    (tmp_path / "notes.csv").write_text("a,b\n")

    done = await command_line.run(
        "exec", "hi", "--attach", "notes.csv", "--codex", fake.path, "--json"
    )

    assert (done.code, done.err) == (0, "")
    assert done.document["final_message"] == "fine"
    assert done.document["thread_id"]
    (call,) = fake.calls()
    assert "notes.csv" in call.prompt
    assert call.images == ()
