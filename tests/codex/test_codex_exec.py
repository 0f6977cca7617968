"""Turns with the real codex against the model server: what arrives, what is refused, what ends."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from codex_support import (
    Leases,
    image,
    model_options,
    needs_codex,
    needs_proc,
    png,
    staged,
    wait_gone,
)

from codex_actors.codex import (
    CodexError,
    DeliveryError,
    InvalidPrompt,
    ItemCompleted,
    ItemStarted,
    ThreadStarted,
    TurnCompleted,
    TurnStarted,
    TurnTimeout,
    exec_turn,
    open_exec_turn,
)
from codex_actors.testing import ModelRequest, ModelServer, assistant_message, shell_command

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = needs_codex


def manifest_paths(texts: Sequence[str]) -> list[Path]:
    """Return the paths that the manifest in the prompt names."""
    lines = [line for text in texts for line in text.splitlines() if line.startswith('{"name"')]
    return [Path(json.loads(line)["path"]) for line in lines]


async def test_image_arrives_byte_for_byte(tmp_path: Path) -> None:
    """What the model gets is the file; the prompt and the answer are unchanged."""
    picture = png()
    attachment = staged(tmp_path, "a.png", picture, "image/png")

    async with ModelServer(reply="It is red.") as server:
        options = model_options(server, tmp_path, attachments=(attachment,))
        result = await exec_turn("What colour is it?", options, files=Leases(), timeout=60)

        assert server.images() == (picture,)
        assert server.texts()[-1] == "What colour is it?"
    assert result.final_message == "It is red."
    assert result.usage.input_tokens == 11
    assert [type(event) for event in result.events if not is_warning(event)] == [
        ThreadStarted,
        TurnStarted,
        ItemCompleted,
        TurnCompleted,
    ]
    assert ThreadStarted(result.thread_id) in result.events


def is_warning(event: object) -> bool:
    """Codex warns that it does not know the test's model."""
    return isinstance(event, ItemCompleted) and event.item.type == "error"


@pytest.mark.parametrize(
    "name", ["a,b.png", "--image.png", 'it\'s "1".png', " spaced .png", "ünï💥.png", "noextension"]
)
async def test_awkward_names_and_directories_arrive(tmp_path: Path, name: str) -> None:
    """Neither the name nor the staging directory can break the delivery."""
    # E23
    directory = tmp_path / '-a, "b" \'c'
    picture = png()
    attachment = staged(directory, name, picture, "image/png")

    async with ModelServer() as server:
        options = model_options(server, tmp_path, attachments=(attachment,))
        await exec_turn("-x, what is it?", options, files=Leases(), timeout=60)

        assert server.images() == (picture,)
        assert server.texts()[-1] == "-x, what is it?"


async def test_several_images_keep_their_order(tmp_path: Path) -> None:
    """PNG, JPEG and WebP arrive unchanged, in the order of attaching; bytes decide, not names."""
    pictures = [image("WEBP"), png(colour="blue"), image("JPEG")]
    attachments = tuple(staged(tmp_path, f"{n}.txt", d) for n, d in enumerate(pictures))

    async with ModelServer() as server:
        options = model_options(server, tmp_path, attachments=attachments)
        await exec_turn("Compare.", options, files=Leases(), timeout=60)

        assert server.images() == tuple(pictures)


async def test_a_thread_is_resumed(tmp_path: Path) -> None:
    """The model gets what was said before, and the new image under an awkward name."""
    first, second = png(), png(colour="blue")
    one = staged(tmp_path, "one.png", first, "image/png")
    two = staged(tmp_path, "-two, three.png", second, "image/png")

    async with ModelServer(reply="It is red.") as server:
        options = model_options(server, tmp_path, attachments=(one,), ephemeral=False)
        result = await exec_turn("What is it?", options, files=Leases(), timeout=60)
        options = model_options(server, tmp_path, attachments=(two,), ephemeral=False)
        again = await exec_turn(
            "- and this?", options, files=Leases(), timeout=60, resume=result.thread_id
        )

        assert again.thread_id == result.thread_id
        assert [turn.images() for turn in server.turns] == [(first,), (second,)]
        assert server.texts()[-1] == "- and this?"
        sent = json.dumps(server.turns[1].body)
        assert "What is it?" in sent
        assert base64.b64encode(first).decode() in sent


@pytest.mark.parametrize("resume", ["", " ", "--last", "a name", "a\0b"])
async def test_what_is_no_thread_is_not_resumed(tmp_path: Path, resume: str) -> None:
    """Codex would start a new thread, or read its own options."""
    async with ModelServer() as server:
        options = model_options(server, tmp_path)

        with pytest.raises(InvalidPrompt, match="resume"):
            await exec_turn("Hi", options, files=Leases(), resume=resume)

        assert server.requests == ()


async def test_a_thread_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """No new one is made in its place."""
    missing = "0199a213-81c0-7800-8aa1-bbab2a035a53"
    async with ModelServer() as server:
        options = model_options(server, tmp_path, ephemeral=False)

        with pytest.raises(CodexError, match="exited with status 1"):
            await exec_turn("Hi", options, files=Leases(), timeout=60, resume=missing)

        assert server.requests == ()


@pytest.mark.parametrize("sandbox", ["read-only", "workspace-write", "danger-full-access"])
async def test_agent_reads_another_file_by_the_path_it_is_told(
    tmp_path: Path, sandbox: str
) -> None:
    """A file that is no image is named in the prompt, and its bytes are there during the turn."""
    data = b"id,colour\n1,red\n"
    attachment = staged(tmp_path / "x, y", "a,b.csv", data, "text/csv")
    seen: list[bytes] = []

    def respond(request: ModelRequest) -> list[dict[str, Any]]:
        if request.tool_outputs():
            return [assistant_message(str(request.tool_outputs()[0]))]
        (path,) = manifest_paths(request.texts())
        seen.append(path.read_bytes())
        return [shell_command(f"cat {path}")]

    async with ModelServer(respond=respond) as server:
        options = model_options(server, tmp_path, attachments=(attachment,), sandbox=sandbox)
        result = await exec_turn("Read it.", options, files=Leases(), timeout=60)

        assert seen == [data]
        if "bwrap" in result.final_message:
            pytest.skip("no sandbox can be made on this machine")
        assert data.decode() in result.final_message
        (path,) = manifest_paths(server.texts())
    assert not path.parent.exists()


async def test_prompt_too_long_for_an_argument_arrives(tmp_path: Path) -> None:
    """A prompt that no argument can hold is handed over whole."""
    prompt = "-" + "ü" * 200_000

    async with ModelServer() as server:
        await exec_turn(prompt, model_options(server, tmp_path), files=Leases(), timeout=60)

        assert server.texts() == (prompt,)


@pytest.mark.parametrize("prompt", ["-", "resume", "--help", "line\nline"])
async def test_prompts_that_look_like_something_else_arrive(tmp_path: Path, prompt: str) -> None:
    """Whatever the prompt looks like, it is the prompt."""
    # F83
    async with ModelServer() as server:
        await exec_turn(prompt, model_options(server, tmp_path), files=Leases(), timeout=60)

        assert server.texts() == (prompt,)


async def test_truncated_image_is_refused_before_the_turn(tmp_path: Path) -> None:
    """A declared image that does not decode fails by name; the model is not asked."""
    # E18
    attachment = staged(tmp_path, "cut.png", png()[:-20], "image/png")

    async with ModelServer() as server:
        options = model_options(server, tmp_path, attachments=(attachment,))
        with pytest.raises(DeliveryError, match=r"'cut\.png'.*incomplete PNG") as caught:
            await exec_turn("What is it?", options, files=Leases(), timeout=60)

        assert server.requests == ()
    assert caught.value.attachment is attachment


async def test_unreachable_model_ends_by_the_timeout(tmp_path: Path) -> None:
    """Codex would try for ever; the timeout ends it and says so."""
    async with ModelServer() as server:
        options = model_options(server, tmp_path)
    with pytest.raises(TurnTimeout, match="longer than 1 s") as caught:
        await exec_turn("Hello?", options, files=Leases(), timeout=1)

    assert isinstance(caught.value, trio.TooSlowError)
    assert isinstance(caught.value, CodexError)


async def test_error_of_the_model_is_the_turns_error(tmp_path: Path) -> None:
    """A turn that fails raises with codex's exit status and the model's words."""
    async with ModelServer(status=400, reply="No such luck.") as server:
        with pytest.raises(CodexError, match="No such luck") as caught:
            await exec_turn("Hi", model_options(server, tmp_path), files=Leases(), timeout=60)

    assert caught.value.exit_code == 1


async def test_codex_refusing_its_arguments_is_an_error(tmp_path: Path) -> None:
    """An error before the turn shows what codex wrote to standard error."""
    async with ModelServer() as server:
        options = model_options(server, tmp_path, config={"model_provider": [1]})
        with pytest.raises(CodexError, match="expected a string") as caught:
            await exec_turn("Hi", options, files=Leases(), timeout=60)

    assert caught.value.exit_code == 1


async def test_secrets_stay_out_of_errors(tmp_path: Path) -> None:
    """What the provider echoes of the key is replaced by the variable's name."""
    async with ModelServer(status=400, reply="wrong key: test-key!") as server:
        options = model_options(server, tmp_path)
        with pytest.raises(CodexError) as caught:
            await exec_turn("Hi", options, files=Leases(), timeout=60)

    assert "<CODEX_ACTORS_TEST_MODEL_KEY>" in str(caught.value)
    assert "test-key" not in str(caught.value)


@needs_proc
async def test_cancelling_ends_the_agents_commands_too(tmp_path: Path) -> None:
    """Codex and a command outside its group are gone, and the lease with them."""
    attachment = staged(tmp_path, "a.png", png(), "image/png")
    files = Leases()
    script = tmp_path / "linger.py"
    script.write_text(
        "import os, socket, sys\n"
        "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "s.sendall(f'{os.getpid()} {os.getsid(0)}'.encode())\n"
        "s.shutdown(socket.SHUT_WR)\n"
        "s.recv(1)\n"
    )
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    command = f"{sys.executable} {script} {port}"

    async with (
        listener,
        ModelServer(respond=lambda _request: [shell_command(command, wait=60)]) as server,
        trio.open_nursery() as nursery,
    ):
        options = model_options(
            server, tmp_path, attachments=(attachment,), sandbox="danger-full-access"
        )
        turn = trio.CancelScope()

        async def run() -> None:
            with turn:
                await exec_turn("Linger.", options, files=files, timeout=60)

        nursery.start_soon(run)
        stream = await listener.accept()
        said = b""
        while chunk := await stream.receive_some():
            said += chunk
        pid, session = map(int, said.split())
        assert session != os.getsid(0)
        assert files.held == ["a.png"]
        turn.cancel()
        await wait_gone(pid)
        await wait_gone(session)
        await stream.aclose()
    assert files.held == []


async def test_events_come_while_the_turn_runs(tmp_path: Path) -> None:
    """The stream shows a command being started before the model has been asked again."""
    calls: list[ModelRequest] = []

    def respond(request: ModelRequest) -> list[dict[str, Any]]:
        calls.append(request)
        return [assistant_message("done")] if request.tool_outputs() else [shell_command("echo hi")]

    async with (
        ModelServer(respond=respond) as server,
        open_exec_turn(
            "Run it.",
            model_options(server, tmp_path, sandbox="danger-full-access"),
            files=Leases(),
            timeout=60,
        ) as events,
    ):
        started = [e.item.type async for e in events if isinstance(e, ItemStarted)]

    assert started == ["command_execution"]
    assert len(calls) == 2
