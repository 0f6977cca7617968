"""Owns speaking OpenAI's Uploads and Files API, one request a call.

Invariant: there is no request that tells an upload's state, so a lost answer is settled by looking
for the file. Repeating `complete` of one upload can make no second file, so it is allowed while
that finds nothing, and what the server then refuses stays in doubt. Repeating a whole file can, so
it is allowed only when the server has given up on the first. Must not know when anything is tried
again.

Imported when the first session is opened, and nowhere else: it imports an HTTP client.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from json import dumps
from typing import Any, final
from urllib.parse import quote, urlencode

import trio
from attrs import define

from codex_actors.files.targets.answers import (
    Answer,
    Redactor,
    document_of,
    id_of,
    is_success,
    moment_of,
    refusal_of,
    retry_after_of,
)
from codex_actors.files.targets.forms import form_of
from codex_actors.files.targets.http_client import HttpClient, HttpRequest, Lost, open_http
from codex_actors.files.targets.openai import OpenAITarget
from codex_actors.files.targets.openai_answers import finished_of, is_about_md5, is_over
from codex_actors.files.targets.openai_search import Search
from codex_actors.files.targets.protocol import (
    Body,
    Corrupted,
    Fate,
    Finished,
    OutcomeUnknown,
    Outgoing,
    Part,
    Receipt,
    Refused,
    Remote,
    Retryable,
)

__all__ = ["OpenAISession", "open_openai_session"]

GATEWAY_TIMEOUT = 504
NOT_FOUND = 404
BAD_REQUEST = 400
# What a server may say to a `complete` that is repeated: that it is done, or cannot be.
ABOUT_THE_UPLOAD = frozenset({400, 404, 409, 410, 422})


@asynccontextmanager
async def open_openai_session(target: OpenAITarget) -> AsyncGenerator["OpenAISession"]:
    """Open a session with the settings and the credential of a target."""
    async with open_http(Redactor.of([target.credential().reveal()])) as client:
        yield OpenAISession(client, target)


@final
class OpenAISession:
    """Connections to OpenAI, for one upload; see `protocol.Session`."""

    def __init__(self, client: HttpClient, target: OpenAITarget) -> None:
        self._client = client
        self._target = target
        self._base_url = target.resolved_base_url()
        self._headers = {"Authorization": f"Bearer {target.credential().reveal()}"}
        if target.organization is not None:
            self._headers["OpenAI-Organization"] = target.organization
        if target.project is not None:
            self._headers["OpenAI-Project"] = target.project
        self._search = Search(client, self.get, target.purpose)
        # Whether the server has given up on the file that was sent whole, and not answered.
        self._given_up = False
        self._whole: _Noticed | None = None
        self._aborting: set[str] = set()
        # Uploads of which the answer to `complete` was lost, or may have been; and of these, those
        # that may not be completed again.
        self._doubtful: set[str] = set()
        self._undecided: set[str] = set()

    # Uploads

    async def begin(self, file: Outgoing) -> Remote:
        """Start an upload."""
        answer = await self._repeatable(
            self._post(
                "/uploads",
                {
                    "bytes": file.size,
                    "filename": file.name,
                    "mime_type": file.content_type,
                    "purpose": self._target.purpose,
                    **self._expiry(),
                },
            )
        )
        document = document_of(answer) or {}
        upload_id = id_of(document.get("id"))
        if upload_id is None or document.get("bytes") != file.size:
            raise Retryable("an answer that is no Upload", status=answer.status)
        return Remote(upload_id, moment_of(document.get("expires_at")))

    async def send_part(self, file: Outgoing, remote: Remote, part: Part, body: Body) -> Receipt:
        """Send one part, streamed."""
        form = form_of("data", f"part-{part.number}", "application/octet-stream")
        path = f"/uploads/{quote(remote.id, safe='')}/parts"
        answer = await self._repeatable(
            HttpRequest(
                method="POST",
                url=f"{self._base_url}{path}",
                headers={**self._headers, "Content-Type": form.content_type},
                before=form.before,
                body=body,
                after=form.after,
            )
        )
        document = document_of(answer) or {}
        part_id = id_of(document.get("id"))
        if part_id is None or document.get("upload_id") != remote.id:
            raise Retryable("an answer that is no part of this upload", status=answer.status)
        return Receipt(part.number, part_id)

    async def complete(
        self, file: Outgoing, remote: Remote, receipts: Sequence[Receipt]
    ) -> Finished:
        """Make the parts one file."""
        try:
            answer = await self._client.send(self._completion(file, remote, receipts))
        except Lost as lost:
            if not lost.sent:
                raise lost.retryable() from None
            raise OutcomeUnknown(lost.message) from None
        if answer.status in ABOUT_THE_UPLOAD:
            refusal = refusal_of(answer, self._client.redact)
            if file.md5 is not None and is_about_md5(answer, refusal):
                raise Corrupted(refusal.message, status=answer.status)
            if remote.id in self._doubtful:
                # It may be refused because it was carried out before.
                self._undecided.add(remote.id)
                raise OutcomeUnknown(refusal.message, status=answer.status)
        return self._finished_or_unknown(answer, file)

    async def abort(self, file: Outgoing, remote: Remote) -> None:
        """Cancel an upload."""
        repeated = remote.id in self._aborting
        self._aborting.add(remote.id)
        path = f"/uploads/{quote(remote.id, safe='')}/cancel"
        try:
            await self._repeatable(self._post(path, None))
        except Refused as refused:
            if refused.status != NOT_FOUND and not is_over(refused, repeated=repeated):
                raise

    # Files in one request

    async def send_whole(self, file: Outgoing, body: Body) -> Finished:
        """Send a file in one request, streamed."""
        self._given_up = False
        self._whole = _Noticed(body)
        fields = {"purpose": self._target.purpose}
        for name, value in self._expiry().get("expires_after", {}).items():
            fields[f"expires_after[{name}]"] = str(value)
        form = form_of("file", file.name, file.content_type, fields)
        request = HttpRequest(
            method="POST",
            url=f"{self._base_url}/files",
            headers={**self._headers, "Content-Type": form.content_type},
            before=form.before,
            body=self._whole,
            after=form.after,
        )
        try:
            answer = await self._client.send(request)
        except Lost as lost:
            if not lost.sent:
                raise lost.retryable() from None
            self._given_up = lost.ended
            raise OutcomeUnknown(lost.message) from None
        # A gateway that ran out of patience does not speak for what is behind it.
        self._given_up = answer.status >= BAD_REQUEST and answer.status != GATEWAY_TIMEOUT
        return self._finished_or_unknown(answer, file)

    # Asking

    async def settle(
        self, file: Outgoing, remote: Remote | None, receipts: Sequence[Receipt]
    ) -> Finished | Fate:
        """Tell what became of a request whose answer was lost, by looking for its file."""
        if remote is None and self._whole is not None and not self._whole.begun:
            await trio.lowlevel.checkpoint()
            return Fate.NOT_DONE  # no byte of it has left: there was no connection
        found = await self._search.find(file)
        if isinstance(found, Finished):
            return found
        if remote is None:
            # Not there may mean: not there yet.
            return found if self._given_up else Fate.UNKNOWN
        if remote.id in self._undecided:
            return Fate.UNKNOWN
        if found is Fate.UNKNOWN and remote.id in self._doubtful:
            return Fate.UNKNOWN
        self._doubtful.add(remote.id)
        return Fate.NOT_DONE

    async def confirm(self, file_id: str) -> bool:
        """Tell whether a file is still there."""
        answer = await self._answered(self.get(f"/files/{quote(file_id, safe='')}"))
        if answer.status == NOT_FOUND:
            return False
        if not is_success(answer):
            raise refusal_of(answer, self._client.redact)
        document = document_of(answer)
        if document is None:
            raise Retryable("an answer that is no File", status=answer.status)
        return document.get("id") == file_id and document.get("status") != "error"

    def get(self, path: str, query: Mapping[str, str] | None = None) -> HttpRequest:
        """Return a request that only asks."""
        suffix = f"?{urlencode(query)}" if query else ""
        return HttpRequest(
            method="GET", url=f"{self._base_url}{path}{suffix}", headers=self._headers
        )

    # Requests and answers

    def _post(self, path: str, document: Mapping[str, Any] | None) -> HttpRequest:
        headers = dict(self._headers)
        if document is not None:
            headers["Content-Type"] = "application/json"
        return HttpRequest(
            method="POST",
            url=f"{self._base_url}{path}",
            headers=headers,
            before=b"" if document is None else dumps(document).encode(),
        )

    def _completion(
        self, file: Outgoing, remote: Remote, receipts: Sequence[Receipt]
    ) -> HttpRequest:
        document: dict[str, Any] = {"part_ids": [receipt.token for receipt in receipts]}
        if file.md5 is not None:
            document["md5"] = file.md5
        return self._post(f"/uploads/{quote(remote.id, safe='')}/complete", document)

    def _expiry(self) -> dict[str, Any]:
        seconds = self._target.expires_after
        if seconds is None:
            return {}
        return {"expires_after": {"anchor": "created_at", "seconds": seconds}}

    async def _answered(self, request: HttpRequest) -> Answer:
        """Send a request that may be repeated; return its answer, whatever its status."""
        try:
            return await self._client.send(request)
        except Lost as lost:
            raise lost.retryable() from None

    async def _repeatable(self, request: HttpRequest) -> Answer:
        """Send a request that may be repeated; return its answer if it was carried out."""
        answer = await self._answered(request)
        if not is_success(answer):
            raise refusal_of(answer, self._client.redact)
        return answer

    def _finished_or_unknown(self, answer: Answer, file: Outgoing) -> Finished:
        """Return what was answered to a request that makes a file."""
        if is_success(answer):
            finished = finished_of(document_of(answer), file)
            if finished is None:
                raise OutcomeUnknown(
                    "an answer that tells of no complete file", status=answer.status
                )
            return finished
        refusal = refusal_of(answer, self._client.redact)
        if answer.status >= 500:  # noqa: PLR2004 - a server's error may come after the effect
            raise OutcomeUnknown(
                refusal.message,
                status=answer.status,
                retry_after=retry_after_of(answer.headers),
            )
        raise refusal


@define(eq=False)
class _Noticed:
    """A body, and whether anybody has begun to send it."""

    body: Body
    begun: bool = False

    @property
    def size(self) -> int:
        return self.body.size

    def __aiter__(self) -> AsyncIterator[bytes]:
        self.begun = True
        return aiter(self.body)
