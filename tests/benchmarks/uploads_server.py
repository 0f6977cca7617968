"""The server of the upload benchmark, a process of its own: counts bytes and keeps none.

`python -m tests.benchmarks.uploads_server SECONDS` prints its base URL, waits so many seconds
before every answer, and ends with its standard input.
"""

import sys

import trio

from codex_actors.testing import OpenAIUploadServer


async def main(latency: float) -> None:
    """Serve until nobody holds the other end of the standard input."""
    async with OpenAIUploadServer(keep_bytes=False, latency=latency) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    trio.run(main, float(sys.argv[1]))
