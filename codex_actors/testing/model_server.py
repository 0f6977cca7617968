"""Owns the model server as a program: `python -m codex_actors.testing.model_server`.

Invariant: prints one line, `ready <base URL>`, once it can be reached and signalled, and ends by
itself. Must not know HTTP. (The server itself is in `provider`, so that this module can be run
without having been imported by its package.)
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from typing import TYPE_CHECKING

import trio

from codex_actors.testing.provider import ModelServer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ModelServer", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM, the idle timeout, or with `--once` the first reply."""
    parser = argparse.ArgumentParser(
        prog="python -m codex_actors.testing.model_server",
        description="A stand-in for the model provider of codex, on 127.0.0.1.",
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
    trio.run(_serve_until_done, options)
    return 0


async def _serve_until_done(options: argparse.Namespace) -> None:
    # Before the ready line: whoever reads it may signal at once.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with (
            ModelServer(reply=options.reply, port=options.port) as server,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(_until_done, server, options, nursery.cancel_scope)
            sys.stdout.write(f"ready {server.base_url}\n")
            sys.stdout.flush()
            await anext(signals)
            nursery.cancel_scope.cancel()


async def _until_done(
    server: ModelServer, options: argparse.Namespace, scope: trio.CancelScope
) -> None:
    active = True
    while active and not (options.once and server.turns and server.answered):
        with trio.move_on_after(options.idle_timeout) as idle:
            await server.wait_activity()
        active = not idle.cancelled_caught
    scope.cancel()


if __name__ == "__main__":
    sys.exit(main())
