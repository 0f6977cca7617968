"""Owns reading `multipart/form-data` as it comes: heads, and contents piece by piece.

Invariant: holds a head or a piece of a content, never a content; what is not exactly the format is
refused. Must not know what the fields mean.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, final

from attrs import frozen

from codex_actors.testing.http import Refused

if TYPE_CHECKING:
    from codex_actors.testing.http import Body, HttpHead

__all__ = ["Field", "MultipartReader", "boundary_of"]

MAX_FIELD_HEAD = 8 * 2**10
MAX_FIELD_VALUE = 64 * 2**10
_BOUNDARY = re.compile(r'multipart/form-data;\s*boundary="?([0-9A-Za-z\'()+_,./:=?-]{1,70})"?')
_DISPOSITION = re.compile(r'form-data; name="([^"]*)"(?:; filename="((?:[^"\\]|\\.)*)")?')
_ESCAPED = re.compile(r"%22|%0D|%0A|\\(.)")


@frozen
class Field:
    """The head of one field."""

    name: str
    filename: str | None
    content_type: str | None


def boundary_of(head: HttpHead) -> bytes:
    """Return the boundary that a request announces.

    Raises:
        Refused: It is no form.
    """
    content_type = head.headers.get("content-type", "")
    found = _BOUNDARY.fullmatch(content_type)
    if found is None:
        raise Refused(
            HTTPStatus.BAD_REQUEST, f"no multipart/form-data with a boundary: {content_type[:80]!r}"
        )
    return found[1].encode()


@final
class MultipartReader:
    """Reads the fields of one form, in order."""

    def __init__(self, body: Body, boundary: bytes) -> None:
        self._body = body
        self._mark = b"\r\n--" + boundary
        # The first boundary has no line before it whose end could belong to it.
        self._buffer = b"\r\n"
        self._at_boundary = False

    async def next_field(self) -> Field | None:
        """Return the head of the next field, None after the last; its content must be read first.

        Raises:
            Refused: What came is no form.
        """
        if not self._at_boundary and await self.receive():
            raise Refused(HTTPStatus.BAD_REQUEST, "something before the first boundary of a form")
        await self._fill(2)
        ending = self._taken(2)
        if ending == b"--":
            await self._end()
            return None
        if ending != b"\r\n":
            raise Refused(HTTPStatus.BAD_REQUEST, "a boundary that is followed by neither")
        self._at_boundary = False
        return _field(await self._field_head())

    async def receive(self) -> bytes:
        """Return the next bytes of the field's content; none at its end."""
        while True:
            at = self._buffer.find(self._mark)
            if at == 0:
                self._taken(len(self._mark))
                self._at_boundary = True
                return b""
            ready = at if at > 0 else self._certain()
            if ready > 0:
                return self._taken(ready)
            await self._more()

    def _certain(self) -> int:
        """Return how many bytes are content for certain: a mark may have begun at the end."""
        at = self._buffer.find(b"\r", max(0, len(self._buffer) - len(self._mark) + 1))
        while at >= 0 and not self._mark.startswith(self._buffer[at:]):
            at = self._buffer.find(b"\r", at + 1)
        return len(self._buffer) if at < 0 else at

    def _taken(self, count: int) -> bytes:
        """Take bytes out of the buffer; all of it without a copy."""
        taken = self._buffer[:count]
        self._buffer = self._buffer[count:]
        return taken

    async def value(self) -> str:
        """Return the whole content of a short field."""
        value = bytearray()
        while piece := await self.receive():
            value += piece
            if len(value) > MAX_FIELD_VALUE:
                raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a form field that is too long")
        return value.decode("utf-8", "replace")

    async def _field_head(self) -> str:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_FIELD_HEAD:
                raise Refused(HTTPStatus.BAD_REQUEST, "a form field whose head does not end")
            await self._more()
        return self._taken(end + 4)[:-4].decode("utf-8", "replace")

    async def _end(self) -> None:
        while piece := await self._body.receive():
            self._buffer += piece
            if len(self._buffer) > 2:  # noqa: PLR2004 - one line end
                break
        if self._buffer not in {b"", b"\r\n"}:
            raise Refused(HTTPStatus.BAD_REQUEST, "something after the last boundary of a form")

    async def _fill(self, count: int) -> None:
        while len(self._buffer) < count:
            await self._more()

    async def _more(self) -> None:
        piece = await self._body.receive()
        if not piece:
            raise Refused(HTTPStatus.BAD_REQUEST, "a form that ends without its last boundary")
        self._buffer += piece


def _field(head: str) -> Field:
    headers: dict[str, str] = {}
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    disposition = _DISPOSITION.fullmatch(headers.get("content-disposition", ""))
    if disposition is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "a form field without its name")
    filename = disposition[2]
    return Field(
        disposition[1],
        None if filename is None else _ESCAPED.sub(_unescape, filename),
        headers.get("content-type"),
    )


def _unescape(escaped: re.Match[str]) -> str:
    # As browsers write them (HTML, "multipart form data").
    return escaped[1] or {"%22": '"', "%0D": "\r", "%0A": "\n"}[escaped[0]]
