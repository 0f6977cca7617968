"""Owns HTTP: one request at a time by httpx2, its body streamed, its answer bounded.

Invariant: no redirect is followed, no answer above `MAX_ANSWER` is held, and no log line of the
client's shows a query. Every request has a connection of its own: an answer can then not be taken
for that of another request, nor a connection die of age just when it is used again, which would
leave open whether a request took effect; beside bodies of megabytes the handshake is cheap. Time
limits are the upload's, but for connecting. Must not know what the requests are for.

Imported when the first session is opened, and nowhere else: it imports httpx2.
"""

import errno
import os
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final, final

import attrs
import httpx2
import trio
from attrs import field, frozen

from codex_actors.files.errors import InvalidConfig
from codex_actors.files.targets.answers import Answer, Redactor
from codex_actors.files.targets.log_lines import hide_queries
from codex_actors.files.targets.protocol import Body, Refused, Retryable

__all__ = ["HttpClient", "HttpRequest", "Lost", "open_http"]

CONNECT_TIMEOUT = 15.0
MAX_ANSWER = 2**20
CLEANUP_SECONDS = 1.0
USER_AGENT = "codex-actors"
# The way to the server is gone, which says nothing about what the server is doing.
UNREACHABLE = frozenset(
    {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
)


@frozen(kw_only=True)
class HttpRequest:
    """A request to be sent.

    Attributes:
        method: As HTTP knows it.
        url: Where to; may be signed.
        headers: Beside those about the body's length and the client's own.
        before: Bytes before the body.
        body: The body, None for none but `before`.
        after: Bytes after the body.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    before: bytes = field(default=b"", repr=False)
    body: Body | None = field(default=None, repr=False)
    after: bytes = field(default=b"", repr=False)

    @property
    def length(self) -> int:
        """Bytes of all that is sent after the head."""
        return len(self.before) + (0 if self.body is None else self.body.size) + len(self.after)


class Lost(Exception):
    """A request that was not answered.

    Args:
        message: What happened.
        sent: Whether the request went out whole; if not, no server can have carried it out.
        ended: Whether the other side ended the exchange: it is not working on the request any more.
    """

    def __init__(self, message: str, *, sent: bool, ended: bool) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent
        self.ended = ended

    def retryable(self) -> Retryable:
        """Return the failure, where repeating the request does no harm."""
        return Retryable(self.message)


@final
class HttpClient:
    """Sends requests; any number at a time."""

    def __init__(self, client: httpx2.AsyncClient, redact: Redactor) -> None:
        self._client = client
        self.redact: Final = redact

    async def send(self, request: HttpRequest) -> Answer:
        """Send a request, return its answer, whatever its status.

        Raises:
            Lost: There was no answer.
            Refused: The request cannot be sent at all, or the server's certificate is not trusted.
        """
        async with self.stream(request) as (answer, pieces):
            body = bytearray()
            try:
                async for piece in pieces:
                    body += piece
                    if len(body) > MAX_ANSWER:
                        return attrs.evolve(answer, body=bytes(body[:MAX_ANSWER]), whole=False)
            except Lost:
                return attrs.evolve(answer, body=bytes(body), whole=False)
            return attrs.evolve(answer, body=bytes(body))

    @asynccontextmanager
    async def stream(
        self, request: HttpRequest
    ) -> AsyncGenerator[tuple[Answer, AsyncIterator[bytes]]]:
        """Send a request, and give its answer without a body, and the body piece by piece.

        Raises:
            Lost: There was no answer, or its body does not come to its end.
            Refused: See `send`.
        """
        outgoing = _Outgoing(request)
        try:
            response = await self._start(request, outgoing)
        finally:
            await outgoing.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        pieces = _Pieces(response, self.redact)
        try:
            yield Answer(response.status_code, headers, b""), pieces
        finally:
            await pieces.aclose()

    async def _start(self, request: HttpRequest, outgoing: "_Outgoing") -> httpx2.Response:
        host = "the server"
        try:
            url = httpx2.URL(request.url)
            host = url.host
            sent = httpx2.Request(
                request.method,
                url,
                headers={
                    "Host": url.netloc.decode("ascii"),
                    "Content-Length": str(request.length),
                    "User-Agent": USER_AGENT,
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                    **request.headers,
                },
                stream=outgoing,
                extensions={"timeout": {"connect": CONNECT_TIMEOUT}},
            )
            return await self._client.send(sent, stream=True)
        except (httpx2.InvalidURL, httpx2.TransportError) as error:
            failure = self._failure(error, host, sent=outgoing.finished)
        # Raised here, where no error of httpx2 hangs on it: those hold the request, with its
        # headers and its signed address.
        raise failure

    def _failure(self, error: Exception, host: str, *, sent: bool) -> Lost | Refused:
        told = self._told(error)
        match error:
            case httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError():
                return Refused(f"a request that cannot be sent: {told}")
            case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.ProxyError():
                if isinstance(_root(error), ssl.SSLCertVerificationError):
                    return Refused(
                        f"the server's certificate is not trusted: {told}; if it is that of your"
                        " own authority, name its file in SSL_CERT_FILE"
                    )
                return Lost(f"no connection to {host}: {told}", sent=False, ended=True)
            case _:
                return Lost(f"the connection broke: {told}", sent=sent, ended=_is_ended(error))

    def _told(self, error: BaseException) -> str:
        return self.redact(str(_root(error)) or type(_root(error)).__name__)


@final
class _Outgoing(httpx2.AsyncByteStream):
    """What goes out: some bytes, a body, some bytes."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._chunks: AsyncIterator[bytes] | None = None
        self.finished = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._request.before:
            yield self._request.before
        if self._request.body is not None:
            self._chunks = aiter(self._request.body)
            async for chunk in self._chunks:
                yield chunk
        if self._request.after:
            yield self._request.after
        # Asked for more: what was yielded has been taken.
        self.finished = True

    async def aclose(self) -> None:
        """Close the body, which may have been left in the middle."""
        await _close(self._chunks)


@final
class _Pieces:
    """The body of an answer, piece by piece."""

    def __init__(self, response: httpx2.Response, redact: Redactor) -> None:
        self._response = response
        self._redact = redact
        self._raw = response.aiter_raw()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._raw)
        except httpx2.TransportError as error:
            message = self._redact(str(_root(error)) or type(error).__name__)
            lost = Lost(f"the answer was cut off: {message}", sent=True, ended=_is_ended(error))
        raise lost  # without the error of httpx2, which holds the request

    async def aclose(self) -> None:
        """Close the connection."""
        with trio.move_on_after(CLEANUP_SECONDS, shield=True):
            await self._response.aclose()
            # Left in the middle, generators deep inside of httpx2 would wait for the garbage
            # collector. What is still in buffers ends at the connection, which is closed.
            with suppress(httpx2.HTTPError, httpx2.StreamError):
                async for _ in self._raw:
                    pass


async def _close(iterator: object) -> None:
    """Close an asynchronous iterator that has something to close."""
    close = getattr(iterator, "aclose", None)
    if close is not None:
        with trio.move_on_after(CLEANUP_SECONDS, shield=True):
            await close()


def _root(error: BaseException) -> BaseException:
    """Return the system's error that lies beneath, else the innermost: the outer only repeat it."""
    while not isinstance(error, OSError) and (cause := error.__cause__ or error.__context__):
        error = cause
    return error


def _is_ended(error: BaseException) -> bool:
    if isinstance(error, httpx2.TimeoutException):
        return False
    root = _root(error)
    return not (isinstance(root, OSError) and root.errno in UNREACHABLE)


def open_http(redact: Redactor) -> AbstractAsyncContextManager[HttpClient]:
    """Open a client whose messages are free of some secrets; leaving it closes its connections."""
    return _open_http(redact)


@asynccontextmanager
async def _open_http(redact: Redactor) -> AsyncGenerator[HttpClient]:
    try:
        # Reading the certificates takes longer than an event loop may be held.
        context = await trio.to_thread.run_sync(_ssl_context)
    except OSError as error:
        raise InvalidConfig(
            f"The certificates to verify servers by cannot be read ({error}): mend SSL_CERT_FILE or"
            " SSL_CERT_DIR."
        ) from error
    async with _client(context) as client:
        yield HttpClient(client, redact)


def _client(context: ssl.SSLContext) -> httpx2.AsyncClient:
    try:
        return httpx2.AsyncClient(
            verify=context,
            auth=httpx2.Auth(),  # none, even if a URL has a user
            timeout=None,  # the upload's; each request has one for connecting
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=True,
        )
    except (ValueError, ImportError, httpx2.InvalidURL):
        pass
    # Raised here, without that error: it shows the address, which may hold a password.
    raise InvalidConfig(
        "A proxy of the environment cannot be used: give HTTP_PROXY, HTTPS_PROXY and ALL_PROXY as"
        " http://host:port (socks5://host:port needs the package socksio), or unset them."
    )


_contexts: dict[tuple[str | None, str | None], ssl.SSLContext] = {}
_making = threading.Lock()


def _ssl_context() -> ssl.SSLContext:
    """Return what verifies servers; made once for each setting of the environment."""
    key = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    with _making:
        if key not in _contexts:
            _contexts[key] = httpx2.create_ssl_context()
        return _contexts[key]


hide_queries()
