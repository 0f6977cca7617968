"""A process of its own that stages a file and uploads it, to be killed: `upload_child.py ROOT URL`.

What is sent is derived from the size, so that the test knows it.
"""

import sys

import trio

from codex_actors.files import FilesConfig, OpenAITarget, open_files
from codex_actors.files.retry import Retry

MIB = 2**20
PARALLEL = 2


def content(size: int) -> bytes:
    """Return bytes in which no part is like another."""
    block = b"".join(number.to_bytes(8) for number in range(size // 8 + 1))
    return block[:size]


async def main(root: str, url: str, size: int) -> None:
    """Stage and upload; print the file's id."""
    target = OpenAITarget(url, "sk-test", part_size=MIB, parallel=PARALLEL)
    async with open_files(FilesConfig(staging_dir=root, default_ttl=3600.0)) as files:
        attachment = await files.stage(content(size), name="killed.bin")
        uploaded = await files.upload(attachment, target=target, retry=Retry(attempt_timeout=30.0))
    sys.stdout.write(f"{uploaded.file_id}\n")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
