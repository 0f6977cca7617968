"""The threads: what the manifest does never waits for what others do in theirs."""

import threading
from pathlib import Path

import trio

from codex_actors.files import FilesConfig, open_files


async def test_the_manifest_does_not_wait_for_a_free_thread(tmp_path: Path) -> None:
    """Copies, or the program itself, may have taken all that Trio gives."""
    # E14
    limiter = trio.to_thread.current_default_thread_limiter()
    go_on = threading.Event()
    async with (
        open_files(FilesConfig(staging_dir=tmp_path / "staging", durability="none")) as files,
        trio.open_nursery() as nursery,
    ):
        for _ in range(int(limiter.total_tokens)):
            nursery.start_soon(trio.to_thread.run_sync, go_on.wait, 10)
        while limiter.available_tokens:
            await trio.lowlevel.checkpoint()

        try:
            with trio.fail_after(5):
                listed = await files.list_staged()
        finally:
            go_on.set()

        assert listed == ()
