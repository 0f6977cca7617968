"""Owns just enough HTTP/1.1 for a test server: reading requests, writing answers.

Invariant: a request is read whole or refused with a status; no more than the bounds is ever held,
whatever the client sends. Must not know what is served.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio.abc import ReceiveStream

__all__ = ["MAX_BODY", "HttpReader", "HttpRequest", "Refused", "response"]

MAX_HEAD = 64 * 2**10
MAX_BODY = 256 * 2**20
"""Bytes: images travel as base64 text inside one request, and codex repeats the whole thread."""

MAX_FRAMING = 256
CHUNK = 65_536
_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-~]*) HTTP/1\.[01]")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(r"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?")


class Refused(Exception):
    """The client sent what is no acceptable request; answer with `status` and close."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


@frozen(kw_only=True)
class HttpRequest:
    """One request, its header names in lower case; of repeated headers, the values joined."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def keep_alive(self) -> bool:
        """Whether the client may send another request on this connection."""
        return self.headers.get("connection", "").lower() != "close"


@final
class HttpReader:
    """Reads requests from one connection."""

    def __init__(self, stream: ReceiveStream, *, max_body: int = MAX_BODY) -> None:
        self._stream = stream
        self._max_body = max_body
        self._buffer = bytearray()

    async def next_request(self) -> HttpRequest | None:
        """Return the next request, None when the client has closed the connection between two.

        Raises:
            Refused: What came is no acceptable HTTP/1.1 request.
        """
        head = await self._until(b"\r\n\r\n", MAX_HEAD)
        if head is None:
            return None
        first, *lines = head.split("\r\n")
        request_line = _REQUEST_LINE.fullmatch(first)
        if request_line is None:
            raise Refused(HTTPStatus.BAD_REQUEST, f"no HTTP/1.1 request line: {first[:80]!r}")
        headers: dict[str, str] = {}
        for line in lines:
            header = _HEADER.fullmatch(line)
            if header is None:
                raise Refused(HTTPStatus.BAD_REQUEST, f"no header line: {line[:80]!r}")
            name = header[1].lower()
            headers[name] = f"{headers[name]}, {header[2]}" if name in headers else header[2]
        return HttpRequest(
            method=request_line[1],
            target=request_line[2],
            headers=headers,
            body=await self._body(headers),
        )

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        coding = headers.get("transfer-encoding")
        length = headers.get("content-length")
        if coding is not None and length is not None:
            raise Refused(HTTPStatus.BAD_REQUEST, "both Transfer-Encoding and Content-Length")
        if coding is not None:
            if coding.lower() != "chunked":
                raise Refused(HTTPStatus.NOT_IMPLEMENTED, f"transfer coding {coding[:80]!r}")
            return await self._chunked()
        if length is None:
            return b""
        if not _LENGTH.fullmatch(length):
            raise Refused(HTTPStatus.BAD_REQUEST, f"Content-Length {length[:80]!r}")
        return await self._exactly(int(length), 0)

    async def _chunked(self) -> bytes:
        body = bytearray()
        while True:
            size = _CHUNK_SIZE.fullmatch(await self._line())
            if size is None:
                raise Refused(HTTPStatus.BAD_REQUEST, "a chunk without its size")
            count = int(size[1], 16)
            if count == 0:
                break
            body += await self._exactly(count, len(body))
            if await self._line():
                raise Refused(HTTPStatus.BAD_REQUEST, "a chunk longer than its size")
        while await self._line():
            pass  # trailers say nothing that is needed here
        return bytes(body)

    async def _line(self) -> str:
        line = await self._until(b"\r\n", MAX_FRAMING)
        if line is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "the body ends too early")
        return line

    async def _until(self, mark: bytes, limit: int) -> str | None:
        """Take what comes before `mark`; None when the stream ends with nothing pending."""
        searched = 0
        while (end := self._buffer.find(mark, searched)) < 0:
            searched = max(0, len(self._buffer) - len(mark) + 1)
            if len(self._buffer) > limit:
                break
            if not await self._receive():
                if not self._buffer:
                    return None
                raise Refused(HTTPStatus.BAD_REQUEST, "the request ends too early")
        if end < 0 or end > limit:
            raise Refused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"no end within {limit:,} bytes"
            )
        text = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + len(mark)]
        return text

    async def _exactly(self, count: int, before: int) -> bytes:
        if before + count > self._max_body:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of more than {self._max_body:,} bytes"
            )
        while len(self._buffer) < count:
            if not await self._receive():
                raise Refused(HTTPStatus.BAD_REQUEST, "the body ends too early")
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def _receive(self) -> bool:
        data = await self._stream.receive_some(CHUNK)
        self._buffer += data
        return bool(data)


def response(
    status: HTTPStatus, content_type: str, body: bytes, *, keep_alive: bool = True
) -> bytes:
    """Write one answer."""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"content-type: {content_type}\r\n"
        f"content-length: {len(body)}\r\n"
        f"connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
    )
    return head.encode("latin-1") + body
