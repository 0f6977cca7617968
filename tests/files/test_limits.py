"""Limits that the system itself sets: a full file system, the size of files, open files, rights.

What fails here is real, SQLite's own writing included. Each time the limit is lifted again, all
that was staged is there, and staging goes on.
"""

import errno
import os
import resource
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from processes_support import Job, servers
from walk_support import assert_equal_to_walk, walk_of

from codex_actors import ActorError
from codex_actors.files import (
    Attachment,
    Files,
    FilesConfig,
    FilesError,
    StagingFull,
    StagingIOError,
    open_files,
)

KIB = 1 << 10
DATA = bytes(range(256)) * 256  # 64 KiB


async def assert_sound(root: Path, kept: list[Attachment]) -> None:
    """Open again: everything is there, nothing else is, and staging goes on."""
    async with open_files(FilesConfig(staging_dir=root)) as files:
        await files.force_cleanup()
        listed = await files.list_staged()
        metrics = await files.metrics()
        walk = walk_of(root)
        assert_equal_to_walk(metrics, listed, walk)
        assert (walk.partials, metrics.leases, walk.others) == ((), 0, ())
        assert {attachment.key for attachment in kept} <= {other.key for other in listed}
        assert (await files.stage(b"afterwards", name="afterwards")).size == 10


@pytest.fixture
def tight(tmp_path: Path) -> Generator[Path]:
    """A file system with room for a few hundred KiB."""
    place = tmp_path / "tight"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", str(place)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("only root may mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)  # noqa: S607


async def fill(files: Files) -> tuple[list[Attachment], int | None]:
    """Stage until it is refused; every second attachment has expired at once."""
    staged: list[Attachment] = []
    while True:
        number = len(staged)
        data = DATA + number.to_bytes(4)
        try:
            staged.append(await files.stage(data, name=f"{number}", ttl=0 if number % 2 else 60))
        except StagingFull as refused:
            return staged, refused.errno


async def test_a_full_file_system_loses_nothing_and_is_freed_by_a_sweep(tight: Path) -> None:
    """Neither a partial file nor half a name is left; what has expired makes room."""
    # F26, F41
    root = tight / "staging"
    async with open_files(FilesConfig(staging_dir=root)) as files:
        staged, number = await fill(files)
        full = await files.metrics()
        listed = await files.list_staged()
        walk = walk_of(root)
        report = await files.force_cleanup()
        again = await files.stage(DATA, name="again")

    assert len(staged) > 4
    assert number == errno.ENOSPC
    assert_equal_to_walk(full, listed, walk)
    assert walk.partials == ()
    assert report.count == len(staged) // 2
    assert again.size == len(DATA)
    await assert_sound(root, staged[::2])


async def test_a_file_system_without_a_single_free_block_refuses_and_recovers(tight: Path) -> None:
    """SQLite's log finds no room either: a typed error each time; a sweep frees what it needs."""
    # F26, F41
    root = tight / "staging"
    async with open_files(FilesConfig(staging_dir=root)) as files:
        kept = [await files.stage(DATA, name="kept", persist=True)]
        expired = await files.stage(DATA[1:], name="expired", ttl=0)
        with suppress(OSError), (tight / "ballast").open("wb") as ballast:
            while True:
                ballast.write(bytes(KIB))
                ballast.flush()
        refusals: list[BaseException] = []
        for number in range(40):
            try:
                kept.append(await files.stage(b"", name=f"{number}", persist=True))
            except (FilesError, ActorError) as error:
                refusals.append(error)
        listed = await files.list_staged()
        report = await files.force_cleanup()
        freed = os.statvfs(tight).f_bavail
        (tight / "ballast").unlink()

    assert {type(error) for error in refusals} == {StagingFull}
    assert {attachment.key for attachment in kept} <= {attachment.key for attachment in listed}
    assert [attachment.key for attachment in report.attachments] == [expired.key]
    assert freed > 0
    await assert_sound(root, kept)


async def test_a_manifest_that_cannot_be_opened_for_lack_of_room_is_opened_later(
    tight: Path,
) -> None:
    """The start is refused with a typed error, and nothing that was staged is touched."""
    # F22, F26
    root = tight / "staging"
    async with open_files(FilesConfig(staging_dir=root)) as files:
        kept = [await files.stage(DATA, name="kept")]
    with suppress(OSError), (tight / "ballast").open("wb") as ballast:
        while True:
            ballast.write(bytes(KIB))
            ballast.flush()

    with pytest.raises((StagingFull, StagingIOError)):
        async with open_files(FilesConfig(staging_dir=root)):
            pytest.fail("opened")
    (tight / "ballast").unlink()

    await assert_sound(root, kept)


def stage_under_limit(root: str, limit: str) -> None:
    """Meet a limit in a process of its own, then lift it and go on."""
    number = getattr(resource, limit)

    async def big() -> AsyncGenerator[bytes]:
        for _ in range(40):
            yield DATA

    async def main() -> None:
        async with open_files(FilesConfig(staging_dir=Path(root))) as files:
            await files.stage(DATA, name="before")
            await files.force_cleanup()
            before, most = resource.getrlimit(number)
            low = 1024 * KIB if limit == "RLIMIT_FSIZE" else _open_files()
            resource.setrlimit(number, (low, most))
            errors: list[FilesError] = []
            for source in (b"x" * 2048 * KIB, big(), Path(__file__)):
                try:
                    await files.stage(source, name="during")
                except FilesError as error:
                    errors.append(error)
            resource.setrlimit(number, (before, most))
            expected = {errno.EFBIG} if limit == "RLIMIT_FSIZE" else {errno.EMFILE}
            assert {getattr(error, "errno", None) for error in errors} == expected, errors
            assert len(errors) == (2 if limit == "RLIMIT_FSIZE" else 3)
            await files.stage(DATA, name="after")
            metrics = await files.metrics()
            assert_equal_to_walk(metrics, await files.list_staged(), walk_of(Path(root)))

    trio.run(main)


def _open_files() -> int:
    """The limit at which not one more file can be opened."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


@pytest.mark.parametrize("limit", ["RLIMIT_FSIZE", "RLIMIT_NOFILE"])
async def test_a_limit_of_the_process_is_a_typed_error(tmp_path: Path, limit: str) -> None:
    """Files too large and too many open ones; SQLite opens its own before."""
    # F26, F41
    root = tmp_path / "staging"
    job = Job(
        work="test_limits:stage_under_limit",
        options={"root": str(root), "limit": limit},
        output=str(tmp_path / "output"),
    )

    with servers(1) as (server,):
        status, errors = await trio.to_thread.run_sync(server.run, job)

    assert (status, errors) == (0, "")
    async with open_files(FilesConfig(staging_dir=root)) as files:
        kept = await files.list_staged()
    assert {"before", "after"} <= {attachment.name for attachment in kept}
    await assert_sound(root, list(kept))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
async def test_a_directory_that_became_read_only_is_a_typed_error(tmp_path: Path) -> None:
    """Nothing can be published in it, nor removed."""
    # F26, F40
    root = tmp_path / "staging"
    async with open_files(FilesConfig(staging_dir=root)) as files:
        kept = await files.stage(DATA, name="kept")
        root.chmod(0o500)
        try:
            with pytest.raises(StagingIOError) as refused:
                await files.stage(b"new", name="new")
        finally:
            root.chmod(0o700)

    assert refused.value.errno == errno.EACCES
    await assert_sound(root, [kept])
