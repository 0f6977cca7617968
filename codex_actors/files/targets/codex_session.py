"""Owns speaking the codex backend's upload protocol: create, PUT to a signed address, finalise.

Invariant: the credential goes to the backend and never to the signed address, which stays in
`Remote.secret`. All three requests may be repeated: a second PUT replaces the first, finalising
only asks how far the backend is. Must not know when anything is tried again.

Imported when the first session is opened, and nowhere else: it imports an HTTP client.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from json import dumps
from typing import Any, final
from urllib.parse import parse_qsl, quote, urlsplit

import trio

from codex_actors.files.targets.answers import (
    Answer,
    Redactor,
    document_of,
    id_of,
    is_success,
    refusal_of,
    retry_after_of,
    said,
)
from codex_actors.files.targets.codex import CodexTarget
from codex_actors.files.targets.http_client import HttpClient, HttpRequest, Lost, open_http
from codex_actors.files.targets.protocol import (
    Body,
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

__all__ = ["CodexSession", "open_codex_session", "remote_of"]

POLL_INTERVAL = 0.25
CREATED = 201
SERVER_ERROR = 500


@asynccontextmanager
async def open_codex_session(target: CodexTarget) -> AsyncGenerator["CodexSession"]:
    """Open a session with the settings and the credential of a target."""
    async with open_http(Redactor.of([target.credential().reveal()])) as client:
        yield CodexSession(client, target)


@final
class CodexSession:
    """Connections to the codex backend, for one upload; see `protocol.Session`."""

    def __init__(self, client: HttpClient, target: CodexTarget) -> None:
        self._client = client
        self._token = target.credential().reveal()
        self._base_url = target.resolved_base_url()
        self._finalise_timeout = target.finalise_timeout
        self._headers = {
            "Authorization": f"Bearer {self._token}",
            "ChatGPT-Account-ID": target.resolved_account_id(),
            "Content-Type": "application/json",
        }

    async def begin(self, file: Outgoing) -> Remote:
        """Announce a file; the address to put it to is the remote's secret."""
        announced = {"file_name": file.name, "file_size": file.size, "use_case": "codex"}
        answer = await self._answered(self._post("/files", announced))
        if not is_success(answer):
            raise refusal_of(answer, self._client.redact)
        return remote_of(answer, self._base_url)

    async def send_part(self, file: Outgoing, remote: Remote, part: Part, body: Body) -> Receipt:
        """Put the file, streamed, without credentials: the address is signed."""
        request = HttpRequest(
            method="PUT",
            url=remote.secret,
            headers={"x-ms-blob-type": "BlockBlob", "Content-Type": file.content_type},
            body=body,
        )
        redact = _redactor_of(self._token, remote.secret)
        try:
            answer = await self._client.send(request)
        except Lost as lost:
            raise Retryable(redact(lost.message)) from None
        except Refused as refused:
            raise Refused(redact(refused.message), status=refused.status) from None
        if not is_success(answer):
            raise refusal_of(answer, redact)
        if not answer.whole or (answer.body and answer.status != CREATED):
            # The storage has nothing to say about a file that it took; a proxy might have.
            raise Retryable("an answer that is not the storage's", status=answer.status)
        return Receipt(part.number)

    async def complete(
        self, file: Outgoing, remote: Remote, receipts: Sequence[Receipt]
    ) -> Finished:
        """Ask for the finalisation, until it is done."""
        deadline = trio.current_time() + self._finalise_timeout
        while True:
            try:
                answer = await self._client.send(self._finalisation(remote))
            except Lost as lost:
                if not lost.sent:
                    raise lost.retryable() from None
                raise OutcomeUnknown(lost.message) from None
            if answer.status >= SERVER_ERROR:
                raise OutcomeUnknown(
                    refusal_of(answer, self._client.redact).message,
                    status=answer.status,
                    retry_after=retry_after_of(answer.headers),
                )
            state = self._state(answer, OutcomeUnknown)
            if state == "success":
                return Finished(remote.id)
            if state != "retry":
                message = said(answer, self._client.redact) or "no reason given"
                raise Refused(f"the backend did not accept the file: {message}")
            if trio.current_time() + POLL_INTERVAL > deadline:
                # It is at work, and may make the file when nobody asks any more.
                raise OutcomeUnknown(f"not finalised within {self._finalise_timeout:g} seconds")
            await trio.sleep(POLL_INTERVAL)

    async def abort(self, file: Outgoing, remote: Remote) -> None:
        """Leave it: the backend has no request for that, and nobody sees what is not finalised."""
        await trio.lowlevel.checkpoint()

    async def send_whole(self, file: Outgoing, body: Body) -> Finished:
        """Refuse: `Limits.whole_bytes` is 0."""
        await trio.lowlevel.checkpoint()
        raise Refused("the codex backend takes no file in one request")

    async def settle(
        self, file: Outgoing, remote: Remote | None, receipts: Sequence[Receipt]
    ) -> Finished | Fate:
        """Tell what the finalisation came to; unknown while the backend is at work on it."""
        if remote is None:
            await trio.lowlevel.checkpoint()
            return Fate.UNKNOWN
        deadline = trio.current_time() + self._finalise_timeout
        while True:
            answer = await self._answered(self._finalisation(remote))
            state = self._state(answer, Retryable)
            if state == "success":
                return Finished(remote.id)
            if state != "retry":
                return Fate.NOT_DONE  # asking again will say what it is
            if trio.current_time() + POLL_INTERVAL > deadline:
                return Fate.UNKNOWN
            await trio.sleep(POLL_INTERVAL)

    async def confirm(self, file_id: str) -> bool:
        """Believe it: the backend has no request that asks."""
        await trio.lowlevel.checkpoint()
        return True

    def _post(self, path: str, document: Mapping[str, Any]) -> HttpRequest:
        return HttpRequest(
            method="POST",
            url=f"{self._base_url}{path}",
            headers=self._headers,
            before=dumps(document).encode(),
        )

    def _finalisation(self, remote: Remote) -> HttpRequest:
        return self._post(f"/files/{quote(remote.id, safe='')}/uploaded", {})

    async def _answered(self, request: HttpRequest) -> Answer:
        try:
            return await self._client.send(request)
        except Lost as lost:
            raise lost.retryable() from None

    def _state(self, answer: Answer, garbled: type[Retryable | OutcomeUnknown]) -> str:
        """Return the status in the document of a finalisation."""
        if not is_success(answer):
            raise refusal_of(answer, self._client.redact)
        match document_of(answer):
            case {"status": str(state)}:
                return state
            case _:
                raise garbled("an answer without a status", status=answer.status)


def remote_of(answer: Answer, base_url: str) -> Remote:
    """Return what a backend answered to an announcement."""
    match document_of(answer):
        case {"file_id": given, "upload_url": str(url)} if (
            url and url.isprintable() and (file_id := id_of(given)) is not None
        ):
            if base_url.startswith("https:") and not url.startswith("https:"):
                raise Refused("the backend wants the file to be put without encryption")
            return Remote(file_id, secret=url)
        case _:
            raise Retryable("an answer without file_id and upload_url", status=answer.status)


def _redactor_of(token: str, url: str) -> Redactor:
    """Return what also hides the values that a URL is signed with."""
    try:
        signed = [value for _, value in parse_qsl(urlsplit(url).query)]
    except ValueError:
        signed = [url]
    return Redactor.of([token, url, *signed])
