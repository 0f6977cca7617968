"""Processes that are killed in the middle of an upload, for real."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import parts_folder_support
import pytest
import trio
from files_support import partials_of
from parts_folder_support import PART_BYTES, PartsFolder

from codex_actors.files import FilesConfig, open_files

PARTS = 40
DATA = random.Random(1).randbytes(PARTS * PART_BYTES - 1)


@pytest.mark.parametrize("enough", [1, 13, 30])
async def test_a_killed_upload_is_resumed_where_it_was(tmp_path: Path, enough: int) -> None:
    """Only parts that were not recorded are sent again: at most as many as were in flight."""
    source, folder, staging = tmp_path / "data.bin", tmp_path / "remote", tmp_path / "staging"
    source.write_bytes(DATA)
    folder.mkdir()
    target = PartsFolder(folder)
    script = parts_folder_support.__file__
    arguments = [sys.executable, script, str(staging), str(source), str(folder)]

    acknowledged = 0
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 - it is killed below
        assert process.stdout is not None
        while acknowledged < enough * PART_BYTES:
            acknowledged = int(await trio.to_thread.run_sync(process.stdout.readline))
        process.kill()
    first = target.sent
    async with open_files(FilesConfig(staging_dir=staging)) as files:
        uploaded = await files.upload(str(source), target=target)
        reused = await files.upload(str(source), target=target)

    again = target.sent[len(first) :]
    assert process.returncode == -signal.SIGKILL
    assert enough <= len(first) < PARTS
    assert (folder / uploaded.file_id).read_bytes() == DATA
    assert sorted({*first, *again}) == list(range(PARTS))
    assert len({*first} & {*again}) <= target.limits.parallel
    assert reused == uploaded
    assert partials_of(staging) == []


async def test_a_living_process_is_waited_for(tmp_path: Path) -> None:
    """Who wants the same in another process gets its file; no part is sent twice."""
    source, folder, staging = tmp_path / "data.bin", tmp_path / "remote", tmp_path / "staging"
    source.write_bytes(DATA)
    folder.mkdir()
    target = PartsFolder(folder)
    script = parts_folder_support.__file__
    arguments = [sys.executable, script, str(staging), str(source), str(folder)]

    async with open_files(FilesConfig(staging_dir=staging)) as files:
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 - it ends by itself
            assert process.stdout is not None
            await trio.to_thread.run_sync(process.stdout.readline)
            uploaded = await files.upload(str(source), target=target)
            await trio.to_thread.run_sync(process.stdout.read)

    assert process.returncode == 0
    assert sorted(target.sent) == list(range(PARTS))
    assert (folder / uploaded.file_id).read_bytes() == DATA
