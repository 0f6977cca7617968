"""Turns with the fake codex: arguments, leases, and every way in which a process can disappoint."""

from __future__ import annotations

import math
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
from codex_support import Leases, described, needs_proc, png, staged, wait_gone

from codex_actors.codex import (
    CodexError,
    CodexNotFound,
    DeliveryError,
    InvalidPrompt,
    InvalidTimeout,
    ThreadOptions,
    ThreadStarted,
    TurnStarted,
    TurnTimeout,
    exec_turn,
    open_exec_turn,
)
from codex_actors.files import Attachment, AttachmentNotFound
from codex_actors.testing import (
    CodexFault,
    FailWith,
    FakeCall,
    HangForever,
    KillItself,
    PrintNonsense,
    WaitFor,
    fake_codex,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


HANG = CodexFault("item.completed", HangForever())


async def test_delivery_as_codex_sees_it(tmp_path: Path) -> None:
    """Images by `-i` through safe links, `--` before the prompt, nothing on standard input."""
    # F83, E23
    codex = fake_codex(tmp_path / "bin", reply="seen")
    picture = png()
    first = staged(tmp_path / "a, b", "-i,'x'.png", picture, "image/png")
    second = staged(tmp_path / "a, b", "data, 1.csv", b"1,2\n", "text/csv")
    options = ThreadOptions((first, second), cwd=tmp_path, codex_path=codex.path)

    result = await exec_turn("Look.", options, files=Leases(), timeout=30)

    (call,) = codex.calls()
    assert result.final_message == "seen"
    assert [seen.data for seen in call.images] == [picture]
    assert call.argv[-2] == "--"
    assert call.prompt == call.argv[-1]
    assert call.prompt.startswith("Look.\n\n<attachments>")
    assert '"name": "data, 1.csv"' in call.prompt
    assert call.stdin == "null"
    assert call.cwd == tmp_path
    assert "," not in call.images[0].path
    assert not gone_directory(call).exists()


def gone_directory(call: FakeCall) -> Path:
    """Return the directory that held the links of a call."""
    return Path(call.argv[call.argv.index("-i") + 1]).parent


async def test_options_become_arguments(tmp_path: Path) -> None:
    """Every option has its flag, and the environment is merged over the inherited one."""
    codex = fake_codex(tmp_path / "bin", env_names=("ONE", "PATH"))
    options = ThreadOptions(
        model="m",
        sandbox="workspace-write",
        config={"a.b": {"c d": [1, True]}},
        add_dirs=["extra"],
        ephemeral=True,
        cwd=tmp_path,
        env={"ONE": "1"},
        codex_path=codex.path,
    )

    await exec_turn("Hi", options, files=Leases(), timeout=30)

    (call,) = codex.calls()
    assert call.argv == (
        *("exec", "--json", "--skip-git-repo-check", "--ephemeral"),
        *("-s", "workspace-write", "-m", "m", "-c", 'a.b={"c d"=[1,true]}'),
        *("--add-dir", str(tmp_path / "extra"), "--", "Hi"),
    )
    assert call.env == {"ONE": "1", "PATH": os.environ["PATH"]}


async def test_lease_lasts_until_codex_has_exited(tmp_path: Path) -> None:
    """Every attachment is leased when codex starts, and released after it has gone."""
    # F37
    codex = fake_codex(tmp_path / "bin")
    files = Leases()
    attachments = (staged(tmp_path, "a.png", png()), staged(tmp_path, "b.txt", b"b"))
    options = ThreadOptions(attachments, codex_path=codex.path)

    async with open_exec_turn("Hi", options, files=files, timeout=30) as events:
        async for _event in events:
            assert files.held == ["a.png", "b.txt"]
        assert files.held == ["a.png", "b.txt"]

    assert files.held == []


async def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there fails the turn by name; codex is not started."""
    codex = fake_codex(tmp_path / "bin")
    files = Leases()
    attachment = staged(tmp_path, "a.png", png(), "image/png")
    attachment.path.unlink()

    with pytest.raises(DeliveryError, match=r"'a\.png'.*does not exist"):
        await exec_turn(
            "Hi", ThreadOptions((attachment,), codex_path=codex.path), files=files, timeout=30
        )

    assert codex.calls() == ()
    assert files.held == []


async def test_file_of_another_size_is_refused(tmp_path: Path) -> None:
    """A file that was changed since it was staged is not delivered."""
    attachment = staged(tmp_path, "a.csv", b"1,2,3", "text/csv")
    attachment.path.write_bytes(b"1")

    with pytest.raises(DeliveryError, match=r"1 bytes instead of the 5"):
        await exec_turn("Hi", ThreadOptions((attachment,)), files=Leases(), timeout=30)


async def test_fifo_is_refused_at_once(tmp_path: Path) -> None:
    """Codex hangs on a FIFO, so it never gets one."""
    attachment = staged(tmp_path, "a.png", b"")
    attachment.path.unlink()
    os.mkfifo(attachment.path)

    with pytest.raises(DeliveryError, match="not a regular file"):
        await exec_turn("Hi", ThreadOptions((attachment,)), files=Leases(), timeout=30)


async def test_attachment_that_is_not_staged_any_more_is_refused(tmp_path: Path) -> None:
    """The store's answer to the lease becomes a delivery error."""
    attachment = staged(tmp_path, "a.png", png())

    class Gone:
        @asynccontextmanager
        async def lease(self, attachment: Attachment) -> AsyncGenerator[None]:
            await trio.lowlevel.checkpoint()
            raise AttachmentNotFound(attachment.name)
            yield

    with pytest.raises(DeliveryError, match="not staged any more") as caught:
        await exec_turn("Hi", ThreadOptions((attachment,)), files=Gone(), timeout=30)
    assert isinstance(caught.value.__cause__, AttachmentNotFound)


async def test_detail_that_exec_cannot_give_is_refused(tmp_path: Path) -> None:
    """`original` is for the app-server: exec would send "high" instead without a word."""
    # F74
    attachment = staged(tmp_path, "a.png", png())
    options = ThreadOptions((attachment,), image_detail="original")

    with pytest.raises(DeliveryError, match="detail high"):
        await exec_turn("Hi", options, files=Leases(), timeout=30)


@pytest.mark.parametrize("prompt", ["", " \n", "a\0b", "a\ud800"])
async def test_impossible_prompts_are_refused(prompt: str) -> None:
    """A prompt that says nothing, or that no process can be given, is a clear error."""
    with pytest.raises(InvalidPrompt, match="prompt"):
        await exec_turn(prompt, ThreadOptions(), files=Leases())


@pytest.mark.parametrize("timeout", [0, -1, -math.inf, math.nan])
async def test_timeout_must_be_positive(tmp_path: Path, timeout: float) -> None:
    """A timeout that could never be met is refused before anything is leased or looked at."""
    files = Leases()
    missing = described(tmp_path, "a.png", b"")
    options = ThreadOptions((missing,), codex_path=tmp_path / "nowhere")

    with pytest.raises(InvalidTimeout, match=rf"timeout is {timeout!r}:.*seconds.*None") as caught:
        await exec_turn("Hi", options, files=files, timeout=timeout)
    with pytest.raises(InvalidTimeout):
        async with open_exec_turn("Hi", options, files=files, timeout=timeout):
            pass

    assert isinstance(caught.value, CodexError)
    assert isinstance(caught.value, ValueError)
    assert files.granted == []


async def test_endless_timeout_is_none(tmp_path: Path) -> None:
    """Infinity is a number of seconds that never passes."""
    codex = fake_codex(tmp_path / "bin", reply="done")

    result = await exec_turn(
        "Hi", ThreadOptions(codex_path=codex.path), files=Leases(), timeout=math.inf
    )

    assert result.final_message == "done"


async def test_failure_shows_status_and_stderr(tmp_path: Path) -> None:
    """A failed turn carries codex's exit status and the end of its standard error, redacted."""
    codex = fake_codex(
        tmp_path / "bin",
        faults=[CodexFault("item.completed", FailWith())],
        stderr="x" * 100_000 + " key hunter22\n",
    )
    options = ThreadOptions(codex_path=codex.path, env={"MY_KEY": "hunter22"})

    with pytest.raises(CodexError, match="told to fail") as caught:
        await exec_turn("Hi", options, files=Leases(), timeout=30)

    assert caught.value.exit_code == 1
    assert caught.value.stderr.endswith(
        "xxx key <MY_KEY>\nReading additional input from stdin...\n"
    )
    assert len(caught.value.stderr) <= 4_000
    assert "hunter22" not in str(caught.value) + repr(caught.value) + repr(options)


async def test_crash_names_the_signal(tmp_path: Path) -> None:
    """A codex that was killed is told apart from one that failed."""
    codex = fake_codex(tmp_path / "bin", faults=[CodexFault("item.completed", KillItself())])

    with pytest.raises(CodexError, match="killed by signal 9") as caught:
        await exec_turn("Hi", ThreadOptions(codex_path=codex.path), files=Leases(), timeout=30)

    assert caught.value.exit_code == -9


async def test_nonsense_on_stdout_is_named(tmp_path: Path) -> None:
    """What is no event is shown, and ends the turn."""
    codex = fake_codex(tmp_path / "bin", faults=[CodexFault("item.completed", PrintNonsense())])

    with pytest.raises(CodexError, match="this is not an event"):
        await exec_turn("Hi", ThreadOptions(codex_path=codex.path), files=Leases(), timeout=30)


async def test_executable_that_is_not_codex(tmp_path: Path) -> None:
    """A program that says nothing and exits well has not completed a turn."""
    script = tmp_path / "true"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o700)

    with pytest.raises(CodexError, match="without having completed"):
        await exec_turn("Hi", ThreadOptions(codex_path=script), files=Leases(), timeout=30)


async def test_missing_executable_and_directory_are_named(tmp_path: Path) -> None:
    """What cannot be started is named."""
    codex = fake_codex(tmp_path / "bin")

    with pytest.raises(CodexNotFound, match="nowhere"):
        await exec_turn("Hi", ThreadOptions(codex_path=tmp_path / "nowhere"), files=Leases())
    with pytest.raises(CodexError, match="no-such-directory"):
        await exec_turn(
            "Hi",
            ThreadOptions(codex_path=codex.path, cwd=tmp_path / "no-such-directory"),
            files=Leases(),
        )


@needs_proc
@pytest.mark.parametrize("stubborn", [False, True])
async def test_timeout_ends_the_whole_group(tmp_path: Path, *, stubborn: bool) -> None:
    """Codex and what it started are gone after a timeout, also when it ignores SIGTERM."""
    codex = fake_codex(
        tmp_path / "bin",
        faults=[HANG],
        children=2,
        stubborn=stubborn,
    )

    with pytest.raises(TurnTimeout):
        await exec_turn("Hi", ThreadOptions(codex_path=codex.path), files=Leases(), timeout=3)

    (call,) = codex.calls()
    assert len(call.children) == 2
    with trio.fail_after(10):
        for pid in (call.pid, *call.children):
            await wait_gone(pid)


@needs_proc
async def test_cancelling_ends_the_whole_group(tmp_path: Path) -> None:
    """Cancellation passes on only when codex has gone; nothing of it is left."""
    codex = fake_codex(tmp_path / "bin", faults=[HANG], children=2)
    files = Leases()
    attachment = staged(tmp_path, "a.png", png())
    options = ThreadOptions((attachment,), codex_path=codex.path)

    with trio.CancelScope() as scope:
        async with open_exec_turn("Hi", options, files=files) as events:
            async for event in events:
                if isinstance(event, TurnStarted):
                    scope.cancel()

    assert scope.cancelled_caught
    assert files.held == []
    (call,) = codex.calls()
    assert not gone_directory(call).exists()
    with trio.fail_after(10):
        for pid in (call.pid, *call.children):
            await wait_gone(pid)


@needs_proc
async def test_stragglers_of_a_finished_turn_are_ended(tmp_path: Path) -> None:
    """A child that holds standard output open neither outlives codex nor keeps the turn waiting."""
    codex = fake_codex(tmp_path / "bin", children=1)

    result = await exec_turn("Hi", ThreadOptions(codex_path=codex.path), files=Leases(), timeout=30)

    assert result.final_message == "ok"
    (call,) = codex.calls()
    with trio.fail_after(10):
        await wait_gone(call.children[0])


@needs_proc
async def test_leaving_the_block_ends_the_turn(tmp_path: Path) -> None:
    """A caller who has seen enough leaves; its own error comes out bare."""
    codex = fake_codex(tmp_path / "bin", faults=[HANG])

    async def leave() -> None:
        options = ThreadOptions(codex_path=codex.path)
        async with open_exec_turn("Hi", options, files=Leases()) as events:
            assert isinstance(await anext(events), ThreadStarted)
            raise KeyError

    with pytest.raises(KeyError):
        await leave()

    (call,) = codex.calls()
    await wait_gone(call.pid)


async def test_events_are_over_once_they_have_ended(tmp_path: Path) -> None:
    """Asking again after the end, or after the error, gives no second error and does not hang."""
    codex = fake_codex(tmp_path / "bin", faults=[CodexFault("item.completed", FailWith())])

    async with open_exec_turn("Hi", ThreadOptions(codex_path=codex.path), files=Leases()) as events:
        with pytest.raises(CodexError):
            _ = [event async for event in events]

        assert [event async for event in events] == []


async def test_concurrent_turns_do_not_meet(tmp_path: Path) -> None:
    """Turns run side by side, each with its own links."""
    codex = fake_codex(
        tmp_path / "bin", faults=[CodexFault("item.completed", WaitFor(0.1), times=math.inf)]
    )
    attachment = staged(tmp_path, "a.png", png())
    options = ThreadOptions((attachment,), codex_path=codex.path)

    async with trio.open_nursery() as nursery:
        for number in range(5):

            async def run(prompt: str = f"turn {number}") -> None:
                await exec_turn(prompt, options, files=Leases(), timeout=60)

            nursery.start_soon(run)

    calls = codex.calls()
    assert sorted(call.prompt for call in calls) == [f"turn {n}" for n in range(5)]
    assert len({call.images[0].path for call in calls}) == 5
    assert {call.images[0].data for call in calls} == {png()}
