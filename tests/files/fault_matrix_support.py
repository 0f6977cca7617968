"""What the fault matrix shares: the faults, the ways a file can go, and what may come of both."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from codex_actors.files import (
    CodexTarget,
    Files,
    OpenAITarget,
    UploadError,
    UploadOutcomeUnknown,
    UploadRejected,
)
from codex_actors.files.retry import Retry
from codex_actors.testing import (
    AnswerGarbage,
    AnswerTruncated,
    AnswerTwice,
    AnswerWith,
    CodexUploadServer,
    NeverAnswer,
    OpenAIUploadServer,
    ResetConnection,
    UploadFault,
)

if TYPE_CHECKING:
    from codex_actors.files import UploadedFile
    from codex_actors.testing.upload_faults import Reply

MIB = 2**20
SMALL = b"a small file"
LARGE = bytes(range(256)) * 4096 + b"tail"
RETRY = Retry(attempts=3, base=0.001, cap=0.002, attempt_timeout=20.0, retry_after_cap=5.0)


@frozen
class Way:
    """One way of a file to a server: which server, and how large the file is.

    Attributes:
        name: For the test's id.
        server: Its class.
        steps: Those that an upload goes through.
        data: What is sent.
    """

    name: str
    server: type[OpenAIUploadServer | CodexUploadServer]
    steps: tuple[str, ...]
    data: bytes

    def target(self, server: OpenAIUploadServer | CodexUploadServer) -> Any:
        """Return the target for a running server."""
        if isinstance(server, CodexUploadServer):
            return CodexTarget(server.base_url, server.access_token, server.account_id)
        return OpenAITarget(server.base_url, server.api_key, part_size=MIB, parallel=2)


WAYS = (
    Way("parts", OpenAIUploadServer, ("create", "part", "complete"), LARGE),
    Way("whole", OpenAIUploadServer, ("file",), SMALL),
    Way("codex", CodexUploadServer, ("create", "put", "finalise"), SMALL),
)

_BUSY: list[Reply] = [
    AnswerWith(500),
    AnswerWith(502, body=""),
    AnswerWith(503, retry_after=0.01),
    AnswerWith(504, body="<html>gateway</html>"),
]
_NOT_NOW: list[Reply] = [
    AnswerWith(408),
    AnswerWith(409),
    AnswerWith(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
]
_NOT_SO: list[Reply] = [
    AnswerWith(400),
    AnswerWith(401, body=""),
    AnswerWith(403),
    AnswerWith(404, body="not JSON"),
    AnswerWith(413),
    AnswerWith(422, body="{}"),
    AnswerWith(307, headers={"location": "http://127.0.0.1:9/elsewhere"}),
]
_SILENT: list[Reply] = [ResetConnection(), NeverAnswer(), AnswerTruncated(), AnswerGarbage()]


def faults_of(way: Way) -> list[UploadFault]:
    """Return every fault of the script at every step of a way."""
    return [fault for step in way.steps for fault in _faults_at(step)]


def _faults_at(step: str) -> list[UploadFault]:
    made = [UploadFault(step, then) for then in (*_BUSY, *_NOT_NOW, *_NOT_SO, *_SILENT)]
    made += [UploadFault(step, then, takes_effect=True) for then in (*_BUSY, *_SILENT)]
    made += [
        UploadFault(step, ResetConnection(), after=0),
        UploadFault(step, ResetConnection(), after=9),
        UploadFault(step, AnswerWith(503), after=9),
        UploadFault(step, AnswerWith(413), after=9),
        UploadFault(step, NeverAnswer(), after=9),
        UploadFault(step, AnswerTwice()),
        UploadFault(step, bytes_per_second=20 * MIB),
        UploadFault(step, delay=0.02),
    ]
    return made


def is_final(fault: UploadFault) -> bool:
    """Tell whether the server says: not so."""
    return isinstance(fault.then, AnswerWith) and fault.then.status in {
        307,
        400,
        401,
        403,
        404,
        413,
        422,
    }


def is_harmless(fault: UploadFault) -> bool:
    """Tell whether the client gets the answer that it wants."""
    return fault.then is None or isinstance(fault.then, AnswerTwice)


def loses_an_answer(fault: UploadFault) -> bool:
    """Tell whether the client cannot know from the answer whether the request was carried out.

    Also when the server did not read the body: all of it may have gone out, into buffers.
    """
    if isinstance(fault.then, AnswerWith):
        return fault.then.status >= 500
    return not is_harmless(fault)


@frozen
class Came:
    """What came of one upload.

    Attributes:
        fault: What went wrong.
        uploaded: Its result, if it succeeded.
        error: Its error, if it failed.
        files: The bytes of the files at the server, by id.
        pending: Uploads at the server that are neither complete nor cancelled.
        begun: Requests that were carried out and began an upload.
    """

    fault: UploadFault
    uploaded: UploadedFile | None
    error: Exception | None
    files: dict[str, bytes]
    pending: int
    begun: int

    def wrong(self, way: Way) -> str | None:
        """Say what is wrong about it, None if nothing is."""
        orphans = 0
        if way.name == "parts" and self.fault.step == "create" and self.fault.takes_effect:
            orphans = self.begun - (self.uploaded is not None)  # the server lets them expire
        if self.pending > orphans:
            return f"{self.pending} uploads are left pending, {orphans} may be"
        data = data_of(way, self.fault)
        if any(content != data for content in self.files.values()):
            return "a file holds other bytes"
        if self.uploaded is None:
            return self._wrong_error(way)
        if list(self.files) != [self.uploaded.file_id]:
            return f"the server has {sorted(self.files)}, not {self.uploaded.file_id}"
        return "it succeeded" if is_final(self.fault) and self.fault.times > 1 else None

    def _wrong_error(self, way: Way) -> str | None:
        if isinstance(self.error, UploadOutcomeUnknown):
            return self._wrong_doubt(self.error, way)
        if not isinstance(self.error, UploadError):
            return "the error has no type of ours"
        if self.files:
            return "it failed, and there is a file"
        rejected = isinstance(self.error, UploadRejected)
        return None if is_final(self.fault) is rejected else "the error has another type"

    def _wrong_doubt(self, error: UploadOutcomeUnknown, way: Way) -> str | None:
        named = ["checksum", "name"] + (["upload_id"] if way.name != "whole" else [])
        if sorted(error.ids) != named:
            return f"it names {sorted(error.ids)}"
        makes_file = self.fault.step in {"complete", "file", "finalise"}
        if not (makes_file and loses_an_answer(self.fault)):
            return "its outcome was not in doubt"
        return None if len(self.files) <= 1 else "there are two files"


def data_of(way: Way, fault: UploadFault) -> bytes:
    """Return bytes of their own for each fault: equal ones would share an upload."""
    return way.data + hashlib.sha256(repr(fault).encode()).digest()


async def meet(files: Files, way: Way, fault: UploadFault) -> Came:
    """Upload a file past a fault."""
    data = data_of(way, fault)
    # Only who is to wait in vain waits briefly: a busy machine must not look like a silent server.
    silent = isinstance(fault.then, NeverAnswer)
    retry = attrs.evolve(RETRY, attempt_timeout=0.8) if silent else RETRY
    uploaded: UploadedFile | None = None
    failed: Exception | None = None
    async with way.server(faults=[fault]) as server:
        attachment = await files.stage(data, name="matrix.bin")
        try:
            uploaded = await files.upload(attachment, target=way.target(server), retry=retry)
        except Exception as error:  # noqa: BLE001 - which one it is, is what is tested
            failed = error
        pending = 0
        begun = len([request for request in server.of("create") if request.received])
        if isinstance(server, OpenAIUploadServer):
            pending, begun = len(server.pending), len(server.uploads)
        stored = {file_id: file.read() for file_id, file in server.files.items()}
    return Came(fault, uploaded, failed, stored, pending, begun)


def unfinished_records(root: Any) -> int:
    """Return how many uploads the manifest of a staging directory takes for unfinished."""
    (manifest,) = root.rglob("manifest.sqlite3")
    connection = sqlite3.connect(manifest)
    try:
        (count,) = connection.execute("SELECT count(*) FROM uploads WHERE file_id IS NULL")
        return int(count[0])
    finally:
        connection.close()


def always(faults: list[UploadFault]) -> list[UploadFault]:
    """Return the faults for every request."""
    return [attrs.evolve(fault, times=math.inf) for fault in faults]
