"""A served socket, somebody who answers at it, a client that may say anything, and what it says."""

import json
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import trio
from attrs import frozen
from hypothesis import strategies as st

from codex_actors.control.claim import claim_address
from codex_actors.control.limits import Limits
from codex_actors.control.lines import Lines, LineTooLong
from codex_actors.control.messages import Request
from codex_actors.control.server import serve
from codex_actors.control.session import Answer, Notify

PATIENCE = 20.0
"""Seconds after which a test has failed."""

texts = st.text(alphabet=st.characters())  # lone surrogates, too
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
)


@frozen(kw_only=True)
class Ask(Request):
    """A request that only these tests know."""

    method: ClassVar[str] = "ask"
    name: str = "echo"
    value: Any = None


class Desk:
    """Answers: `echo`, `wait` (for ever), or what it was given.

    Attributes:
        begun: How often each has begun.
        cancelled: How often each was cancelled.
    """

    def __init__(self, **answers: Callable[[Any, Notify], Any]) -> None:
        self.begun: dict[str, int] = {}
        self.cancelled: dict[str, int] = {}
        self._answers = answers
        self._lot = trio.lowlevel.ParkingLot()

    async def answer(self, method: str, params: object, notify: Notify) -> object:
        """Answer one request; that of `Ask` is named in its parameters."""
        if method == "ask":
            asked = cast("dict[str, Any]", params)
            method, params = asked.get("name", "echo"), asked.get("value")
        self._count(self.begun, method)
        try:
            if method == "wait":
                await trio.sleep_forever()
            given = self._answers.get(method)
            result: object = {"params": params} if given is None else given(params, notify)
            if hasattr(result, "__await__"):
                result = await cast("Any", result)
        except trio.Cancelled:
            self._count(self.cancelled, method)
            raise
        else:
            return result

    def _count(self, counts: dict[str, int], method: str) -> None:
        counts[method] = counts.get(method, 0) + 1
        self._lot.unpark_all()

    async def wait(self, counts: dict[str, int], method: str, count: int = 1) -> None:
        """Wait until one of the counts has come so far."""
        with trio.fail_after(PATIENCE):
            while counts.get(method, 0) < count:
                await self._lot.park()


@contextmanager
def short_folder() -> Generator[Path]:
    """A temporary folder in which a socket's path is short enough."""
    with tempfile.TemporaryDirectory(prefix="w") as folder:
        yield Path(folder)


@asynccontextmanager
async def serving(
    answer: Answer, *, limits: Limits | None = None, reports: list[str] | None = None
) -> AsyncGenerator[Path]:
    """Serve at a socket; without `reports`, nothing may be reported."""
    told: list[str] = [] if reports is None else reports
    with short_folder() as folder, claim_address(folder / "s.sock") as listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(serve, listener, answer, limits=limits or Limits(), on_error=told.append)
            )
            with trio.fail_after(PATIENCE):
                yield folder / "s.sock"
            nursery.cancel_scope.cancel()
    assert reports is not None or not told, told


class Stranger:
    """A client that sends bytes, and reads lines."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._lines = Lines(2**28)
        self._read: list[bytes | LineTooLong] = []

    async def send(self, *documents: object) -> None:
        """Send lines at once: bytes as they are, anything else as JSON."""
        lines = [
            document if isinstance(document, bytes) else json.dumps(document).encode()
            for document in documents
        ]
        await self.stream.send_all(b"".join(line + b"\n" for line in lines))

    async def ask(self, method: str = "echo", *, id_: object = 1, **more: object) -> Any:
        """Ask, and return the answer."""
        await self.send({"jsonrpc": "2.0", "id": id_, "method": method, **more})
        return await self.hear()

    async def hear(self) -> Any:
        """Return the next document, None at the end."""
        while not self._read:
            try:
                data = await self.stream.receive_some(2**18)
            except trio.BrokenResourceError:
                return None
            if not data:
                return None
            self._read += self._lines.feed(data)
        line = self._read.pop(0)
        assert isinstance(line, bytes)
        return json.loads(line)


@asynccontextmanager
async def stranger(path: Path) -> AsyncGenerator[Stranger]:
    """Connect to a socket."""
    async with await trio.open_unix_socket(path) as stream:
        yield Stranger(stream)


def request(method: str = "echo", id_: object = 1, **more: object) -> dict[str, Any]:
    """A request as a document."""
    return {"jsonrpc": "2.0", "id": id_, "method": method, **more}
