"""The file verbs as a user runs them, alone and beside a supervisor: they say the same."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import trio
from cli_support import open_terminal
from codex_support import png
from supervisor_support import MODES, SUPERVISED, asking

from codex_actors.testing import CodexFault, HangForever, fake_codex

pytestmark = pytest.mark.parametrize("mode", MODES)


async def test_what_is_staged_is_listed_and_shown(tmp_path: Path, mode: str) -> None:
    """Several files at a time, in their order; one that cannot be is 5, and the rest is there."""
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / "b.png").write_bytes(png())
    async with asking(mode, tmp_path) as at:
        staged = await at.ask("stage", "b.png", "missing", "a.txt", "--ttl", "2h", "--json")

        assert staged.code == 5
        assert [each["name"] for each in staged.document["attachments"]] == ["b.png", "a.txt"]
        (error,) = staged.document["errors"]
        assert (error["what"], error["kind"]) == ("missing", "SourceNotFound")
        assert staged.err == f"codex-actors: {error['message']}\n"
        a = staged.document["attachments"][1]
        again = await at.ask("stage", "a.txt", "--ttl", "2h")
        listed = await at.ask("list", "--json")
        shown = await at.ask("show", a["checksum"][:6], "--json")
        lines = await at.ask("list")
        seen = await at.ask("show", f"{a['checksum'][:4]}/a.txt")
        unknown = await at.ask("show", "b.txt")
        assert (again.code, again.err) == (0, "")
        assert again.out.splitlines()[1].split()[:3] == ["a.txt", "5", "B"]
        assert {each["name"] for each in listed.document["attachments"]} == {"a.txt", "b.png"}
        assert shown.document["attachment"]["checksum"] == a["checksum"]
        assert "image/png" in lines.out
        assert "in 2h" in lines.out
        assert seen.out.splitlines()[0].split() == ["ATTACHMENT", "a.txt"]
        assert a["path"] in seen.out
        assert (unknown.code, unknown.out, unknown.err.count("\n")) == (1, "", 1)


async def test_stdin_is_staged(tmp_path: Path, mode: str) -> None:
    """A stream of any length, in no more memory than a chunk; a Ctrl-C leaves nothing of it."""
    async with asking(mode, tmp_path) as at:
        async with at.going("stage", "-", "--name", "report.txt", "--json") as going:
            assert going.process.stdin is not None
            for _ in range(32):
                await going.process.stdin.send_all(bytes(65_536))
            await going.process.stdin.aclose()
            assert await going.wait() == 0, going.err.text
            (attachment,) = json.loads(going.out.text)["attachments"]
        assert (attachment["name"], attachment["size"]) == ("report.txt", 32 * 65_536)

        async with at.going("stage", "-") as going:
            assert going.process.stdin is not None
            await going.process.stdin.send_all(bytes(65_536))
            with trio.fail_after(60):
                while not list(at.staging.rglob("*.partial")):
                    await trio.lowlevel.checkpoint()
            going.process.send_signal(signal.SIGINT)
            assert await going.wait() == 130
            assert going.err.text.count("\n") == 1
        metrics = (await at.ask("metrics", "--json")).document["metrics"]
        assert (metrics["total_count"], metrics["partial_files"]) == (1, 0)


async def test_a_path_means_what_it_means_to_who_asks(tmp_path: Path, mode: str) -> None:
    """`/dev/stdin` is the file that this command line has there, and never the supervisor's."""
    (tmp_path / "mine.txt").write_text("mine")
    nameless = tmp_path / "nameless"
    nameless.write_text("nameless")
    async with asking(mode, tmp_path) as at:
        command = [sys.executable, "-m", "codex_actors", "stage", "--json"]
        names: list[str] = []
        contents: list[str] = []
        for opened, path in (("mine.txt", "/dev/stdin"), ("nameless", "/dev/fd/0")):
            with (tmp_path / opened).open() as stdin:
                if opened == "nameless":
                    nameless.unlink()
                done = await trio.run_process(
                    [*command, path],
                    stdin=stdin,
                    capture_stdout=True,
                    cwd=tmp_path,
                    env=at.environment(),
                )
            (attachment,) = json.loads(done.stdout)["attachments"]
            names.append(attachment["name"])
            contents.append(Path(attachment["path"]).read_text())

    assert names == ["stdin", "0"]
    assert contents == ["mine", "nameless"]


async def test_uploads_to_a_directory(tmp_path: Path, mode: str) -> None:
    """Of files and of what is staged; what is there is not sent again."""
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / "b.txt").write_text("beta")
    async with asking(mode, tmp_path) as at:
        await at.ask("stage", "b.txt", "--name", "staged")

        done = await at.ask("upload", "a.txt", "staged", "nowhere", "--to", "./out")

        assert done.code == 5
        rows = [line.split() for line in done.out.splitlines()]
        assert [row[0] for row in rows] == ["NAME", "a.txt", "staged"]
        assert [row[-1] for row in rows[1:]] == ["no", "no"]
        told = [line for line in done.err.splitlines() if "a.txt: " in line]
        assert [line.split(": ")[2].split(",")[0] for line in told] == [
            *("staging", "queued", "sending 5 B", "done")
        ]
        assert "no file 'nowhere'" in done.err.splitlines()[-1]
        contents = {path.read_text() for path in (tmp_path / "out").glob("*/*")}
        assert contents == {"alpha", "beta"}
        there = f"directory:{tmp_path / 'out'}"
        again = await at.ask("upload", "a.txt", "--to", there, "--json", "--quiet")
        quiet = await at.ask("upload", "nowhere", "--to", "./out", "-q")
        assert (again.code, again.err) == (0, "")
        (file,) = again.document["uploads"]
        assert (file["cached"], file["target"], file["size"]) == (True, "directory", 5)
        assert (tmp_path / "out" / file["file_id"]).read_text() == "alpha"
        assert (quiet.code, quiet.err.count("\n")) == (1, 1)


async def test_a_turn(tmp_path: Path, mode: str) -> None:
    """With files, in a thread that is gone on with; its events are lines of JSON on demand."""
    codex = fake_codex(tmp_path / "bin", reply=["one", "two", "three"], env_names=("OF_MINE",))
    (tmp_path / "a.csv").write_text("a,b\n")
    (tmp_path / "work").mkdir()
    options = ("--codex", str(codex.path))
    async with asking(mode, tmp_path, mine={"OF_MINE": "mine"}) as at:
        first = await at.ask("exec", "hi", "--attach", "a.csv", "--cd", "work", "--json", *options)
        assert (first.code, first.err) == (0, "")
        thread = first.document["thread_id"]
        second = await at.ask("exec", "go on", "--resume", thread, *options)
        third = await at.ask("exec", "go on", "--resume", thread, "--stream", *options)

        assert first.document["final_message"] == "one"
        assert second.out == "two\n"
        (call, *_) = codex.calls()
        assert "a.csv" in call.prompt
        assert (call.cwd, call.env) == (tmp_path / "work", {"OF_MINE": "mine"})
        notes = [json.loads(line) for line in third.out.splitlines()]
        assert {note["schema"] for note in notes} == {1}
        assert [note["event"]["type"] for note in notes[1:-1]] == [
            *("thread.started", "turn.started", "item.completed", "turn.completed")
        ]
        assert (notes[-1]["final_message"], notes[-1]["thread_id"]) == ("three", thread)


async def test_ctrl_c_ends_a_turn(tmp_path: Path, mode: str) -> None:
    """Codex is gone and the leases are back, whoever ran it."""
    codex = fake_codex(tmp_path / "bin", faults=[CodexFault("item.completed", HangForever())])
    (tmp_path / "a.csv").write_text("x")
    command = ("exec", "hi", "--attach", "a.csv", "--codex", str(codex.path))
    async with asking(mode, tmp_path) as at, at.going(*command) as going:
        with trio.fail_after(60):
            while not codex.calls():
                await trio.lowlevel.checkpoint()

        going.process.send_signal(signal.SIGINT)

        assert (await going.wait(), going.err.text.count("\n")) == (130, 1)
        with trio.fail_after(60):
            while (await at.ask("metrics", "--json")).document["metrics"]["leases"]:
                pass
        # Leases go back when codex has exited.
        with pytest.raises(ProcessLookupError):
            os.kill(codex.calls()[0].pid, 0)


async def test_removing(tmp_path: Path, mode: str) -> None:
    """By hand, what has expired, and everything; what is called twice is listed."""
    for name, text in (("a", "alpha"), ("b", "beta"), ("c", "gamma")):
        (tmp_path / name).write_text(text)
    async with asking(mode, tmp_path) as at:
        await at.ask("stage", "a", "b")
        await at.ask("stage", "c", "--name", "a", "--ttl", "0")

        ambiguous = await at.ask("rm", "a")
        would = await at.ask("cleanup", "--dry-run", "--json")
        cleaned = await at.ask("cleanup")
        removed = await at.ask("rm", "a", "zzz", "--json")
        refused = await at.ask("reset")
        reset = await at.ask("reset", "--yes")
        nothing = await at.ask("reset", "--yes", "--json")
        empty = await at.ask("rm", "b")

        assert (ambiguous.code, ambiguous.out) == (1, "")
        assert ambiguous.err.count("/a") == 2
        assert (would.document["dry_run"], would.document["count"]) == (True, 1)
        assert "freed 5 B in 1" in cleaned.out
        assert removed.code == 5
        assert [each["name"] for each in removed.document["attachments"]] == ["a"]
        assert [each["kind"] for each in removed.document["errors"]] == ["NotFound"]
        assert (refused.code, refused.out) == (2, "")
        assert "1 attachment (4 B)" in refused.err
        assert (reset.code, reset.out.splitlines()[-1]) == (0, "freed 4 B in 1")
        assert (nothing.document["count"], empty.code) == (0, 1)
        assert [path for path in at.debris() if not path.endswith("/lock")] == []


async def test_what_is_wrong_is_named(tmp_path: Path, mode: str) -> None:
    """Other bytes than were staged are 1, what cannot be deleted is 5; all is counted."""
    (tmp_path / "good").write_text("good")
    (tmp_path / "bad").write_text("bad")
    async with asking(mode, tmp_path) as at:
        staged = await at.ask("stage", "good", "bad", "--json")
        good, bad = (Path(each["path"]) for each in staged.document["attachments"])
        fine = await at.ask("verify")
        bad.chmod(0o600)
        bad.write_text("tampered")

        wrong = await at.ask("verify", "--json")
        figures = await at.ask("metrics", "--json")
        good.unlink()
        good.mkdir()
        (good / "in the way").touch()
        stuck = await at.ask("reset", "--yes", "--json")

        assert (fine.code, fine.out) == (0, "2 attachments were read, none of them wrong\n")
        assert (wrong.code, wrong.document["checked"]) == (1, 2)
        assert [each["name"] for each in wrong.document["wrong"]] == ["bad"]
        lines = wrong.err.splitlines()
        assert [("'bad'" in line, "lies in" in line) for line in lines] == [
            (True, False),
            (False, True),
        ]
        assert figures.document["metrics"]["total_count"] == 1
        # Of a process that ends with its verb nothing can be counted.
        assert figures.document["metrics"]["misses"] == (2 if mode == SUPERVISED else 0)
        assert (stuck.code, len(stuck.document["failed"])) == (5, 1)
        assert "good could not be deleted" in stuck.err


async def test_reset_asks_at_a_terminal(tmp_path: Path, mode: str) -> None:
    """With what would go; anything but yes is no."""
    (tmp_path / "a.txt").write_text("alpha")
    async with asking(mode, tmp_path) as at:
        await at.ask("stage", "a.txt")
        command = (sys.executable, "-m", "codex_actors", "reset")
        for answer, code in (("n\n", 1), ("y\n", 0)):
            async with open_terminal(command, tmp_path, at.environment()) as terminal:
                await terminal.wait_for(f"Remove 1 attachment (5 B) from {at.staging}? [y/N]")
                await terminal.type(answer)
                assert await terminal.wait() == code
        assert (await at.ask("list")).out == "nothing is staged\n"
