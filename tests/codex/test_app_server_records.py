"""Records of attachments with threads of the real app-server: where metadata lives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from app_server_support import overheard_codex, real_app_server
from attrs import evolve
from codex_support import Leases, described, needs_codex, png, staged

from codex_actors.codex import (
    AttachmentNotRecorded,
    CodexError,
    NotRecorded,
    RequestRefused,
    ThreadOptions,
)
from codex_actors.codex.app_server.records import MAX_PAYLOAD, record_of
from codex_actors.testing import ModelServer

if TYPE_CHECKING:
    from pathlib import Path

    from codex_actors.files import Attachment

pytestmark = needs_codex


def numbered(directory: Path, count: int) -> list[Attachment]:
    """Describe so many files."""
    return [described(directory, f"{n}.txt", b"%d" % n, "text/plain") for n in range(count)]


def names(found: Any) -> list[str]:
    """Return the names of what is listed."""
    return [entry.name for entry in found]


async def test_records_wait_for_the_first_turn(tmp_path: Path) -> None:
    """Codex takes none before it; they are made when the turn has begun, without local paths."""
    # F76
    first, second = numbered(tmp_path, 2)
    picture = staged(tmp_path, "a.png", png(), "image/png")

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread()
        await thread.add_attachment(first)
        await thread.add_attachment(second)
        await thread.remove_attachment(second)
        waiting = await thread.list_attachments()
        assert await codex.threads_of(first) == ()
        await thread.run_turn("Hi", (picture,))
        recorded = await thread.list_attachments()

        assert await codex.threads_of(first) == (thread.id,)
        assert await codex.threads_of(picture) == (thread.id,)
    assert [(entry.name, entry.id) for entry in waiting] == [("0.txt", None)]
    assert names(recorded) == ["0.txt", "a.png"]
    assert all(entry.id and entry.created_at for entry in recorded)
    expected = picture.to_dict()
    del expected["path"]
    assert recorded[1].payload == expected
    assert recorded[1].key == f"sha256:{picture.checksum}"


async def test_ephemeral_threads_keep_no_records(tmp_path: Path) -> None:
    """Asked for, that is an error; what their turns deliver is simply not recorded."""
    # F76
    picture = staged(tmp_path, "a.png", png(), "image/png")

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread(ThreadOptions(ephemeral=True))
        result = await thread.run_turn("Hi", (picture,))
        with pytest.raises(NotRecorded, match="ephemeral"):
            await thread.add_attachment(picture)

        assert await thread.list_attachments() == ()
        assert await codex.threads_of(picture) == ()
        await thread.remove_attachment(picture)
    assert not [event for event in result.events if isinstance(event, AttachmentNotRecorded)]


async def test_another_name_of_the_same_content_replaces_the_first(tmp_path: Path) -> None:
    """Codex keeps the old payload of an existing record: an update is a removal and an addition."""
    (first,) = numbered(tmp_path, 1)
    codex = overheard_codex(tmp_path)

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases(), codex) as opened,
    ):
        thread = await opened.start_thread()
        await thread.run_turn("Hi")
        await thread.add_attachment(first)
        await thread.add_attachment(first)
        await thread.add_attachment(evolve(first, name="renamed.txt"))
        listed = await thread.list_attachments()
        await thread.remove_attachment(first)
        await thread.remove_attachment(first)

        assert await thread.list_attachments() == ()
    assert names(listed) == ["renamed.txt"]
    verbs = [m.rpartition("/")[2] for m in codex.methods() if m.startswith("thread/attachment/")]
    assert verbs == ["add", "add", "add", "remove", "add", "list", "remove", "remove", "list"]


async def test_lists_are_read_to_their_end_and_the_101st_is_refused(tmp_path: Path) -> None:
    """Codex lists 25 a page and keeps 100; what it refuses is told, and nothing else is lost."""
    # F79, F80
    attachments = numbered(tmp_path, 101)
    last = staged(tmp_path, "last.csv", b"last", "text/csv")

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread()
        for attachment in attachments[:99]:
            await thread.add_attachment(attachment)
        await thread.run_turn("Hi")
        await thread.add_attachment(attachments[99])
        with pytest.raises(RequestRefused, match="count exceeds 100") as caught:
            await thread.add_attachment(attachments[100])
        result = await thread.run_turn("Read it.", (last,))
        full = await thread.list_attachments()
        await thread.remove_attachment(attachments[50])
        await thread.run_turn("And now?")
        renewed = await thread.list_attachments()

        assert await codex.threads_of(last) == (thread.id,)
    assert caught.value.code == -32602
    (event,) = [event for event in result.events if isinstance(event, AttachmentNotRecorded)]
    assert event.name == "last.csv"
    assert "count exceeds 100" in event.reason
    assert sorted(names(full)) == sorted([*names(attachments[:100]), "last.csv"])
    assert [entry.name for entry in full if entry.id is None] == ["last.csv"]
    assert sorted(names(renewed)) == sorted(set(names(full)) - {"50.txt"})
    assert all(entry.id for entry in renewed)


async def test_more_than_a_thread_can_have_is_refused_before_its_first_turn(
    tmp_path: Path,
) -> None:
    """Those that wait are counted here, for codex cannot be asked yet."""
    # F79
    attachments = numbered(tmp_path, 101)

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread()
        for attachment in attachments[:100]:
            await thread.add_attachment(attachment)
        with pytest.raises(NotRecorded, match="100 wait"):
            await thread.add_attachment(attachments[100])

        assert len(await thread.list_attachments()) == 100


async def test_a_descriptor_that_is_too_large_is_refused_here(tmp_path: Path) -> None:
    """To the byte where codex draws the line, so that nothing it would take is refused."""
    # F78
    (plain,) = numbered(tmp_path, 1)
    fixed = MAX_PAYLOAD - payload_size(evolve(plain, name=""))
    largest = evolve(plain, name="ü" * (fixed // 2) + "x" * (fixed % 2))
    codex = overheard_codex(tmp_path)

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases(), codex) as opened,
    ):
        thread = await opened.start_thread()
        await thread.run_turn("Hi")
        await thread.add_attachment(largest)
        for too_large in (
            evolve(largest, name=largest.name + "x"),
            evolve(plain, checksum="c" * 250),
        ):
            with pytest.raises(NotRecorded, match="at most"):
                await thread.add_attachment(too_large)

        assert names(await thread.list_attachments()) == [largest.name]
    assert codex.methods().count("thread/attachment/add") == 1


def payload_size(attachment: Attachment) -> int:
    """Return the bytes of a payload as Rust's serde writes it."""
    text = json.dumps(record_of(attachment).payload, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())


async def test_a_fork_has_the_records_of_its_origin(tmp_path: Path) -> None:
    """Codex copies them without telling: they are read from the list, and part ways then."""
    # F84
    first, second = numbered(tmp_path, 2)

    async with (
        ModelServer() as server,
        real_app_server(server, tmp_path, Leases()) as codex,
    ):
        thread = await codex.start_thread()
        await thread.add_attachment(first)
        await thread.run_turn("Hi")
        fork = await codex.fork_thread(thread.id)
        await fork.add_attachment(second)

        assert names(await fork.list_attachments()) == ["0.txt", "1.txt"]
        assert names(await thread.list_attachments()) == ["0.txt"]
        assert set(await codex.threads_of(first)) == {thread.id, fork.id}
        assert await codex.threads_of(second) == (fork.id,)


async def test_records_outlive_the_process(tmp_path: Path) -> None:
    """The next app-server finds the threads of a file, before any is resumed."""
    (first,) = numbered(tmp_path, 1)

    async with ModelServer() as server:
        async with real_app_server(server, tmp_path, Leases()) as codex:
            thread = await codex.start_thread()
            await thread.add_attachment(first)
            await thread.run_turn("Hi")
        async with real_app_server(server, tmp_path, Leases()) as codex:
            (found,) = await codex.threads_of(first)
            resumed = await codex.resume_thread(found)

            assert names(await resumed.list_attachments()) == ["0.txt"]
        with pytest.raises(CodexError, match="closed"):
            await codex.threads_of(first)
