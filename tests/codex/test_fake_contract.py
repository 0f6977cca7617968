"""The fake codex and the real one hold the same sessions: what they print, and what the model sees.

Each test runs one session twice, and compares every answer, every notification and every content
part that reaches the model.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from codex_support import needs_codex, png
from contract_support import Codex, Session, normalised, open_session

from codex_actors.codex import find_codex
from codex_actors.codex.toml import config_arguments
from codex_actors.testing import CodexFault, FailWith, ModelServer, StallTurn, fake_codex

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from codex_actors.testing import FakeCodex

pytestmark = needs_codex

NOBODY = "01a206ac-b8d6-78e3-b9bd-62363cd5596a"
IDENTITY = {"attachmentType": "codex_actors.file", "identityKey": "sha256:00"}
CLIENT = {"name": "contract", "version": "1"}
JSON = ("--json", "--skip-git-repo-check")


def text(said: str) -> dict[str, Any]:
    """Return an input that is text."""
    return {"type": "text", "text": said}


def places(directory: Path) -> tuple[Path, Path]:
    """Make a directory to work in, with files, and a home."""
    work, home = directory / "work", directory / "home"
    (work / "directory").mkdir(parents=True)
    home.mkdir()
    (work / "a.png").write_bytes(png())
    (work / "b.png").write_bytes(png(colour="blue"))
    (work / "cut.png").write_bytes(png()[:-20])
    (work / "empty").write_bytes(b"")
    (work / "b.csv").write_bytes(b"1,2\n")
    (work / "a.wav").write_bytes(b"RIFF")
    return work, home


def the_fake(directory: Path, *faults: CodexFault) -> tuple[Codex, FakeCodex]:
    """Make a fake codex with a home and files of its own."""
    fake = fake_codex(directory / "bin", faults=faults)
    config = ("-c", 'model="gpt-5"', "-c", 'model_provider="codex_actors_test"')
    return Codex(fake.path, *places(directory / "fake"), config), fake


def the_real(directory: Path, server: ModelServer) -> Codex:
    """Give the real codex a home and files of its own, over the model server."""
    work, home = places(directory / "real")
    return Codex(find_codex(), work, home, config_arguments(server.config()), server.env())


def seen_by_model(server: ModelServer) -> list[Any]:
    """Return the content parts of every turn that the model was asked about."""
    return [turn.turn_parts() for turn in server.turns]


def seen_by_fake(fake: FakeCodex) -> list[Any]:
    """Return the content parts of every turn that the fake would have asked a model about."""
    executed = [call.turn for call in fake.calls() if call.turn]
    served = [turn for server in fake.servers() for turn in server.turns]
    return [turn.parts for turn in (*executed, *served)]


async def transcript(
    codex: Codex, session: Callable[[Codex, Session], Awaitable[object]]
) -> tuple[Any, Any]:
    """Hold a session; return the answers and the notifications, normalised together."""
    async with open_session(codex) as opened:
        await opened.ask("initialize", clientInfo=CLIENT)
        await session(codex, opened)
    answers, notifications = normalised(opened.said(), codex)
    return answers, notifications


async def assert_same(
    tmp_path: Path, session: Callable[[Codex, Session], Awaitable[object]], *faults: CodexFault
) -> None:
    """Hold a session with both, and compare all that was said and seen."""
    async with ModelServer() as server:
        real = the_real(tmp_path, server)
        answers, notifications = await transcript(real, session)
        seen = normalised(seen_by_model(server), real)
    codex, fake = the_fake(tmp_path, *faults)
    fake_answers, fake_notifications = await transcript(codex, session)

    assert fake_answers == answers
    assert fake_notifications == notifications
    assert normalised(seen_by_fake(fake), codex) == seen


async def started(session: Session, codex: Codex, **params: Any) -> str:
    """Start a thread; return its id."""
    answer = await session.ask("thread/start", cwd=str(codex.work), **params)
    thread_id: str = answer["result"]["thread"]["id"]
    return thread_id


async def test_turn_with_every_kind_of_input(tmp_path: Path) -> None:
    """What arrives arrives, what is omitted is omitted, in the same words and the same order."""
    # F71, F73, F74
    names = ("a.png", "b.csv", "missing.png", "directory", "cut.png", "empty", "b.png")

    async def session(codex: Codex, session: Session) -> None:
        thread_id = await started(session, codex)
        images = [{"type": "localImage", "path": str(codex.work / name)} for name in names]
        picture = images[0]
        await session.turn(thread_id, text("Look."), picture, text("end"))
        await session.turn(thread_id, *images)
        details = ("low", "high", "original", "auto")
        await session.turn(thread_id, *({**picture, "detail": detail} for detail in details))
        await session.turn(
            thread_id,
            {"type": "image", "fileId": "file-1"},
            {"type": "image", "fileId": "file-1", "detail": "low"},
            {"type": "image", "url": "data:image/png;base64,AAAA"},
            {"type": "localImage", "path": "a.png"},
            {"type": "mention", "name": "b", "path": str(codex.work / "b.csv")},
            {"type": "localAudio", "path": str(codex.work / "a.wav")},
            {"type": "localAudio", "path": str(codex.work / "missing.wav")},
        )

    await assert_same(tmp_path, session)


async def test_requests_that_are_refused(tmp_path: Path) -> None:
    """The same codes and the same words, and nothing has happened."""
    # F75, F76
    inputs: list[Any] = [
        [{"type": "file", "path": "/x"}],
        [{"type": "localFile", "path": "/x"}],
        [{"type": "image"}],
        [{"type": "image", "url": "https://example.com/a.png"}],
        [{"type": "localImage"}],
        [{"type": "localImage", "path": "/x", "detail": "nope"}],
        [{"path": "/x"}],
        [{"type": "text"}],
        ["x"],
        "x",
    ]

    async def session(codex: Codex, session: Session) -> None:
        await session.send(b"nonsense")
        await session.ask("initialize", clientInfo=CLIENT)
        await session.ask("initialize")
        await session.ask("thread/start", cwd=5)
        for unknown in (NOBODY, "x"):
            await session.ask("turn/start", threadId=unknown, input=[text("x")])
            await session.ask("turn/interrupt", threadId=unknown, turnId="x")
            await session.ask("thread/resume", threadId=unknown)
            await session.ask("thread/fork", threadId=unknown)
            await session.ask("thread/attachment/list", threadId=unknown)
            await session.ask("thread/attachment/remove", threadId=unknown, **IDENTITY)
            await session.ask("thread/attachment/add", threadId=unknown, **IDENTITY, payload={})
        await session.ask("turn/start", threadId=NOBODY)
        thread_id = await started(session, codex)
        await session.ask("turn/interrupt", threadId=thread_id, turnId=NOBODY)
        await session.ask("thread/attachment/list", threadId=thread_id)
        await session.ask("thread/attachment/remove", threadId=thread_id, **IDENTITY)
        await session.ask("thread/attachment/add", threadId=thread_id, **IDENTITY, payload={})
        await session.ask("thread/resume", threadId=thread_id)
        await session.ask("thread/fork", threadId=thread_id)
        for given in inputs:
            await session.ask("turn/start", threadId=thread_id, input=given)
        await session.ask("turn/start", threadId=thread_id, input=[], additionalContext={})
        ephemeral = await started(session, codex, ephemeral=True, sandbox="danger-full-access")
        await session.turn(ephemeral, text("Hi."))
        await session.ask("thread/attachment/add", threadId=ephemeral, **IDENTITY, payload={})
        await session.ask("thread/resume", threadId=ephemeral)

    await assert_same(tmp_path, session)


async def test_before_initialize(tmp_path: Path) -> None:
    """Nothing is done for a client that has not said who it is."""
    answers: list[Any] = []
    async with ModelServer() as server:
        for codex in (the_real(tmp_path, server), the_fake(tmp_path)[0]):
            async with open_session(codex) as session:
                answers.append(await session.ask("thread/start"))

    assert answers[0] == answers[1]


async def test_attachments_of_a_thread(tmp_path: Path) -> None:
    """Outcomes, events, limits and pages are the same, up to the last that a thread can have."""
    # F78, F79, F80, F81
    wrong: list[dict[str, Any]] = [
        {"attachmentType": ""},
        {"identityKey": "  "},
        {"attachmentType": "t" * 257},
        {"identityKey": "é" * 129},
        {"identityKey": 5},
        {"payload": "x" * 65_535},
    ]

    async def session(codex: Codex, session: Session) -> None:
        thread_id = await started(session, codex)
        await session.turn(thread_id, text("Hi."))

        async def add(**params: Any) -> None:
            given = {**IDENTITY, "payload": {"a": 1}, **params}
            await session.ask("thread/attachment/add", threadId=thread_id, **given)

        async def page(**params: Any) -> Any:
            answer = await session.ask("thread/attachment/list", threadId=thread_id, **params)
            return answer.get("result", {}).get("nextCursor")

        await add()
        await add(payload={"a": 2})
        for params in wrong:
            await add(**params)
        await session.ask("thread/attachment/add", threadId=thread_id, **IDENTITY)
        for number in range(28):
            await add(identityKey=f"sha256:{number:02}", payload=None)
        await page(limit=2, cursor=await page(limit=2))
        await page(cursor=await page())
        for limit in (0, 101, -1, "x", 1.5):
            await page(limit=limit)
        for cursor in ("bogus", ""):
            await page(cursor=cursor)
        for number in range(28, 101):
            await add(identityKey=f"sha256:{number:02}", payload=number)
        await add(payload="the first again")
        await page(limit=100)
        for _ in range(2):
            await session.ask("thread/attachment/remove", threadId=thread_id, **IDENTITY)
        await add(payload={"a": 3})
        await session.wait("thread/attachment/updated")

    await assert_same(tmp_path, session)


async def test_forks_and_owners(tmp_path: Path) -> None:
    """A fork has copies, without events; the owners of an attachment are found, page by page."""
    # F84, F81

    async def session(codex: Codex, session: Session) -> None:
        thread_id = await started(session, codex)
        await session.turn(thread_id, text("Hi."))
        await session.ask("thread/attachment/add", threadId=thread_id, **IDENTITY, payload=1)
        await session.ask("thread/fork", threadId=thread_id)
        answer = await session.ask("thread/fork", threadId=thread_id, excludeTurns=True)
        fork = answer["result"]["thread"]["id"]
        await session.ask("thread/attachment/list", threadId=fork)
        await session.turn(fork, text("Go on."))
        answer = await session.ask("thread/attachmentOwner/list", **IDENTITY, limit=2)
        cursor = answer["result"]["nextCursor"]
        await session.ask("thread/attachmentOwner/list", **IDENTITY, limit=2, cursor=cursor)
        await session.ask("thread/attachmentOwner/list", **IDENTITY, cursor="bogus")
        await session.ask("thread/attachment/remove", threadId=fork, **IDENTITY)
        await session.ask("thread/archive", threadId=thread_id)
        await session.wait("thread/archived")
        for archived in (None, True, False):
            await session.ask("thread/attachmentOwner/list", **IDENTITY, archived=archived)
        await session.ask("thread/resume", threadId=thread_id)
        await session.ask("turn/start", threadId=thread_id, input=[text("x")])

    await assert_same(tmp_path, session)


async def test_threads_outlive_the_process(tmp_path: Path) -> None:
    """Another process has the turns and the attachments, one process at a time."""
    # F81

    async def life(codex: Codex) -> Any:
        said: list[Any] = []
        async with open_session(codex) as first, AsyncExitStack() as stack:
            await first.ask("initialize", clientInfo=CLIENT)
            thread_id = await started(first, codex)
            picture = {"type": "localImage", "path": str(codex.work / "a.png")}
            await first.turn(thread_id, text("Look."), picture)
            second = await stack.enter_async_context(open_session(codex))
            await second.ask("initialize", clientInfo=CLIENT)
            await second.ask("thread/attachment/add", threadId=thread_id, **IDENTITY, payload=1)
            await second.wait("thread/attachment/updated")
            await second.ask("thread/resume", threadId=thread_id, excludeTurns=True)
        said += [first.answers, *second.said()]
        async with open_session(codex) as third:
            await third.ask("initialize", clientInfo=CLIENT)
            await third.ask("turn/start", threadId=thread_id, input=[text("x")])
            await third.ask("thread/attachment/list", threadId=thread_id)
            for _ in range(2):
                await third.ask("thread/resume", threadId=thread_id)
                await third.wait("thread/goal/cleared")
            await third.turn(thread_id, text("Again."))
        said += third.said()
        executed = await codex.run(*JSON, "resume", thread_id, "And now?")
        said += [[json.loads(line) for line in executed.stdout.splitlines() if b"warn" not in line]]
        return normalised(said, codex)

    async with ModelServer() as server:
        expected = await life(the_real(tmp_path, server))
    got = await life(the_fake(tmp_path)[0])

    assert without_warnings(expected[-1]) == got[-1]
    assert got[:-1] == expected[:-1]


def without_warnings(events: list[Any]) -> list[Any]:
    """Leave out what codex says of the test's model, and count the items anew."""
    kept = [event for event in events if event.get("item", {}).get("type") != "error"]
    counted: list[Any] = json.loads(json.dumps(kept).replace('"item_1"', '"item_0"'))
    return counted


async def test_interruptions(tmp_path: Path) -> None:
    """A turn that the model keeps waiting is interrupted, by its own id only."""
    stalled = CodexFault("item/started:agentMessage", StallTurn(), nth=2)

    async def life(codex: Codex, server: ModelServer | None) -> Any:
        async with open_session(codex) as session:
            await session.ask("initialize", clientInfo=CLIENT)
            thread_id = await started(session, codex)
            await session.turn(thread_id, text("Hi."))
            await session.ask("turn/interrupt", threadId=thread_id, turnId=NOBODY)
            if server is not None:
                server.stalled = True
            answer = await session.ask("turn/start", threadId=thread_id, input=[text("Wait.")])
            turn_id = answer["result"]["turn"]["id"]
            await session.wait("item/completed")
            while server is not None and len(server.turns) < 2:
                await server.wait_activity()
            await session.ask("turn/interrupt", threadId=thread_id, turnId=NOBODY)
            await session.ask("thread/attachment/add", threadId=thread_id, **IDENTITY, payload=1)
            await session.ask("turn/interrupt", threadId=thread_id, turnId=turn_id)
            await session.wait("turn/completed")
            if server is not None:
                server.stalled = False
            # It is not answered before the next turn ends.
            await session.post("turn/interrupt", threadId=thread_id, turnId=turn_id)
            await session.turn(thread_id, text("Go on."))
            await session.ask("thread/resume", threadId=thread_id)
            await session.wait("thread/goal/cleared")
        return normalised(session.said(), codex)

    async with ModelServer() as server:
        expected = await life(the_real(tmp_path, server), server)
    got = await life(the_fake(tmp_path, stalled)[0], None)

    assert got == expected


async def test_failed_turns(tmp_path: Path) -> None:
    """An error of the model fails the turn in the same way, and the next one goes well."""

    async def session(codex: Codex, session: Session) -> None:
        thread_id = await started(session, codex)
        await session.turn(thread_id, text("Hi."))
        await session.turn(thread_id, text("Again."))

    async with ModelServer(status=400, reply="No.") as server:
        real = the_real(tmp_path, server)

        async def mended(codex: Codex, session: Session) -> None:
            thread_id = await started(session, codex)
            await session.turn(thread_id, text("Hi."))
            server.status, server.reply = HTTPStatus.OK, "ok"
            await session.turn(thread_id, text("Again."))

        expected = await transcript(real, mended)
    failed = [message for message in expected[1] if message["method"] == "error"]
    message = failed[0]["params"]["error"]["message"]
    fault = CodexFault("item/started:agentMessage", FailWith(message))
    got = await transcript(the_fake(tmp_path, fault)[0], session)

    assert got == expected
    assert "No." in message


EXEC_LINES = [
    ("-i", "a.png", "--", "Look."),
    ("-i", "b.csv", "--", "Look."),
    ("-i", "missing.png", "--", "Look."),
    ("-i", "a.png", "-i", "b.png", "--", "Look."),
    ("-i", "a.png,directory,b.png", "--", "Look."),
]


async def test_exec_with_images(tmp_path: Path) -> None:
    """Every line that is printed, and every part that the model gets."""
    # F71, F83
    printed: list[Any] = []

    async def run(codex: Codex) -> None:
        lines: list[Any] = []
        for line in EXEC_LINES:
            done = await codex.run(*JSON, "--ephemeral", *line)
            events = [json.loads(event) for event in done.stdout.splitlines()]
            lines.append([done.returncode, without_warnings(events)])
        printed.append(normalised(lines, codex))

    async with ModelServer() as server:
        real = the_real(tmp_path, server)
        await run(real)
        seen = normalised(seen_by_model(server), real)
    codex, fake = the_fake(tmp_path)
    await run(codex)

    assert printed[1] == printed[0]
    assert normalised(seen_by_fake(fake), codex) == seen


RESUMED = [
    ("resume", "THREAD", "Again."),
    ("resume", "-i", "a.png", "THREAD", "Again."),
    ("-i=a.png", "resume", "THREAD", "-"),
    ("resume", "THREAD", "Again.", "-i", "a.png", "b.png"),
    ("resume", "--last", "--", "-x"),
    ("resume", NOBODY, "Again."),
    ("-s", "read-only", "resume", "THREAD", "-s", "read-only", "Again."),
]


async def test_exec_resumes(tmp_path: Path) -> None:
    """The same threads are resumed, the same arguments refused, and the tokens add up."""
    results: list[Any] = []

    async def run(codex: Codex) -> None:
        done = await codex.run(*JSON, "--", "Hi.")
        thread_id = json.loads(done.stdout.splitlines()[0])["thread_id"]
        lines: list[Any] = []
        for line in RESUMED:
            words = [thread_id if word == "THREAD" else word for word in line]
            done = await codex.run(*JSON, *words, stdin=b"from stdin")
            events = [json.loads(event) for event in done.stdout.splitlines()]
            lines.append([done.returncode, without_warnings(events)])
        results.append(normalised([thread_id, lines], codex))

    async with ModelServer() as server:
        real = the_real(tmp_path, server)
        await run(real)
        seen = normalised(seen_by_model(server), real)
    codex, fake = the_fake(tmp_path)
    await run(codex)

    assert results[1] == results[0]
    assert normalised(seen_by_fake(fake), codex) == seen


@pytest.mark.parametrize("arguments", [("app-server", "--bogus"), ("app-server", "x")])
async def test_app_server_arguments_that_are_refused(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Status 2, before anything is served."""
    async with ModelServer() as server:
        for codex in (the_real(tmp_path, server), the_fake(tmp_path)[0]):
            async with open_session(
                Codex(codex.path, codex.work, codex.home, arguments)
            ) as session:
                await session.finish()

            assert session.answers == []
