"""Turns of the real app-server against the model server: what arrives, what is refused."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from app_server_support import overheard_codex, real_app_server
from attrs import evolve
from codex_support import Leases, image, needs_codex, png, staged

from codex_actors.codex import (
    CodexError,
    DeliveryError,
    ItemCompleted,
    ItemStarted,
    RequestRefused,
    ThreadOptions,
    TurnCompleted,
    TurnStarted,
)
from codex_actors.files import FilesConfig, OpenAITarget, UploadedFile, open_files
from codex_actors.testing import (
    ModelRequest,
    ModelServer,
    OpenAIUploadServer,
    assistant_message,
    shell_command,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = needs_codex

UPLOADED = UploadedFile(
    file_id="file-abc",
    target="openai",
    name="far.png",
    size=10,
    content_type="image/png",
    checksum="0" * 64,
    uploaded_at=datetime.now(UTC),
    expires_at=None,
)


def manifest_paths(texts: Sequence[str]) -> list[Path]:
    """Return the paths that the manifest in the prompt names."""
    lines = [line for text in texts for line in text.splitlines() if line.startswith('{"name"')]
    return [Path(json.loads(line)["path"]) for line in lines]


async def test_images_and_files_arrive(tmp_path: Path) -> None:
    """An image byte for byte, a file's bytes under the path that the agent is told."""
    # F82
    picture, data = png(), b"id,colour\n1,red\n"
    directory = tmp_path / "-a, 'b'"
    attachments = (
        staged(directory, "x, y.png", picture, "image/png"),
        staged(directory, "a,b.csv", data, "text/csv"),
    )
    seen: list[bytes] = []

    def respond(request: ModelRequest) -> list[dict[str, Any]]:
        if request.tool_outputs():
            return [assistant_message(str(request.tool_outputs()[0]))]
        (path,) = manifest_paths(request.texts())
        seen.append(path.read_bytes())
        return [shell_command(f"cat {path}")]

    async with (
        ModelServer(respond=respond) as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread(ThreadOptions(cwd=tmp_path, sandbox="danger-full-access"))
        result = await thread.run_turn("-x, read it.", attachments)

        assert server.images() == (picture,)
        assert server.texts()[0].startswith("-x, read it.\n\n<attachments>")
        (path,) = manifest_paths(server.texts())
    assert seen == [data]
    assert data.decode() in result.final_message
    assert result.thread_id == thread.id
    assert result.usage.input_tokens == 22
    assert not path.parent.exists()


async def test_events_are_those_of_exec(tmp_path: Path) -> None:
    """The same values as from `codex exec`, with the same names of items."""
    async with (
        ModelServer(reply="It is red.") as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread()
        result = await thread.run_turn("What colour is it?")

    kinds = [type(event) for event in result.events]
    assert kinds.index(TurnStarted) < kinds.index(ItemStarted) < kinds.index(ItemCompleted)
    assert kinds[-1] is TurnCompleted
    items = [event.item for event in result.events if isinstance(event, ItemCompleted)]
    assert [(item.type, item.text) for item in items] == [
        ("user_message", ""),
        ("agent_message", "It is red."),
    ]
    assert result.final_message == "It is red."


async def test_only_the_stable_protocol_is_spoken(tmp_path: Path) -> None:
    """No experimental capability, no additional context; absolute paths, in this order."""
    # F72, F82
    attachments = (
        staged(tmp_path / "s", "a.png", png(), "image/png"),
        staged(tmp_path / "s", "b.csv", b"1", "text/csv"),
    )
    # A staging directory is often relative to the working directory, and the thread's is another.
    relative = tuple(
        evolve(attachment, path=Path(os.path.relpath(attachment.path)))
        for attachment in attachments
    )
    codex = overheard_codex(tmp_path)

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases(), codex) as opened,
    ):
        (tmp_path / "elsewhere").mkdir()
        thread = await opened.start_thread(ThreadOptions(cwd=tmp_path / "elsewhere"))
        await thread.run_turn("Look.", relative)
        assert server.images() == (png(),)

    assert codex.methods() == [
        "initialize",
        "initialized",
        "thread/start",
        "turn/start",
        "thread/attachment/add",
        "thread/attachment/add",
    ]
    greeting, _, start, turn, *records = codex.sent()
    assert set(greeting["params"]["capabilities"]) == {"optOutNotificationMethods"}
    assert start["params"]["approvalPolicy"] == "never"
    assert set(turn["params"]) == {"threadId", "input"}
    text, picture = turn["params"]["input"]
    assert Path(picture["path"]).is_absolute()
    assert all(path.is_absolute() for path in manifest_paths([text["text"]]))
    assert [record["params"]["payload"]["name"] for record in records] == ["a.png", "b.csv"]
    assert str(tmp_path) not in json.dumps(records)


async def test_images_keep_their_order_and_detail(tmp_path: Path) -> None:
    """Local and uploaded images arrive in the order of attaching; the detail that was asked for."""
    # F74
    pictures = [image("WEBP"), image("JPEG")]
    first, second = (staged(tmp_path, f"{n}.txt", data) for n, data in enumerate(pictures))

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread(ThreadOptions((first,), image_detail="high"))
        await thread.run_turn("Compare.", (UPLOADED, second))
        parts = [part for part in server.turns[-1].turn_parts() if part["type"] == "input_image"]

        assert server.images() == tuple(pictures)
        assert [part.get("file_id") for part in parts] == [None, "file-abc", None]
        assert {part["detail"] for part in parts} == {"high"}
        await thread.run_turn("And?")
        assert server.images() == ()
    with pytest.raises(ValueError, match="image_detail 'low'"):
        ThreadOptions(image_detail="low")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point


async def test_an_upload_goes_by_its_id(tmp_path: Path) -> None:
    """Staged, uploaded, attached, asked: nothing of the file is sent a second time."""
    codex = overheard_codex(tmp_path)

    async with (
        OpenAIUploadServer() as uploads,
        ModelServer() as server,
        open_files(FilesConfig(staging_dir=tmp_path / "staging", algorithm="sha256")) as files,
        real_app_server(server, tmp_path, files, codex) as opened,
    ):
        picture = await files.stage(png(), name="a.png")
        target = OpenAITarget(uploads.base_url, uploads.api_key)
        uploaded = await files.upload(picture, target=target)
        thread = await opened.start_thread()
        await thread.add_attachment(picture)
        assert not server.turns
        await thread.run_turn("What is it?", (uploaded,))
        parts = [part for part in server.turns[-1].turn_parts() if part["type"] == "input_image"]

        assert [part["file_id"] for part in parts] == [uploaded.file_id]
        assert server.images() == ()
        assert await opened.threads_of(picture) == (thread.id,)
    assert codex.methods() == [
        "initialize",
        "initialized",
        "thread/start",
        "turn/start",
        "thread/attachment/add",
        "thread/attachmentOwner/list",
    ]
    record = codex.sent()[4]["params"]
    assert record["identityKey"] == f"sha256:{picture.checksum}"
    assert record["attachmentType"] == "codex_actors.file"
    assert picture.checksum not in json.dumps(codex.sent()[3])


async def test_what_would_not_arrive_is_refused_before_the_turn(tmp_path: Path) -> None:
    """Addresses, broken images, uploads that the model cannot read: errors that name them."""
    # F75
    broken = staged(tmp_path, "cut.png", png()[:-20], "image/png")
    address: Any = "https://user:secret@example.org/a.png?signature=secret"
    refused: dict[str, Any] = {
        r"'https://example\.org/a\.png'.*download it": address,
        r"'cut\.png'.*incomplete PNG": broken,
        r"'far\.png'.*only PNG": evolve(UPLOADED, content_type="application/pdf"),
        r"'far\.png'.*target 'directory'": evolve(UPLOADED, target="directory"),
        r"'far\.png'.*of the target": evolve(UPLOADED, file_id=UPLOADED.checksum),
        r"'far\.png'.*expired": evolve(UPLOADED, expires_at=datetime.now(UTC) - timedelta(1)),
    }
    files = Leases()

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, files) as codex,
    ):
        thread = await codex.start_thread()
        for message, attachment in refused.items():
            with pytest.raises(DeliveryError, match=message) as caught:
                await thread.run_turn("Look.", (attachment,))
            assert "secret" not in str(caught.value)
        with pytest.raises(TypeError, match="stage it"):
            await thread.run_turn("Look.", (address.encode(),))
        with pytest.raises(TypeError, match=r"write \(attachment,\)"):
            await thread.run_turn("Look.", address)

        assert server.requests == ()
        assert (await thread.run_turn("Look.")).final_message == "ok"
    assert files.held == []


async def test_leases_last_as_long_as_codex_needs_them(tmp_path: Path) -> None:
    """An image's until it has been read, a file's until the turn has ended."""
    files = Leases()
    attachments = (staged(tmp_path, "a.png", png()), staged(tmp_path, "b.csv", b"1", "text/csv"))
    held: list[list[str]] = []

    def respond(_request: ModelRequest) -> list[dict[str, Any]]:
        held.append(list(files.held))
        return [assistant_message("ok")]

    async with (
        ModelServer(respond=respond) as server,
        real_app_server(server, tmp_path, files) as codex,
    ):
        thread = await codex.start_thread()
        await thread.run_turn("Look.", attachments)

        assert server.images() == (png(),)
        assert files.granted == ["a.png", "b.csv"]
        assert held[0][-1] == "b.csv"
        assert files.held == []


async def test_threads_go_on_in_another_process(tmp_path: Path) -> None:
    """A thread is resumed, and forked, by an app-server that never knew it; the images stay."""
    picture = staged(tmp_path, "a.png", png())

    async with ModelServer() as server:
        async with real_app_server(server, tmp_path, Leases()) as codex:
            thread = await codex.start_thread(ThreadOptions(cwd=tmp_path))
            await thread.run_turn("Remember this.", (picture,))
        async with real_app_server(server, tmp_path, Leases()) as codex:
            resumed = await codex.resume_thread(thread.id)
            fork = await codex.fork_thread(thread.id)
            await resumed.run_turn("And?")
            await fork.run_turn("Or?")
            bodies = [json.dumps(turn.body) for turn in server.turns]
            with pytest.raises(RequestRefused, match="no rollout found") as caught:
                await codex.resume_thread("019a0000-0000-7000-8000-000000000000")

    assert resumed.id == thread.id != fork.id
    for body in bodies[1:]:
        assert "Remember this." in body
        assert "data:image/png" in body
    assert caught.value.code == -32600


async def test_failed_turn_tells_why(tmp_path: Path) -> None:
    """The model's words, secrets replaced; the thread can be used again."""
    async with (
        ModelServer(status=400, reply="wrong key: test-key!") as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread()
        with pytest.raises(CodexError, match="wrong key: <CODEX_ACTORS_TEST_MODEL_KEY>!") as caught:
            await thread.run_turn("Hi")

        assert "test-key" not in str(caught.value)


async def test_options_that_are_the_servers_are_refused(tmp_path: Path) -> None:
    """One process has one environment and one executable."""
    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        for options in (ThreadOptions(env={"A": "b"}), ThreadOptions(codex_path="codex")):
            with pytest.raises(ValueError, match=r"give (env|codex_path) to open_app_server"):
                await codex.start_thread(options)
        with pytest.raises(ValueError, match="cannot be ephemeral"):
            await codex.resume_thread("thread", ThreadOptions(ephemeral=True))


async def test_directories_are_writable(tmp_path: Path) -> None:
    """`add_dirs` become roots of the sandbox, beside those of the config."""
    codex = overheard_codex(tmp_path)

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases(), codex) as opened,
    ):
        await opened.start_thread(
            ThreadOptions(
                cwd=tmp_path,
                sandbox="workspace-write",
                add_dirs=["more"],
                config={"sandbox_workspace_write": {"writable_roots": ["/srv"]}},
            )
        )

    params = codex.sent()[-1]["params"]
    assert params["sandbox"] == "workspace-write"
    assert params["config"] == {
        "sandbox_workspace_write": {"writable_roots": ["/srv", str(tmp_path / "more")]}
    }
