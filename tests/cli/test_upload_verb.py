"""The verb `upload` against servers on loopback, alone and beside a supervisor."""

import json
import math
import signal
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from cli_support import open_terminal
from supervisor_support import ALONE, MODES, SUPERVISED, Asking, asking

from codex_actors.testing import (
    AnswerWith,
    CodexUploadServer,
    NeverAnswer,
    OpenAIUploadServer,
    UploadFault,
)

MIB = 2**20
DATA = bytes(range(256)) * 4096 * 2 + b"tail"  # two parts of a MiB, and four bytes
CANARY = "sk-canary-0123456789"
IN_PARTS = ("--part-size", "1MiB", "--parallel", "1")
SILENT = UploadFault("part", NeverAnswer(), nth=2, times=math.inf)

both_modes = pytest.mark.parametrize("mode", MODES)


def source(directory: Path, name: str = "a.bin") -> str:
    """A file of three parts, in the directory where verbs run."""
    (directory / name).write_bytes(DATA + name.encode())
    return name


def credentials(server: OpenAIUploadServer) -> dict[str, str]:
    """An environment that has them."""
    return {"OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": server.base_url}


@asynccontextmanager
async def at_openai(
    mode: str, directory: Path, *, faults: Iterable[UploadFault] = (), key: str = CANARY
) -> AsyncGenerator[tuple[OpenAIUploadServer, Asking]]:
    """Open a server, and a command line that has credentials for it."""
    async with (
        OpenAIUploadServer(api_key=key, faults=faults) as server,
        asking(mode, directory, mine=credentials(server)) as at,
    ):
        yield server, at


async def assert_no_secret(at: Asking) -> None:
    """Nothing that a supervisor shows, logs or answers has the credential in it."""
    if at.running is None:
        return
    shown = [await at.ask(verb, "--json") for verb in ("status", "events", "dump", "metrics")]
    assert all(done.code == 0 for done in shown)
    texts = [*(done.out + done.err for done in shown), at.running.out.text, at.running.err.text]
    assert "codex.upload" in "".join(texts)
    assert all(CANARY not in text for text in texts)


@both_modes
async def test_files_go_to_openai_as_whoever_asks(tmp_path: Path, mode: str) -> None:
    """With the credentials of the client, which show nowhere; what is repeated is told."""
    # F70
    faults = [UploadFault("part", AnswerWith(503, body=f"busy {CANARY}"), nth=2)]
    async with at_openai(mode, tmp_path, faults=faults) as (server, at):
        command = ("upload", source(tmp_path), source(tmp_path, "b.bin"), *IN_PARTS)

        done = await at.ask(*command, "-vv")
        again = await at.ask(*command, "--json")

        assert done.code == 0, done.err
        assert [row.split()[0] for row in done.out.splitlines()] == ["NAME", "a.bin", "b.bin"]
        (retry,) = [line for line in done.err.splitlines() if "failed, attempt 2" in line]
        assert "part 2 of 3" in retry or "part 1 of 3" in retry
        files = {file["file_id"]: file for file in again.document["uploads"]}
        assert files.keys() == server.files.keys()
        assert all(file["cached"] for file in files.values())
        for id_, stored in server.files.items():
            assert stored.read() == DATA + files[id_]["name"].encode()
        assert CANARY not in done.out + done.err + again.out + again.err
        await assert_no_secret(at)


@both_modes
async def test_what_the_server_refuses_is_one_line(tmp_path: Path, mode: str) -> None:
    """A wrong key: nothing is kept, and the key is not repeated, not even with -vv."""
    # F55, F70
    async with at_openai(mode, tmp_path, key="another") as (_server, at):
        refused = await at.ask("upload", source(tmp_path), "--json", "-q")
        traced = await at.ask("upload", source(tmp_path), "-vv")

        assert (refused.code, refused.err.count("\n")) == (1, 1)
        (error,) = refused.document["errors"]
        assert (error["what"], error["kind"]) == ("a.bin", "UploadRejected")
        assert "Traceback" in traced.err
        assert CANARY not in refused.out + refused.err + traced.err
        await assert_no_secret(at)
        assert [path for path in at.debris() if not path.endswith("/lock")] == []


@both_modes
async def test_a_missing_key_is_told(tmp_path: Path, mode: str) -> None:
    """With the variable to set; nothing is staged for it."""
    async with asking(mode, tmp_path, mine={"OPENAI_API_KEY": ""}) as at:
        done = await at.ask("upload", source(tmp_path), "-q")

        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert "OPENAI_API_KEY" in done.err
        assert (await at.ask("metrics", "--json")).document["metrics"]["misses"] == 0


async def test_a_supervisor_has_credentials_of_its_own(tmp_path: Path) -> None:
    """Where the client has none."""
    async with OpenAIUploadServer(api_key=CANARY) as server:
        mine = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
        theirs = credentials(server)
        async with asking(SUPERVISED, tmp_path, mine=mine, theirs=theirs) as at:
            done = await at.ask("upload", source(tmp_path), "--json")

            assert done.code == 0, done.err
            assert done.document["uploads"][0]["file_id"] in server.files
            await assert_no_secret(at)


@both_modes
async def test_files_go_to_the_codex_backend(tmp_path: Path, mode: str) -> None:
    """With the token and the account of the environment."""
    async with CodexUploadServer() as server:
        mine = {
            "CODEX_ACCESS_TOKEN": server.access_token,
            "CODEX_ACCOUNT_ID": server.account_id,
        }
        async with asking(mode, tmp_path, mine=mine) as at:
            done = await at.ask(
                *("upload", source(tmp_path), "--to", "codex", "--base-url", server.base_url),
                "--json",
            )

            assert done.code == 0, done.err
            (file,) = done.document["uploads"]
            assert server.files[file["file_id"]].read() == DATA + b"a.bin"


@both_modes
async def test_ctrl_c_gives_the_remote_upload_up(tmp_path: Path, mode: str) -> None:
    """One line, 130, and nothing pending at the server."""
    async with at_openai(mode, tmp_path, faults=[SILENT]) as (server, at):
        async with at.going("upload", source(tmp_path), *IN_PARTS, "-q") as going:
            with trio.fail_after(60):
                await server.wait_requests("part", 2)

            going.process.send_signal(signal.SIGINT)

            assert (await going.wait(), going.err.text.count("\n")) == (130, 1)
        with trio.fail_after(60):
            while server.pending:
                await server.wait_activity()
        metrics = (await at.ask("metrics", "--json")).document["metrics"]
        assert (metrics["leases"], metrics["transfers_running"]) == (0, 0)


async def test_another_client_cancels_an_upload(tmp_path: Path) -> None:
    """By the number that `status` shows; who waits for it is told."""
    async with at_openai(SUPERVISED, tmp_path, faults=[SILENT]) as (server, at):
        async with at.going("upload", source(tmp_path), *IN_PARTS, "--json") as going:
            with trio.fail_after(60):
                await server.wait_requests("part", 2)
            (operation,) = (await at.ask("status", "--json")).document["operations"]
            assert (operation["kind"], operation["what"]) == ("upload", "a.bin")
            assert operation["progress"]["acknowledged"] == MIB

            cancelled = await at.ask("cancel", str(operation["operation"]))

            number = operation["operation"]
            said = f"operation {number} is given up: upload a.bin\n"
            assert (cancelled.code, cancelled.out) == (0, said)
            assert await going.wait() == 1
            (error,) = json.loads(going.out.text)["errors"]
            assert error["kind"] == "OperationCancelled"
        assert [upload.status for upload in server.uploads] == ["cancelled"]


async def test_a_client_that_is_killed_cancels_its_upload(tmp_path: Path) -> None:
    """`kill -9` of who asked: the supervisor gives it up, there and at the server."""
    async with at_openai(SUPERVISED, tmp_path, faults=[SILENT]) as (server, at):
        async with at.going("upload", source(tmp_path), *IN_PARTS) as going:
            with trio.fail_after(60):
                await server.wait_requests("part", 2)

            going.process.kill()

            with trio.fail_after(60):
                while server.pending:
                    await server.wait_activity()
                while (status := await at.ask("status", "--json")).document["operations"]:
                    pass
        (ended,) = status.document["ended"]
        assert (ended["kind"], ended["state"]) == ("upload", "cancelled")


async def test_a_supervisor_that_is_killed_is_unreachable(tmp_path: Path) -> None:
    """4 for who waits, and one line for all the files."""
    async with at_openai(SUPERVISED, tmp_path, faults=[SILENT]) as (server, at):
        files = (source(tmp_path), source(tmp_path, "b.bin"))
        async with at.going("upload", *files, *IN_PARTS, "-q") as going:
            with trio.fail_after(60):
                await server.wait_requests("part", 2)
            assert at.running is not None

            at.running.process.kill()

            assert (await going.wait(), going.err.text.count("\n")) == (4, 1)


async def test_a_detached_upload_goes_on_without_its_client(tmp_path: Path) -> None:
    """The answer is a number; what comes of it is seen in `status`, a failure too."""
    async with at_openai(SUPERVISED, tmp_path) as (server, at):
        (tmp_path / "folder").mkdir()
        command = ("upload", source(tmp_path), "folder", "missing.txt", "--detach")

        detached = await at.ask(*command, "--json")

        assert detached.code == 5
        assert [each["what"] for each in detached.document["errors"]] == ["missing.txt"]
        numbers = {each["what"]: each["operation"] for each in detached.document["operations"]}
        assert sorted(numbers.values()) == [1, 2]
        with trio.fail_after(60):
            while (status := await at.ask("status", "--json")).document["operations"]:
                pass
        ended = {each["operation"]: each for each in status.document["ended"]}
        assert ended[numbers["a.bin"]]["outcome"]["file_id"] in server.files
        assert ended[numbers["folder"]]["state"] == "failed"
        assert "folder" in ended[numbers["folder"]]["error"]
        assert at.running is not None
        assert "warning" in await at.running.err.until("codex.operation.failed")
        told = await at.ask("upload", "a.bin", "--detach")
        assert told.out.split() == ["NAME", "OPERATION", "a.bin", "3"]
        await assert_no_secret(at)


async def test_a_drain_waits_for_a_detached_upload(tmp_path: Path) -> None:
    """SIGTERM while it is being sent: it is finished, then the supervisor ends."""
    slow = UploadFault("part", nth=2, bytes_per_second=2 * MIB)
    async with at_openai(SUPERVISED, tmp_path, faults=[slow]) as (server, at):
        await at.ask("upload", source(tmp_path), *IN_PARTS, "--detach")
        with trio.fail_after(60):
            await server.wait_requests("part", 2)
        assert at.running is not None

        at.running.signal(signal.SIGTERM)

        assert await at.running.wait() == 143
        (stored,) = server.files.values()
        assert stored.read() == DATA + b"a.bin"


async def test_detaching_needs_a_supervisor(tmp_path: Path) -> None:
    """Alone there is nobody who would go on."""
    async with asking(ALONE, tmp_path) as at:
        done = await at.ask("upload", source(tmp_path), "--to", "./out", "--detach")

        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert "--detach" in done.err


@both_modes
async def test_a_terminal_shows_bars(tmp_path: Path, mode: str) -> None:
    """With rate and time left; they make room for the table."""
    slow = [
        UploadFault("part", nth=2, bytes_per_second=MIB),
        UploadFault("part", NeverAnswer(), nth=3),
    ]
    async with at_openai(mode, tmp_path, faults=slow) as (_server, at):
        command = (sys.executable, "-m", "codex_actors", "upload", source(tmp_path), *IN_PARTS)
        env = at.environment({"TERM": "xterm-256color"})
        async with open_terminal(command, tmp_path, env) as terminal:
            await terminal.wait_for("a.bin")
            await terminal.wait_for("1.0 MiB of 2.0 MiB, ")
            await terminal.wait_for("/s, ")
            await terminal.wait_for("left")

            terminal.process.send_signal(signal.SIGINT)

            assert await terminal.wait() == 130
