"""Every fault at every step of both protocols: one file with the same bytes, or a typed error.

Nothing is left on the server or in the manifest; where a lost answer leaves open whether there is a
file, the error says so and carries the ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
import trio
from fault_matrix_support import (
    LARGE,
    MIB,
    RETRY,
    WAYS,
    Came,
    Way,
    always,
    faults_of,
    is_final,
    is_harmless,
    loses_an_answer,
    meet,
    unfinished_records,
)

from codex_actors.files import (
    FilesConfig,
    OpenAITarget,
    UploadError,
    UploadRejected,
    UploadTimeout,
    open_files,
)
from codex_actors.testing import (
    AnswerWith,
    NeverAnswer,
    OpenAIUploadServer,
    ResetConnection,
    UploadFault,
)

if TYPE_CHECKING:
    from pathlib import Path

AT_A_TIME = 60


async def run(root: Path, way: Way, faults: list[UploadFault]) -> list[Came]:
    """Upload a file past each fault, many at the same time: most of them wait."""
    came: list[Came] = []
    config = FilesConfig(staging_dir=root, durability="none", max_transfers=AT_A_TIME)
    async with open_files(config) as files, trio.open_nursery() as nursery:

        async def one(fault: UploadFault) -> None:
            came.append(await meet(files, way, fault))

        for fault in faults:
            nursery.start_soon(one, fault)
    assert unfinished_records(root) == 0
    return came


def complaints(way: Way, came: list[Came]) -> list[str]:
    """Return what is wrong, one line for each fault."""
    return [f"{wrong}: {one.fault} ({one.error!r})" for one in came if (wrong := one.wrong(way))]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
async def test_a_fault_that_strikes_once(tmp_path: Path, way: Way) -> None:
    """What may be repeated is, and the file arrives; what is refused for good is told at once."""
    # F53, F54, F55, F57, F59, F61, F63
    came = await run(tmp_path / "staging", way, faults_of(way))

    assert not complaints(way, came)
    for one in came:
        if is_final(one.fault):
            assert isinstance(one.error, UploadRejected), one
        elif one.fault.step != "file" or not loses_an_answer(one.fault):
            assert one.uploaded is not None, one


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
async def test_a_fault_that_stays(tmp_path: Path, way: Way) -> None:
    """After so many attempts the upload fails, and what it had begun is gone."""
    # F53, F55, F57, F59, F61, F63
    came = await run(tmp_path / "staging", way, always(faults_of(way)))

    assert not complaints(way, came)
    for one in came:
        assert (one.uploaded is not None) or not is_harmless(one.fault), one


@pytest.mark.parametrize(
    "fault",
    [
        UploadFault("cancel", AnswerWith(500)),
        UploadFault("cancel", AnswerWith(503), takes_effect=True),
        UploadFault("cancel", ResetConnection()),
        UploadFault("cancel", ResetConnection(), takes_effect=True),
        UploadFault("cancel", NeverAnswer()),
        UploadFault("cancel", NeverAnswer(), takes_effect=True),
    ],
    ids=str,
)
async def test_a_fault_while_giving_up(tmp_path: Path, fault: UploadFault) -> None:
    """Also the request that gives an upload up is repeated; the first error is the one told."""
    # F61
    faults = [UploadFault("part", AnswerWith(400), nth=2), fault]
    retry = attrs.evolve(RETRY, attempt_timeout=0.8)
    config = FilesConfig(staging_dir=tmp_path / "staging", durability="none")
    async with OpenAIUploadServer(faults=faults) as server, open_files(config) as files:
        target = OpenAITarget(server.base_url, server.api_key, part_size=MIB, parallel=1)

        with pytest.raises(UploadRejected) as failed:
            await files.upload(LARGE, name="a", target=target, retry=retry)

        assert failed.value.step == "part 2 of 2"
        assert failed.value.status == 400
        assert [upload.status for upload in server.uploads] == ["cancelled"]
    assert unfinished_records(tmp_path / "staging") == 0


async def test_only_the_part_that_failed_is_sent_again(tmp_path: Path) -> None:
    """500 on part 3 twice: five parts arrive in seven requests."""
    # F51, F53
    data = LARGE[:MIB] * 4 + b"."
    faults = [UploadFault("part", AnswerWith(500), nth=3, times=2)]
    config = FilesConfig(staging_dir=tmp_path / "staging", durability="none")
    async with OpenAIUploadServer(faults=faults) as server, open_files(config) as files:
        target = OpenAITarget(server.base_url, server.api_key, part_size=MIB, parallel=1)

        uploaded = await files.upload(data, name="a", target=target, retry=RETRY)

        assert server.files[uploaded.file_id].read() == data
        assert [request.status for request in server.of("part")] == [
            200,
            200,
            500,
            500,
            200,
            200,
            200,
        ]
        assert len(server.uploads[0].parts) == 5


@pytest.mark.parametrize("asked", [0.3, "date"])
async def test_a_server_that_asks_to_wait(tmp_path: Path, asked: float | str) -> None:
    """The pause is at least as long; a longer one than the cap fails without sleeping."""
    # F54
    answer = AnswerWith(
        429,
        retry_after="Thu, 01 Jan 2026 00:00:01 GMT" if asked == "date" else asked,
        headers={"date": "Thu, 01 Jan 2026 00:00:00 GMT"},
    )
    too_long = AnswerWith(429, retry_after=6)
    config = FilesConfig(staging_dir=tmp_path / "staging", durability="none")
    async with OpenAIUploadServer() as server, open_files(config) as files:
        target = OpenAITarget(server.base_url, server.api_key)
        server.faults = [UploadFault("file", answer)]
        started = trio.current_time()
        await files.upload(b"waits", name="a", target=target, retry=RETRY)
        waited = trio.current_time() - started
        server.faults = [UploadFault("file", too_long)]
        started = trio.current_time()
        with pytest.raises(UploadError, match="asks to wait 6 s"):
            await files.upload(b"fails", name="a", target=target, retry=RETRY)

        assert waited >= (1.0 if asked == "date" else 0.3)
        assert trio.current_time() - started < 2.0
        assert len(server.of("file")) == 3


async def test_silence_ends_at_the_deadline(tmp_path: Path) -> None:
    """Attempt after attempt is given up, until the whole has taken too long."""
    # F57
    retry = attrs.evolve(RETRY, attempts=1000, attempt_timeout=0.1, deadline=0.5)
    faults = [UploadFault("create", NeverAnswer(), times=1000)]
    config = FilesConfig(staging_dir=tmp_path / "staging", durability="none")
    async with OpenAIUploadServer(faults=faults) as server, open_files(config) as files:
        target = OpenAITarget(server.base_url, server.api_key, part_size=MIB)

        with pytest.raises(UploadTimeout, match="deadline"):
            await files.upload(LARGE, name="a", target=target, retry=retry)

        assert len(server.of("create")) > 1
