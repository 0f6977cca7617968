"""A lost answer of OpenAI: what became of the request that makes the file."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from http_targets_support import DATA, MIB, Bytes, Zeros, opened, outgoing, send_parts

from codex_actors.files.targets.protocol import (
    Fate,
    Finished,
    OutcomeUnknown,
    Part,
    Receipt,
    Retryable,
)
from codex_actors.testing import (
    AnswerGarbage,
    AnswerTruncated,
    AnswerWith,
    NeverAnswer,
    OpenAIUploadServer,
    ResetConnection,
    UploadFault,
)


@pytest.mark.parametrize(
    "then",
    [AnswerWith(500), AnswerWith(504), ResetConnection(), AnswerTruncated(), AnswerGarbage()],
    ids=str,
)
@pytest.mark.parametrize("takes_effect", [True, False])
async def test_a_lost_answer_to_complete_is_settled(then: Any, takes_effect: bool) -> None:
    """What took effect is found, what did not is repeated: one file."""
    # F63
    async with OpenAIUploadServer() as server, opened(server) as (_, session):
        file = outgoing(DATA)
        remote = await session.begin(file)
        receipts = await send_parts(session, file, remote, DATA, MIB)
        server.faults = [UploadFault("complete", then, takes_effect=takes_effect)]

        with pytest.raises(OutcomeUnknown):
            await session.complete(file, remote, receipts)
        settled = await session.settle(file, remote, receipts)

        if takes_effect:
            assert isinstance(settled, Finished)
        else:
            assert settled is Fate.NOT_DONE
            settled = await session.complete(file, remote, receipts)
        assert list(server.files) == [settled.file_id]
        assert server.files[settled.file_id].read() == DATA


async def test_a_complete_that_cannot_be_read_back_stays_in_doubt() -> None:
    """A file of the same name and size may be another's: the repeat decides, or nobody can."""
    # F63
    faults = [
        UploadFault("complete", AnswerWith(500), takes_effect=True),
        UploadFault("content", AnswerWith(400), times=99),
    ]
    async with OpenAIUploadServer(faults=faults) as server, opened(server) as (_, session):
        file = outgoing(b"abc")
        remote = await session.begin(file)
        receipts = await send_parts(session, file, remote, b"abc", MIB)

        settled: list[object] = []
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await session.complete(file, remote, receipts)
            settled.append(await session.settle(file, remote, receipts))

        assert settled == [Fate.NOT_DONE, Fate.UNKNOWN]
        assert len(server.files) == 1


async def test_a_large_file_is_not_read_back() -> None:
    """Completing it again tells, without that its bytes come back."""
    # F63
    size = 256 * MIB + 1
    server = OpenAIUploadServer(
        keep_bytes=False,
        repeats_complete=True,
        faults=[UploadFault("complete", ResetConnection(), takes_effect=True)],
    )
    async with server, opened(server) as (_, session):
        file = attrs.evolve(outgoing(b""), size=size)
        remote = await session.begin(file)
        receipts: list[Receipt] = []
        for number, offset in enumerate(range(0, size, 64 * MIB)):
            part = Part(number, offset, min(64 * MIB, size - offset))
            receipts.append(await session.send_part(file, remote, part, Zeros(part.size)))

        with pytest.raises(OutcomeUnknown):
            await session.complete(file, remote, receipts)
        settled = await session.settle(file, remote, receipts)
        finished = await session.complete(file, remote, receipts)

        assert settled is Fate.NOT_DONE
        assert list(server.files) == [finished.file_id]
        assert not server.of("content")


@pytest.mark.parametrize(
    ("then", "takes_effect", "expected"),
    [
        (AnswerWith(500), True, Finished),
        (AnswerWith(500), False, Fate.NOT_DONE),
        (AnswerWith(504), False, Fate.UNKNOWN),
        (ResetConnection(), True, Finished),
        (ResetConnection(), False, Fate.NOT_DONE),
        (AnswerGarbage(), True, Finished),
        (AnswerGarbage(), False, Fate.UNKNOWN),
    ],
    ids=str,
)
async def test_a_lost_answer_to_a_whole_file_is_settled(
    then: Any, takes_effect: bool, expected: Any
) -> None:
    """It is repeated only when the server has given up on it and the file is not there."""
    # F63
    async with OpenAIUploadServer() as server, opened(server) as (_, session):
        await session.send_whole(outgoing(b"abd"), Bytes(b"abd"))  # same name and size
        server.faults = [UploadFault("file", then, takes_effect=takes_effect)]
        file = outgoing(b"abc")

        with pytest.raises(OutcomeUnknown):
            await session.send_whole(file, Bytes(b"abc"))
        settled = await session.settle(file, None, [])

        if expected is Finished:
            assert isinstance(settled, Finished)
            assert server.files[settled.file_id].read() == b"abc"
        else:
            assert settled is expected


async def test_a_body_that_did_not_go_out_is_no_doubt() -> None:
    """Reset in the middle of the body: no server can have made a file of it."""
    data = bytes(16 * MIB)
    fault = UploadFault("file", ResetConnection(), after=MIB)
    async with OpenAIUploadServer(faults=[fault]) as server, opened(server) as (_, session):
        with pytest.raises(Retryable):
            await session.send_whole(outgoing(data), Bytes(data))

        assert not server.files


async def test_a_host_that_is_never_reached_leaves_no_doubt() -> None:
    """The time of the attempt was over before there was a connection."""
    # F57, F63
    async with OpenAIUploadServer() as server, opened(server) as (_, session):
        with trio.CancelScope() as attempt:
            attempt.cancel()
            await session.send_whole(outgoing(b"abc"), Bytes(b"abc"))

        assert await session.settle(outgoing(b"abc"), None, []) is Fate.NOT_DONE
        assert not server.requests


async def test_what_silence_leaves_open() -> None:
    """A server that did not answer may still be at work on a file that is not there yet."""
    fault = UploadFault("file", NeverAnswer())
    async with OpenAIUploadServer(faults=[fault]) as server, opened(server) as (_, session):
        file = outgoing(b"abc")
        with trio.move_on_after(0.2):
            await session.send_whole(file, Bytes(b"abc"))

        assert await session.settle(file, None, []) is Fate.UNKNOWN
        assert len(server.requests) == 2


async def test_the_search_reads_page_after_page() -> None:
    """Files of the same purpose that are not ours do not hide ours."""
    faults = [UploadFault("file", ResetConnection(), takes_effect=True)]
    async with OpenAIUploadServer(faults=faults) as server, opened(server) as (_, session):
        file = outgoing(b"abc", "ours.txt")
        with pytest.raises(OutcomeUnknown):
            await session.send_whole(file, Bytes(b"abc"))
        for number in range(120):
            other = b"%03d" % number
            await session.send_whole(outgoing(other, "other.txt"), Bytes(other))

        settled = await session.settle(file, None, [])

        assert isinstance(settled, Finished)
        assert server.files[settled.file_id].name == "ours.txt"
        assert len(server.of("list")) == 2
