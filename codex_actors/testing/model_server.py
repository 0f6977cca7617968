"""Owns the model server as a program: `python -m codex_actors.testing.model_server`.

It prints, each on a line of its own::

    ready http://127.0.0.1:43211/v1
    export CODEX_ACTORS_TEST_MODEL_KEY=test-key
    -c 'model_providers.codex_actors_test={...}' -c 'model_provider="..."' -c 'model="gpt-5"'
    turn 1: 1 image (852 bytes sha256 0f3a9c0d1e22); reply 'ok'

The second line is for the shell that is to run codex, the third goes behind
`python -m codex_actors exec "..."` there (or behind `codex exec`). Then each request for a response
that it answered is a line with the images of that turn, in order: `sha256sum` of the file begins
with the same digits when the picture arrived whole. (A turn with tools makes several requests.)

Invariant: the first line is `ready <base URL>` and comes once the server can be reached and
signalled; the program ends by itself; what it prints keeps no client waiting, whether or not
somebody reads it. Must not know HTTP. (The server itself is in `provider`, so that this module can
be run without having been imported by its package.)
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import shlex
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

from codex_actors._background import open_background
from codex_actors.codex.toml import config_arguments
from codex_actors.testing.provider import ModelServer
from codex_actors.testing.responses import assistant_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_actors.testing.responses import ModelRequest

__all__ = ["ModelServer", "main"]

STDOUT = 1
DIGITS = 12
PRINT_TIMEOUT = 1.0
"""Seconds that the last lines may take when the program ends and nobody reads them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM, the idle timeout, or with `--once` the first reply."""
    parser = argparse.ArgumentParser(
        prog="python -m codex_actors.testing.model_server",
        description="A stand-in for the model provider of codex, on 127.0.0.1. Prints its address, "
        "an `export` for your shell, options to paste after `python -m codex_actors exec PROMPT`, "
        "and then what arrives.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--reply", default="ok", help="what the model says")
    parser.add_argument("--once", action="store_true", help="end after the first reply")
    parser.add_argument(
        "--idle-timeout",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="end when no request came for so long (default: 600)",
    )
    options = parser.parse_args(arguments)
    if not 0 < options.idle_timeout < math.inf:
        parser.error("--idle-timeout must be a positive number of seconds")
    if options.port not in range(2**16):
        parser.error("--port must be between 0 and 65535")
    try:
        trio.run(_serve_until_done, options)
    except OSError as error:
        parser.error(f"port {options.port} cannot be served ({error}): give another, or 0")
    return 0


async def _serve_until_done(options: argparse.Namespace) -> None:
    turns = 0

    def respond(request: ModelRequest) -> list[dict[str, Any]]:
        nonlocal turns
        turns += 1
        lines.send_nowait(f"turn {turns}: {_images(request)}; reply {options.reply!r}")
        return [assistant_message(options.reply)]

    # As long as the requests that the server keeps, and no client waits for a reader.
    lines, printed = trio.open_memory_channel[str](math.inf)
    # Before the ready line: whoever reads it may signal at once.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with open_background() as background:
            drained = trio.Event()
            background.start_soon(_print, printed, drained)
            async with (
                lines,
                ModelServer(respond=respond, port=options.port) as server,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(_until_done, server, options, nursery.cancel_scope)
                lines.send_nowait(f"ready {server.base_url}")
                for name, value in server.env().items():
                    lines.send_nowait(f"export {name}={shlex.quote(value)}")
                lines.send_nowait(shlex.join(config_arguments(server.config())))
                await anext(signals)
                nursery.cancel_scope.cancel()
            with trio.move_on_after(PRINT_TIMEOUT):
                await drained.wait()


async def _until_done(
    server: ModelServer, options: argparse.Namespace, scope: trio.CancelScope
) -> None:
    active = True
    while active and not (options.once and server.turns and server.answered):
        with trio.move_on_after(options.idle_timeout) as idle:
            await server.wait_activity()
        active = not idle.cancelled_caught
    scope.cancel()


def _images(request: ModelRequest) -> str:
    """Describe a turn's images so that they can be compared with files."""
    try:
        images = request.images()
    except ValueError as error:
        return f"an image that is none ({error})"
    if not images:
        return "no image"
    described = [
        f"{len(image):,} bytes sha256 {hashlib.sha256(image).hexdigest()[:DIGITS]}"
        for image in images
    ]
    return f"{len(images)} image{'s' * (len(images) > 1)} ({', '.join(described)})"


async def _print(lines: trio.MemoryReceiveChannel[str], drained: trio.Event) -> None:
    async for line in lines:
        # Nobody may read it any more: the server is of use all the same.
        with suppress(OSError):
            await trio.to_thread.run_sync(_write, line, abandon_on_cancel=True)
    drained.set()


def _write(line: str) -> None:
    if sys.__stdout__ is None:
        return  # Started without one: its number may be a connection's by now.
    # Not by `sys.stdout`: a thread that is left in the middle of it would hold its lock, for which
    # the interpreter waits when it ends.
    data = f"{line}\n".encode(errors="backslashreplace")
    while data:
        data = data[os.write(STDOUT, data) :]


if __name__ == "__main__":
    sys.exit(main())
