"""Owns the running of a stand-in server: one loopback port, for the length of a block.

Invariant: it listens on 127.0.0.1 only; when the block is left, whatever ends it, nothing of the
server runs any more, and the error of the block passes by. Must not know what is served.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack, nullcontext
from typing import TYPE_CHECKING, Self

import trio

from codex_actors._background import open_background

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

__all__ = ["LoopbackServer"]

HOST = "127.0.0.1"


class LoopbackServer(ABC):
    """A server on 127.0.0.1, to be used by `async with`.

    Arguments:
        port: 0 takes a free one.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._url: str | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.enter_context(self._running())
            listeners = await trio.open_tcp_listeners(self._port, host=HOST)
            nursery = await stack.enter_async_context(open_background())
            self._url = f"http://{HOST}:{listeners[0].socket.getsockname()[1]}"
            nursery.start_soon(trio.serve_listeners, self._serve, listeners)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The body's error is not the server's: it passes by.
        await self._stack.__aexit__(None, None, None)  # noqa: ASYNC102 - only cancels its tasks

    @property
    def url(self) -> str:
        """The server's root, `http://127.0.0.1:<port>`.

        Raises:
            RuntimeError: The server has not been entered.
        """
        if self._url is None:
            raise RuntimeError(f"the {type(self).__name__} is not running: use `async with`")
        return self._url

    def _running(self) -> AbstractContextManager[None]:
        """Hold what the server needs while it runs."""
        return nullcontext()

    @abstractmethod
    async def _serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection."""
