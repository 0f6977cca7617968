"""Our own client over the fake app-server: what users test their code with."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from codex_support import Leases, needs_proc, png, staged, wait_gone

from codex_actors.codex import (
    CodexDied,
    CodexError,
    RequestRefused,
    ThreadOptions,
    TurnInterrupted,
    TurnTimeout,
    open_app_server,
)
from codex_actors.files import DirectoryTarget, FilesConfig, open_files
from codex_actors.testing import (
    CodexFault,
    ExitWith,
    FailWith,
    FakeCodex,
    KillItself,
    PrintNonsense,
    StallTurn,
    WaitFor,
    fake_codex,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from codex_actors.codex import AppServer, Leaser


@asynccontextmanager
async def opened_fake(codex: FakeCodex, files: Leaser) -> AsyncGenerator[AppServer]:
    """Open a fake with a home of its own."""
    home = codex.path.parent / "home"
    home.mkdir(exist_ok=True)
    with trio.fail_after(60):
        async with open_app_server(
            files=files, codex_path=codex.path, env={"CODEX_HOME": str(home)}
        ) as opened:
            yield opened


async def test_upload_attach_turn_is_one_sequence(tmp_path: Path) -> None:
    """The file is at its target before codex is asked, then: thread, turn with it, its record."""
    # F81
    fake = fake_codex(tmp_path / "bin", reply="It is red.", env_names=("CODEX_HOME",))
    config = FilesConfig(staging_dir=tmp_path / "staging", algorithm="sha256")
    async with open_files(config) as files:
        picture = await files.stage(png(), name="a, 'b'.png")
        table = await files.stage(b"1,2\n", name="b.csv")
        uploaded = await files.upload(picture, target=DirectoryTarget(tmp_path / "uploaded"))
        async with opened_fake(fake, files) as codex:
            assert fake.servers()[0].turns == ()
            thread = await codex.start_thread(files.attach(ThreadOptions(), picture))
            result = await thread.run_turn("Which colour?", (table,))
            owners = await codex.threads_of(picture)

    (server,) = fake.servers()
    (turn,) = server.turns
    adds = server.params("thread/attachment/add")
    assert uploaded.checksum == picture.checksum
    assert server.methods[:4] == ("initialize", "initialized", "thread/start", "turn/start")
    assert set(server.methods[4:-1]) <= {"thread/attachment/add", "thread/attachment/list"}
    assert server.methods[-1] == "thread/attachmentOwner/list"
    assert [add["identityKey"] for add in adds] == [
        f"sha256:{attachment.checksum}" for attachment in (picture, table)
    ]
    assert adds[0]["threadId"] == thread.id
    assert adds[0]["attachmentType"] == "codex_actors.file"
    assert adds[0]["payload"]["name"] == "a, 'b'.png"
    assert str(tmp_path) not in str(adds)
    assert [image.data for image in turn.images] == [png()]
    assert turn.images[0].sha256 == picture.checksum
    assert turn.images[0].omitted is None
    assert any('"name": "b.csv"' in text for text in turn.texts)
    assert result.final_message == "It is red."
    assert owners == (thread.id,)


async def test_records_and_forks_are_those_of_the_real_one(tmp_path: Path) -> None:
    """A thread keeps its records over a crash; a fork has copies; removing one leaves the other."""
    # F84
    fake = fake_codex(tmp_path / "bin", faults=[CodexFault("turn/start", KillItself(), nth=2)])
    picture = staged(tmp_path, "a.png", png(), "image/png")
    async with opened_fake(fake, Leases()) as codex:
        thread = await codex.start_thread()
        await thread.run_turn("Look.", (picture,))
        with pytest.raises(CodexDied):
            await thread.run_turn("Look again.")

        fork = await codex.fork_thread(thread.id)
        await thread.remove_attachment(picture)
        result = await thread.run_turn("And now?")

        assert await thread.list_attachments() == ()
        assert [record.name for record in await fork.list_attachments()] == ["a.png"]
        assert await codex.threads_of(picture) == (fork.id,)
    assert result.thread_id == thread.id
    assert len(fake.servers()) == 2


@needs_proc
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (CodexFault("turn/start", KillItself(), nth=2), CodexDied),
        (CodexFault("turn/start:answer", ExitWith(3), nth=2), CodexDied),
        (CodexFault("item/completed:userMessage", KillItself(), nth=2), CodexDied),
        (CodexFault("item/started:agentMessage", PrintNonsense('{"id": 7, '), nth=2), CodexDied),
        (CodexFault("turn/start", FailWith("no more"), nth=2), RequestRefused),
        (CodexFault("item/started:agentMessage", FailWith("no such luck"), nth=2), CodexError),
        (CodexFault("item/started:agentMessage", StallTurn(), nth=2), TurnTimeout),
    ],
    ids=lambda value: f"{value.step} {type(value.then).__name__}" if hasattr(value, "step") else "",
)
async def test_a_turn_that_ends_badly_leaves_nothing(
    tmp_path: Path, fault: CodexFault, error: type[Exception]
) -> None:
    """The error comes, the leases are back, and the thread goes on: with a new process or not."""
    fake = fake_codex(tmp_path / "bin", faults=[fault], children=1)
    files = Leases()
    picture = staged(tmp_path, "a.png", png(), "image/png")
    table = staged(tmp_path, "b.csv", b"1,2\n", "text/csv")

    async with opened_fake(fake, files) as codex:
        thread = await codex.start_thread()
        await thread.run_turn("Hi.", timeout=20)
        with pytest.raises(error):
            await thread.run_turn("Look.", (picture, table), timeout=2)
        held = list(files.held)
        result = await thread.run_turn("Go on.", timeout=20)

    assert held == []
    assert result.final_message == "ok"
    with trio.fail_after(20):
        for server in fake.servers():
            for pid in (server.pid, *server.children):
                await wait_gone(pid)


async def test_the_example_of_the_docs(tmp_path: Path) -> None:
    """A process that is killed in a turn: the next one resumes the thread, and reads the file."""
    killed = CodexFault("item/started:agentMessage", KillItself())
    fake = fake_codex(tmp_path / "bin", reply="It is red.", faults=[killed])
    picture = staged(tmp_path, "a.png", png(), "image/png")

    async with opened_fake(fake, Leases()) as codex:
        thread = await codex.start_thread()
        with pytest.raises(CodexDied):
            await thread.run_turn("Which colour?", (picture,))
        await thread.run_turn("Which colour?", (picture,))

    _first, second = fake.servers()
    assert second.methods[2:4] == ("thread/resume", "turn/start")
    assert [image.data for image in second.turns[0].images] == [png()]


async def test_a_record_whose_answer_was_lost_is_settled_by_the_list(tmp_path: Path) -> None:
    """Codex died after it had made the record: the list tells, and it is not made twice."""
    # F81
    lost = CodexFault("thread/attachment/add:answer", KillItself())
    fake = fake_codex(tmp_path / "bin", faults=[lost])
    picture = staged(tmp_path, "a.png", png(), "image/png")
    async with opened_fake(fake, Leases()) as codex:
        thread = await codex.start_thread()
        await thread.run_turn("Hi.")

        await thread.add_attachment(picture)

        assert [record.name for record in await thread.list_attachments()] == ["a.png"]
    assert len(fake.servers()) == 2


async def test_an_interruption(tmp_path: Path) -> None:
    """A turn that the model keeps waiting is ended; the next one is answered."""
    stall = CodexFault("item/started:agentMessage", StallTurn())
    fake = fake_codex(tmp_path / "bin", faults=[stall], reply=["again", "and again"])
    files = Leases()
    picture = staged(tmp_path, "a.png", png(), "image/png")
    async with opened_fake(fake, files) as codex, trio.open_nursery() as nursery:
        thread = await codex.start_thread()

        async def run() -> None:
            with pytest.raises(TurnInterrupted):
                await thread.run_turn("Wait.", (picture,))

        nursery.start_soon(run)
        while files.held or not files.granted:
            # Codex has read the picture as soon as its lease is given back.
            await trio.lowlevel.checkpoint()
        await thread.interrupt()
        results = [(await thread.run_turn("Go on.")).final_message for _ in range(3)]

    assert results == ["again", "and again", "and again"]
    assert files.held == []


async def test_steps_count_over_processes(tmp_path: Path) -> None:
    """A fault strikes at its turn, also when that is another process's."""
    slow = CodexFault("item.completed", WaitFor(0.0), times=math.inf)
    fake = fake_codex(tmp_path / "bin", faults=[slow, CodexFault("exec", ExitWith(9), nth=2)])
    arguments = [str(fake.path), "exec", "--json", "--skip-git-repo-check", "Hi."]

    codes = [
        (await trio.run_process(arguments, check=False, capture_stdout=True)).returncode
        for _ in range(3)
    ]

    assert codes == [0, 9, 0]
    assert [call.turn is None for call in fake.calls()] == [False, True, False]


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": "nope", "then": KillItself()},
        {"step": "exec", "then": KillItself(), "nth": 0},
        {"step": "exec", "then": KillItself(), "times": 0},
        {"step": "thread/attachment/updated", "then": FailWith()},
    ],
    ids=str,
)
def test_faults_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """When they are written, not when they should strike."""
    with pytest.raises(ValueError, match=r"step|cannot fail"):
        CodexFault(**wrong)
