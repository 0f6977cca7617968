"""Owns just enough HTTP/1.1 for a test server: reading requests, writing answers.

Invariant: a request is read as it was framed or refused with a status; no more than the bounds is
ever held, whatever the client sends. Must not know what is served.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio.abc import ReceiveStream

__all__ = [
    "MAX_BODY",
    "Body",
    "HttpBody",
    "HttpHead",
    "HttpReader",
    "HttpRequest",
    "Refused",
    "response",
    "response_head",
]

MAX_HEAD = 64 * 2**10
MAX_BODY = 256 * 2**20
"""Bytes: images travel as base64 text inside one request, and codex repeats the whole thread."""

MAX_FRAMING = 256
CHUNK = 65_536
PIECE = 256 * 2**10
"""Bytes of a body that are taken at a time."""

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
class HttpHead:
    """What precedes a body, header names in lower case; of repeated headers, the values joined."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def keep_alive(self) -> bool:
        """Whether the client may send another request on this connection."""
        return self.headers.get("connection", "").lower() != "close"


@frozen(kw_only=True)
class HttpRequest(HttpHead):
    """One request, read whole."""

    body: bytes


class Body(Protocol):
    """A body to be received piece by piece; see `HttpBody`."""

    async def receive(self, limit: int = PIECE) -> bytes:
        """Return the next bytes, at most `limit`; none at the end."""
        ...


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
        head = await self.next_head()
        if head is None:
            return None
        body = self.body(head)
        whole = bytearray()
        while piece := await body.receive():
            whole += piece
        return HttpRequest(
            method=head.method, target=head.target, headers=head.headers, body=bytes(whole)
        )

    async def next_head(self) -> HttpHead | None:
        """Return the next request's head; its body has to be read before the next.

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
        return HttpHead(method=request_line[1], target=request_line[2], headers=headers)

    def body(self, head: HttpHead) -> HttpBody:
        """Return the body that follows a head.

        Raises:
            Refused: Its framing is not acceptable, or it is announced to be too long.
        """
        coding = head.headers.get("transfer-encoding")
        length = head.headers.get("content-length")
        if coding is not None and length is not None:
            raise Refused(HTTPStatus.BAD_REQUEST, "both Transfer-Encoding and Content-Length")
        if coding is not None:
            if coding.lower() != "chunked":
                raise Refused(HTTPStatus.NOT_IMPLEMENTED, f"transfer coding {coding[:80]!r}")
            return HttpBody(self, None)
        if length is None:
            return HttpBody(self, 0)
        if not _LENGTH.fullmatch(length):
            raise Refused(HTTPStatus.BAD_REQUEST, f"Content-Length {length[:80]!r}")
        self.check_length(int(length))
        return HttpBody(self, int(length))

    def check_length(self, length: int) -> None:
        """Refuse a body that is too long."""
        if length > self._max_body:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of more than {self._max_body:,} bytes"
            )

    async def next_chunk(self, *, first: bool) -> int:
        """Return the size of the next chunk of a chunked body, 0 after the last."""
        if not first and await self._line():
            raise Refused(HTTPStatus.BAD_REQUEST, "a chunk longer than its size")
        size = _CHUNK_SIZE.fullmatch(await self._line())
        if size is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "a chunk without its size")
        count = int(size[1], 16)
        if count == 0:
            while await self._line():
                pass  # trailers say nothing that is needed here
        return count

    async def take(self, limit: int) -> bytes:
        """Return some bytes of a body, at most `limit`."""
        if self._buffer:
            data = bytes(self._buffer[:limit])
            del self._buffer[:limit]
            return data
        data = bytes(await self._stream.receive_some(min(limit, PIECE)))
        if not data:
            raise Refused(HTTPStatus.BAD_REQUEST, "the body ends too early")
        return data

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

    async def _receive(self) -> bool:
        data = await self._stream.receive_some(CHUNK)
        self._buffer += data
        return bool(data)


@final
class HttpBody:
    """The body of one request, to be received piece by piece.

    Attributes:
        length: Bytes, as announced; None for a chunked body, which says its length by its end.
        received: Bytes so far.
    """

    def __init__(self, reader: HttpReader, length: int | None) -> None:
        self.length = length
        self.received = 0
        self._reader = reader
        self._chunked = length is None
        self._pending = length or 0

    @property
    def finished(self) -> bool:
        """Whether all of it has been received."""
        return not self._chunked and not self._pending

    async def receive(self, limit: int = PIECE) -> bytes:
        """Return the next bytes, at most `limit`; none at the end.

        Raises:
            Refused: The client ended too early, or what it sent is longer than allowed.
        """
        if self._chunked and not self._pending:
            self._pending = await self._reader.next_chunk(first=not self.received)
            self._chunked = self._pending > 0
            self._reader.check_length(self.received + self._pending)
        if not self._pending:
            return b""
        piece = await self._reader.take(min(limit, self._pending))
        self._pending -= len(piece)
        self.received += len(piece)
        return piece


def response(
    status: HTTPStatus, content_type: str, body: bytes, *, keep_alive: bool = True
) -> bytes:
    """Write one answer."""
    return response_head(status, content_type, len(body), keep_alive=keep_alive) + body


def response_head(
    status: int,
    content_type: str,
    length: int,
    *,
    headers: Mapping[str, str] | None = None,
    keep_alive: bool = True,
) -> bytes:
    """Write the head of an answer whose body of `length` bytes follows."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = {
        "content-type": content_type,
        "content-length": str(length),
        "connection": "keep-alive" if keep_alive else "close",
        **(headers or {}),
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} {phrase}\r\n{text}\r\n".encode("latin-1")
