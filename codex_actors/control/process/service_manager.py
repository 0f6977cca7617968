"""Owns what systemd is told: that the process is ready, stops, is alive.

Invariant: without a service manager nothing happens, and no failure to reach one is an error of the
process: it is told once, to `on_error`. Must not know what the process does.

The protocol is that of sd_notify(3): datagrams of KEY=VALUE lines.
"""

import math
import os
import socket
from collections.abc import Callable, Mapping
from typing import final

import trio

from codex_actors.telemetry.text import one_line

__all__ = ["ServiceManager"]

# How long systemd may be busy.
_PATIENCE = 5.0
_LONGEST = 107


@final
class ServiceManager:
    """Who started this process, if that wants to know of it.

    Args:
        address: A path, or "@" and the name of an abstract socket; None if nobody wants to know.
        watchdog: Seconds within which a sign of life is expected; `math.inf` for none.
        on_error: Called with the first failure.

    Attributes:
        watchdog: As given.
    """

    def __init__(
        self,
        address: str | None,
        watchdog: float = math.inf,
        on_error: Callable[[Exception], object] = lambda _error: None,
    ) -> None:
        self._address = address
        self.watchdog = watchdog
        self._on_error: Callable[[Exception], object] | None = on_error

    @classmethod
    def of(
        cls,
        environ: Mapping[str, str],
        on_error: Callable[[Exception], object] = lambda _error: None,
    ) -> "ServiceManager":
        """Return the one that the environment names (NOTIFY_SOCKET, WATCHDOG_USEC)."""
        watchdog = math.inf
        micros = environ.get("WATCHDOG_USEC", "")
        # Variables for another process are inherited by this one.
        if environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()) and micros.isdecimal():
            watchdog = float(micros) / 1e6 or math.inf  # as an int it may be too large
        return cls(environ.get("NOTIFY_SOCKET") or None, watchdog, on_error)

    async def ready(self, status: str) -> None:
        """The process does its work from now on."""
        await self._tell(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={one_line(status)}")

    async def stopping(self, status: str) -> None:
        """It has begun to end."""
        await self._tell(f"STOPPING=1\nSTATUS={one_line(status)}")

    async def keep_alive(self) -> None:
        """Give signs of life, twice as often as they are expected, until cancelled."""
        while self._address is not None and not math.isinf(self.watchdog):
            await self._tell("WATCHDOG=1")
            await trio.sleep(self.watchdog / 2)

    async def _tell(self, message: str) -> None:
        if self._address is None:
            return
        try:
            with trio.fail_after(_PATIENCE):
                await _send(_socket_address(self._address), message.encode())
        except (OSError, ValueError, trio.TooSlowError) as error:
            on_error, self._on_error = self._on_error, None
            if on_error is not None:
                on_error(error)


async def _send(address: str | bytes, datagram: bytes) -> None:
    """Send a datagram: at once, without a checkpoint, unless the other side has no room.

    So what is told at the very end gets out before what tells it is cancelled.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(0)
        channel.connect(address)
        while True:
            try:
                channel.send(datagram)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(channel)
            else:
                return


def _socket_address(address: str) -> str | bytes:
    encoded = os.fsencode(address)
    if len(encoded) > _LONGEST:
        raise ValueError(f"NOTIFY_SOCKET is too long: {address}")
    if address.startswith("/"):
        return address
    if address.startswith("@"):
        return b"\0" + encoded[1:]
    raise ValueError(f"NOTIFY_SOCKET is neither a path nor an abstract socket: {address}")
