"""The samples of the upload benchmark, each run as a process of its own by `measure`.

Each prints one JSON object: seconds, and MiB of memory that it took at its peak. What is sent has
been read before, so that no sample waits for the disk.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import trio

from codex_actors.files import FilesConfig, OpenAITarget, open_files

from .memory import peak, start_peak

_KEY = "sk-test"
_MIB = 1 << 20


async def ours(source: str, root: str, url: str, part_size: int, parallel: int) -> dict[str, float]:
    """Upload a staged file."""
    target = OpenAITarget(url, _KEY, part_size=part_size, parallel=parallel)
    config = FilesConfig(staging_dir=Path(root), durability="none", sweep_interval=3600)
    async with open_files(config) as files:
        # What the first upload of a process imports is no part of the next.
        await files.upload(b"first", name="first", target=target)
        attachment = await files.stage(source)
        _read(attachment.path)
        before = start_peak()
        start = time.perf_counter()
        await files.upload(attachment, target=target)
        took = time.perf_counter() - start
        return {"seconds": took, "memory": (peak() - before) / _MIB}


async def openai_client(
    source: str, root: str, url: str, part_size: int, parallel: int
) -> dict[str, float]:
    """Upload a file with the official client, which knows no parallel parts."""
    import openai  # noqa: PLC0415 - its memory is of this sample only

    assert parallel == 1
    path = Path(source)
    with openai.OpenAI(base_url=url, api_key=_KEY, max_retries=0) as client:
        client.files.create(file=("first", b"first"), purpose="user_data")
        _read(path)
        before = start_peak()
        start = time.perf_counter()
        client.uploads.upload_file_chunked(
            file=path,
            mime_type="application/octet-stream",
            purpose="user_data",
            part_size=part_size,
        )
        took = time.perf_counter() - start
    await trio.lowlevel.checkpoint()
    return {"seconds": took, "memory": (peak() - before) / _MIB}


async def many(root: str, url: str, count: int, size: int) -> dict[str, float]:
    """Upload many files at the same time, through the default number of slots."""
    target = OpenAITarget(url, _KEY, part_size=max(_MIB, size // 2))
    config = FilesConfig(staging_dir=Path(root), durability="none", sweep_interval=3600)
    async with open_files(config) as files:
        await files.upload(b"first", name="first", target=target)
        attachments = [
            await files.stage(number.to_bytes(8) * (size // 8), name="many.bin")
            for number in range(count)
        ]
        before = start_peak()
        start = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for attachment in attachments:
                nursery.start_soon(partial(files.upload, attachment, target=target))
        took = time.perf_counter() - start
        return {"seconds": took, "memory": (peak() - before) / _MIB}


def _read(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(_MIB):
            pass


_SAMPLES: dict[str, Callable[..., Awaitable[dict[str, float]]]] = {
    "many": many,
    "openai": openai_client,
    "ours": ours,
}


def main(name: str, arguments: str) -> None:
    """Run one sample and print what it measured."""
    given = cast("dict[str, Any]", json.loads(arguments))
    json.dump(trio.run(partial(_SAMPLES[name], **given)), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
