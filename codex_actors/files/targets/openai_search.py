"""Owns finding out whether a file whose answer was lost has come to be at OpenAI.

Invariant: a file is taken for ours only when its bytes have our checksum; that none is there is
said only when all that could be it have been looked at. Only asks. Must not know what follows.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast, final
from urllib.parse import quote

from codex_actors.files.store.hashing import hasher
from codex_actors.files.targets.answers import (
    document_of,
    id_of,
    is_success,
    moment_of,
    refusal_of,
)
from codex_actors.files.targets.http_client import HttpClient, HttpRequest, Lost
from codex_actors.files.targets.protocol import Fate, Finished, Outgoing, Refused, Retryable

__all__ = ["Search"]

PAGE = 100
MAX_PAGES = 10
# Between this machine's clock and the server's.
SKEW = timedelta(minutes=5)
# Reading back more would take longer than an answer may.
MAX_READ_BACK = 256 * 2**20
# Servers differ in how they read such a name in a form, so it proves nothing.
AMBIGUOUS = frozenset('"\\%')


@final
class Search:
    """Looks for one file among those of an account."""

    def __init__(
        self,
        client: HttpClient,
        get: Callable[[str, Mapping[str, str] | None], HttpRequest],
        purpose: str,
    ) -> None:
        self._client = client
        self._get = get
        self._purpose = purpose

    async def find(self, file: Outgoing) -> Finished | Fate:
        """Return the file, NOT_DONE if it is not there, UNKNOWN if that cannot be told.

        Raises:
            Retryable: The server could not be asked now.
        """
        unread = False
        after: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._page(after)
            if page is None:
                return Fate.UNKNOWN
            listed, has_more = page
            for described in listed:
                created = moment_of(described.get("created_at"))
                if created is not None and created < file.started_at - SKEW:
                    return Fate.UNKNOWN if unread else Fate.NOT_DONE
                if self._could_be(described, file):
                    same = await self._has_same_bytes(str(described["id"]), file)
                    if same:
                        return Finished(
                            str(described["id"]), moment_of(described.get("expires_at"))
                        )
                    unread = unread or same is None
            if not has_more or not listed:
                return Fate.UNKNOWN if unread else Fate.NOT_DONE
            after = id_of(listed[-1].get("id"))
            if after is None:
                return Fate.UNKNOWN
        return Fate.UNKNOWN

    async def _page(self, after: str | None) -> tuple[list[dict[str, Any]], bool] | None:
        """Return one page of the listing, the newest first; None if the server gives none."""
        query = {"purpose": self._purpose, "order": "desc", "limit": str(PAGE)}
        if after is not None:
            query["after"] = after
        try:
            answer = await self._client.send(self._get("/files", query))
        except Lost as lost:
            raise lost.retryable() from None
        if not is_success(answer):
            refusal = refusal_of(answer, self._client.redact)
            if isinstance(refusal, Refused):
                return None
            raise refusal
        document = document_of(answer) or {}
        data = document.get("data")
        if not isinstance(data, list):
            raise Retryable("an answer that is no list of Files", status=answer.status)
        listed = [
            cast("dict[str, Any]", described)
            for described in cast("list[Any]", data)  # type: ignore[redundant-cast] # to pyright it is a list of unknowns
            if isinstance(described, dict)
        ]
        return listed, document.get("has_more") is True

    def _could_be(self, described: Mapping[str, Any], file: Outgoing) -> bool:
        name = described.get("filename")
        return (
            id_of(described.get("id")) is not None
            and described.get("purpose") == self._purpose
            and (described.get("bytes") is None or described["bytes"] == file.size)
            and (name == file.name or not AMBIGUOUS.isdisjoint(file.name))
        )

    async def _has_same_bytes(self, file_id: str, file: Outgoing) -> bool | None:
        """Tell whether a file has our checksum; None if it cannot be read."""
        if file.size > MAX_READ_BACK:
            return None
        request = self._get(f"/files/{quote(file_id, safe='')}/content", None)
        hashing = hasher(file.algorithm)
        size = 0
        try:
            async with self._client.stream(request) as (answer, pieces):
                if not is_success(answer):
                    refusal = refusal_of(answer, self._client.redact)
                    if isinstance(refusal, Refused):
                        return None
                    raise refusal
                async for piece in pieces:
                    hashing.update(piece)
                    size += len(piece)
                    if size > file.size:
                        return False
        except Lost as lost:
            raise lost.retryable() from None
        return size == file.size and hashing.hexdigest() == file.checksum
