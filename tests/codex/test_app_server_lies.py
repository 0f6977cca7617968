"""What the client makes of an app-server that lies, babbles, breaks off or does not answer."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from app_server_support import lying_codex
from codex_support import Leases, needs_proc, png, staged, wait_gone

from codex_actors.codex import (
    AppServer,
    AttachmentNotRecorded,
    CodexDied,
    CodexError,
    CodexNotFound,
    RequestRefused,
    ThreadOptions,
    TurnInterrupted,
    TurnTimeout,
    open_app_server,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from app_server_support import Recorded

    from codex_actors.codex import Leaser
    from codex_actors.files import Attachment


@asynccontextmanager
async def lied_to(codex: Recorded, files: Leaser | None = None) -> AsyncGenerator[AppServer]:
    """Open an app-server that is none."""
    with trio.fail_after(30):
        async with open_app_server(
            files=files or Leases(), codex_path=codex.path, env={"SECRET": "hunter22"}
        ) as opened:
            yield opened


async def test_what_codex_asks_is_answered_and_nothing_granted(tmp_path: Path) -> None:
    """Approvals are declined, tools fail, the unknown is an error; the turn goes on."""
    asked = [
        "item/commandExecution/requestApproval",
        "item/fileChange/requestApproval",
        "item/permissions/requestApproval",
        "item/tool/requestUserInput",
        "mcpServer/elicitation/request",
        "item/tool/call",
        "account/chatgptAuthTokens/refresh",
        "something/new",
    ]
    codex = lying_codex(
        tmp_path,
        f"""
def on(message):
    if message.get("method") == "turn/start":
        state["turn"] = turn(message)
        for number, method in enumerate({asked!r}):
            say({{"id": f"ask-{{number}}", "method": method, "params": {{}}}})
    if message.get("id") == "ask-7":
        complete(*state["turn"])
    return "turn" in state
""",
    )

    async with lied_to(codex) as opened:
        result = await (await opened.start_thread()).run_turn("Hi")

    assert result.final_message == "fine"
    answers = {m["id"]: m for m in codex.sent() if "method" not in m}
    results = [answers[f"ask-{n}"].get("result") for n in range(len(asked))]
    assert results[:5] == [
        {"decision": "decline"},
        {"decision": "decline"},
        {"permissions": {}},
        {"answers": {}},
        {"action": "decline"},
    ]
    assert results[5] is not None
    assert results[5]["success"] is False
    assert results[6:] == [None, None]
    assert [answers[f"ask-{n}"]["error"]["code"] for n in (6, 7)] == [-32601, -32601]


async def test_babble_is_passed_over(tmp_path: Path) -> None:
    """Text of a library, blank lines, news and answers that nobody knows."""
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") == "turn/start":
        say(b"WARNING: something", b"", b"[1, 2]", b'"text"', b"\\xff\\xfe")
        say({"id": 4711, "result": {}}, {"id": 4712, "error": {"code": 1, "message": "?"}})
        say({"method": "news/unknown"}, {"method": "news/odd", "params": [1]})
        complete(*turn(message, [
            {"method": "turn/new", "params": {"threadId": "thread-1", "turnId": "turn-1"}},
            {"method": "item/started", "params": {"threadId": "thread-1", "turnId": "turn-1"}},
            item("thread-1", "turn-0", "completed", {"type": "agentMessage", "id": "old"}),
            item("thread-2", "turn-1", "completed", {"type": "agentMessage", "id": "other"}),
        ]))
        return True
""",
    )

    async with lied_to(codex) as opened:
        result = await (await opened.start_thread()).run_turn("Hi")

    assert result.final_message == "fine"
    assert [type(event).__name__ for event in result.events] == [
        "ThreadStarted",
        "TurnStarted",
        "ItemStarted",
        "UnknownEvent",
        "UnknownEvent",
        "ItemCompleted",
        "TurnCompleted",
    ]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ('b\'{"id": 3, "result": hunter22\'', "damaged message.*no JSON.*<SECRET>"),
        ("{'id': 3}", "damaged message.*neither a request"),
        ("b'{' + b'x' * (17 * 2**20)", "line of more than 16,777,216 bytes"),
        ("*[{'id': n, 'method': 'ask', 'params': {}} for n in range(9999)]", "256 things"),
    ],
)
async def test_damage_ends_the_process_and_the_thread_goes_on_in_the_next(
    tmp_path: Path, damage: str, message: str
) -> None:
    """An answer may be lost in it: all that wait have an error at once; the thread is resumed."""
    files = Leases()
    codex = lying_codex(
        tmp_path,
        f"""
def on(message):
    if message.get("method") == "turn/start" and state["life"] == 1:
        turn(message)
        say({damage})
        return True
""",
    )

    async with lied_to(codex, files) as opened:
        thread = await opened.start_thread(ThreadOptions((staged(tmp_path, "a.png", png()),)))
        with pytest.raises(CodexDied, match=f"(?s){message}") as caught:
            await thread.run_turn("Hi")
        assert files.held == []
        assert (await thread.run_turn("Again")).final_message == "fine"

    assert "hunter22" not in str(caught.value)
    assert len(codex.pids()) == 2
    assert "thread/resume" in codex.methods()


async def test_requests_fail_at_once_when_the_process_dies(tmp_path: Path) -> None:
    """Every one of them, with the exit status and what was written to standard error."""
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") == "thread/fork" and state["life"] == 1:
        state["forks"] = state.get("forks", 0) + 1
        if state["forks"] == 3:
            sys.stderr.write("out of hunter22")
            sys.exit(3)
        return True
""",
    )
    errors: list[CodexDied] = []

    async with lied_to(codex) as opened, trio.open_nursery() as nursery:

        async def fork() -> None:
            with pytest.raises(CodexDied) as caught:
                await opened.fork_thread("thread-1")
            errors.append(caught.value)

        for _ in range(3):
            nursery.start_soon(fork)

    assert [error.exit_code for error in errors] == [3, 3, 3]
    assert all("before it answered thread/fork" in str(error) for error in errors)
    assert all("out of <SECRET>" in error.stderr for error in errors)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("#!/bin/sh\nexit 3\n", "exit status 3.*initialize"),
        ("#!/bin/sh\necho usage: it hunter22\n", "it printed 'usage: it <SECRET>'.*is it codex"),
        ("#!/bin/sh\necho '{'\nexec cat\n", "damaged message"),
        ("#!/bin/sh\nexec cat\n", "refused initialize"),
        ("#!/no/such/interpreter\n", "could not be started"),
    ],
)
async def test_what_is_no_codex_is_told_when_opening(
    tmp_path: Path, program: str, message: str
) -> None:
    """The error of the first try, bare, with what it printed."""
    path = tmp_path / "codex"
    path.write_text(program)
    path.chmod(0o700)

    with pytest.raises(CodexError, match=f"(?s){message}") as caught:
        async with open_app_server(files=Leases(), codex_path=path, env={"SECRET": "hunter22"}):
            pass

    assert "hunter22" not in str(caught.value)
    with pytest.raises(CodexNotFound):
        async with open_app_server(files=Leases(), codex_path=tmp_path / "nowhere"):
            pass


@needs_proc
async def test_a_process_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    """Whoever waits in the block is cancelled; the block ends with the last reason."""
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") != "initialize":
        sys.exit(7)
""",
    )

    with pytest.raises(CodexDied, match=r"died 4 times.*exit status 7") as caught:
        async with lied_to(codex):
            await trio.sleep_forever()

    assert caught.value.exit_code == 7
    for pid in codex.pids():
        await wait_gone(pid)


async def test_the_blocks_own_error_is_bare_when_the_process_is_given_up(tmp_path: Path) -> None:
    """A caller's `except CodexError` sees it, whatever becomes of the tree."""
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") == "thread/start" or state["life"] > 1:
        sys.exit(7)
""",
    )

    async def fail_after_the_tree() -> None:
        async with lied_to(codex) as opened:
            with trio.CancelScope(shield=True):
                try:
                    await opened.start_thread()
                finally:
                    await opened.supervisor.wait_stopped()

    with pytest.raises(CodexDied, match="before it answered thread/start"):
        await fail_after_the_tree()
    assert len(codex.pids()) == 4


async def test_an_error_that_the_process_did_not_cause_comes_beside_its_end(tmp_path: Path) -> None:
    """Neither of the two hides the other."""
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") != "initialize":
        sys.exit(7)
""",
    )

    async def fail_after_the_tree() -> None:
        async with lied_to(codex) as opened:
            with trio.CancelScope(shield=True):
                await opened.supervisor.wait_stopped()
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        await fail_after_the_tree()

    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError, CodexDied]


async def test_the_blocks_own_error_is_bare(tmp_path: Path) -> None:
    """Not in a group of one."""
    codex = lying_codex(tmp_path)

    async def fail() -> None:
        async with lied_to(codex):
            raise KeyError

    with pytest.raises(KeyError):
        await fail()


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_lost_record_is_settled_by_the_list(tmp_path: Path, recorded: bool) -> None:
    """The next process is asked what became of it; only what is not there is sent again."""
    codex = lying_codex(
        tmp_path,
        f"""
STORE = PIDS + ".store"


def on(message):
    method, params = message.get("method"), message.get("params")
    if method == "thread/attachment/add" and state["life"] == 1:
        if {recorded}:
            open(STORE, "w").write(json.dumps({{**params, "id": "r"}}))
        sys.exit(1)
    if method == "thread/attachment/list":
        found = [json.load(open(STORE))] if os.path.exists(STORE) else []
        result(message, {{"data": found, "nextCursor": None}})
        return True
""",
    )
    attachment = staged(tmp_path, "a.csv", b"1", "text/csv")

    async with lied_to(codex) as opened:
        thread = await opened.start_thread()
        await thread.run_turn("Hi")
        await thread.add_attachment(attachment)

    methods = [m for m in codex.methods() if m.startswith("thread/attachment/")]
    again = [] if recorded else ["thread/attachment/add"]
    assert methods == ["thread/attachment/add", "thread/attachment/list", *again]


async def test_a_record_that_comes_too_soon_is_made_when_the_turn_has_ended(
    tmp_path: Path,
) -> None:
    """Codex puts the thread itself on record while its first turn runs."""
    # F76
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") == "turn/start":
        state["turn"] = turn(message)
        return True
    if message.get("method") == "thread/attachment/add" and state["turn"]:
        say({"id": message["id"], "error": {"code": -32602, "message": "thread not found"}})
        complete(*state["turn"])
        state["turn"] = None
        return True
""",
    )
    attachment = staged(tmp_path, "a.csv", b"1", "text/csv")

    async with lied_to(codex) as opened:
        thread = await opened.start_thread()
        result = await thread.run_turn("Hi", (attachment,))

    assert codex.methods()[-2:] == ["thread/attachment/add"] * 2
    assert not [e for e in result.events if isinstance(e, AttachmentNotRecorded)]


@pytest.mark.parametrize("removed", [True, False])
async def test_a_lost_removal_is_settled_by_the_list(tmp_path: Path, removed: bool) -> None:
    """As for a record that is added."""
    attachment = staged(tmp_path, "a.csv", b"1", "text/csv")
    entry = {
        "id": "r",
        "attachmentType": "codex_actors.file",
        "identityKey": f"sha256:{attachment.checksum}",
        "payload": None,
    }
    codex = lying_codex(
        tmp_path,
        f"""
def on(message):
    method = message.get("method")
    if method == "thread/attachment/remove" and state["life"] == 1:
        sys.exit(1)
    if method == "thread/attachment/list":
        result(message, {{"data": {[] if removed else [entry]!r}, "nextCursor": None}})
        return True
""",
    )

    async with lied_to(codex) as opened:
        thread = await opened.resume_thread("thread-1")
        await thread.remove_attachment(attachment)

    methods = [m for m in codex.methods() if m.startswith("thread/attachment/")]
    again = [] if removed else ["thread/attachment/remove"]
    assert methods == ["thread/attachment/remove", "thread/attachment/list", *again]


async def test_pages_without_end_are_an_error(tmp_path: Path) -> None:
    """A cursor that comes twice would be followed for ever."""
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") == "thread/attachment/list":
        cursor = message["params"].get("cursor", "0")
        result(message, {"data": [], "nextCursor": str((int(cursor) + 1) % 3)})
        return True
""",
    )

    async with lied_to(codex) as opened:
        thread = await opened.resume_thread("thread-1")
        with pytest.raises(CodexError, match="no end"):
            await thread.list_attachments()


class Watched(Leases):
    """Tells when something has been given back."""

    def __init__(self) -> None:
        super().__init__()
        self.released: defaultdict[str, trio.Event] = defaultdict(trio.Event)

    @asynccontextmanager
    async def lease(self, attachment: Attachment) -> AsyncGenerator[None]:
        """Hold it while the block runs."""
        async with super().lease(attachment):
            yield
        self.released[attachment.name].set()


async def test_an_images_lease_ends_when_it_has_been_read(tmp_path: Path) -> None:
    """While the turn goes on, the file that the agent reads is still held."""
    files = Watched()
    attachments = (staged(tmp_path, "a.png", png()), staged(tmp_path, "b.csv", b"1", "text/csv"))
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") == "turn/start":
        state["turn"] = turn(message)
        return True
    if message.get("method") == "turn/interrupt":
        complete(*state["turn"], "interrupted")
        return True
""",
    )

    async with lied_to(codex, files) as opened, trio.open_nursery() as nursery:
        thread = await opened.start_thread()

        async def run() -> None:
            with pytest.raises(TurnInterrupted):
                await thread.run_turn("Hi", attachments)

        nursery.start_soon(run)
        await files.released["a.png"].wait()
        assert files.held == ["b.csv"]
        await thread.interrupt()
    assert files.held == []


@needs_proc
async def test_a_turn_that_cannot_be_ended_ends_the_process(tmp_path: Path) -> None:
    """A codex that does not answer an interrupt may still read: its end gives the leases back."""
    files = Leases()
    attachment = staged(tmp_path, "b.csv", b"1", "text/csv")
    codex = lying_codex(
        tmp_path,
        """
import signal

signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.2), os._exit(0)))


def on(message):
    if message.get("method") in ("turn/start", "turn/interrupt") and state["life"] == 1:
        if message["method"] == "turn/start":
            turn(message)
        return True
""",
    )

    async with lied_to(codex, files) as opened:
        thread = await opened.start_thread()
        with pytest.raises(TurnTimeout):
            await thread.run_turn("Hi", (attachment,), timeout=0.3)
        with pytest.raises(ProcessLookupError):
            os.kill(codex.pids()[0], 0)
        assert files.held == []

        assert (await thread.run_turn("Again")).final_message == "fine"


async def test_a_turn_that_is_refused_gives_everything_back(tmp_path: Path) -> None:
    """Nothing runs, so nothing is interrupted; what waits goes with the next turn."""
    files = Leases()
    picture = staged(tmp_path, "a.png", png())
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") == "turn/start" and not state["turns"]:
        state["turns"] = 1
        say({"id": message["id"], "error": {"code": -32600, "message": "no hunter22"}})
        return True
    if message.get("method") == "thread/resume":
        result(message, {"thread": None})
        return True
""",
    )

    async with lied_to(codex, files) as opened:
        thread = await opened.start_thread(ThreadOptions((picture,)))
        with pytest.raises(RequestRefused, match="turn/start: no <SECRET>"):
            await thread.run_turn("Hi")
        assert files.held == []
        await thread.run_turn("Again")
        with pytest.raises(CodexError, match="without a thread"):
            await opened.resume_thread("thread-1")

    assert files.granted == ["a.png", "a.png"]
    assert "turn/interrupt" not in codex.methods()
    turns = [m for m in codex.sent() if m.get("method") == "turn/start"]
    assert [item["type"] for item in turns[1]["params"]["input"]] == ["text", "localImage"]


async def test_an_interrupt_of_a_turn_that_is_refused_ends_with_it(tmp_path: Path) -> None:
    """It waits for codex to begin the turn, which it never will."""
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") in ("turn/start", "thread/fork"):
        state.setdefault(message["method"], []).append(message)
        starts, forks = state.get("turn/start", []), state.get("thread/fork", [])
        if len(forks) == 2:
            say({"id": starts[0]["id"], "error": {"code": -32600, "message": "no"}})
        if starts and forks:
            truly(forks[-1])
        return True
""",
    )

    async with lied_to(codex) as opened, trio.open_nursery() as nursery:
        thread = await opened.start_thread()

        async def run() -> None:
            with pytest.raises(RequestRefused):
                await thread.run_turn("Hi")

        nursery.start_soon(run)
        await opened.fork_thread("thread-2")
        with trio.fail_after(10):
            async with trio.open_nursery() as interrupting:
                interrupting.start_soon(thread.interrupt)
                await trio.testing.wait_all_tasks_blocked()
                await opened.fork_thread("thread-2")
    assert "turn/interrupt" not in codex.methods()


async def test_one_thread_by_two_handles_has_one_turn(tmp_path: Path) -> None:
    """A second turn would steer the first: it is refused."""
    codex = lying_codex(
        tmp_path,
        """
def on(message):
    if message.get("method") == "turn/start":
        state["turn"] = turn(message)
        return True
    if message.get("method") == "turn/interrupt":
        complete(*state["turn"], "interrupted")
        return True
""",
    )

    files = Watched()
    picture = staged(tmp_path, "a.png", png())

    async with lied_to(codex, files) as opened, trio.open_nursery() as nursery:
        first = await opened.resume_thread("thread-1")
        second = await opened.resume_thread("thread-1")

        async def run() -> None:
            with pytest.raises(TurnInterrupted):
                await first.run_turn("Hi", (picture,))

        nursery.start_soon(run)
        await files.released["a.png"].wait()
        with pytest.raises(CodexError, match="runs a turn already"):
            await second.run_turn("Me too")
        await first.interrupt()


@needs_proc
async def test_cancelling_the_block_ends_what_the_process_had_started(tmp_path: Path) -> None:
    """Also what is in a session of its own, ignores SIGTERM, and whose parent leaves in peace."""
    codex = lying_codex(
        tmp_path,
        """
import signal, subprocess

CHILD = '''
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), file=open(sys.argv[1], "a"), flush=True)
print("ready", flush=True)
os.close(1)
time.sleep(300)
'''
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
child = subprocess.Popen(
    [sys.executable, "-c", CHILD, PIDS],
    start_new_session=True,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
)
child.stdout.read()
""",
    )

    with trio.CancelScope() as scope:
        async with lied_to(codex):
            scope.cancel()
            await trio.sleep_forever()

    assert len(codex.pids()) == 2
    for pid in codex.pids():
        await wait_gone(pid)


@needs_proc
async def test_cancelling_the_opening_ends_the_process(tmp_path: Path) -> None:
    """One that never shakes hands is not waited for any longer than its caller wants."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    codex = lying_codex(
        tmp_path,
        f"""
import socket


def on(message):
    socket.create_connection(("127.0.0.1", {listener.socket.getsockname()[1]})).close()
    return True
""",
    )

    async with listener, trio.open_nursery() as nursery:

        async def leave_when_greeted() -> None:
            await trio.aclose_forcefully(await listener.accept())
            nursery.cancel_scope.cancel()

        nursery.start_soon(leave_when_greeted)
        async with lied_to(codex):
            pytest.fail("it cannot have been opened")

    (pid,) = codex.pids()
    await wait_gone(pid)
