"""Symlinks inside a staging directory: what they lead to is nobody's to write, move or delete."""

from pathlib import Path

import pytest
from blake3 import blake3
from files_support import tamper

from codex_actors.files import (
    FilesConfig,
    FilesError,
    StagingDirRefused,
    StagingIOError,
    open_files,
)

CONTENT = "ab" * 32
OWNER = "4711-0123456789abcdef"


@pytest.fixture
def config(tmp_path: Path) -> FilesConfig:
    """Settings of a staging directory that is not there yet."""
    return FilesConfig(staging_dir=tmp_path / "staging", durability="none")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of somebody's."""
    victim = tmp_path / "victim"
    (victim / "folder").mkdir(parents=True)
    (victim / "document").write_bytes(b"precious")
    (victim / "folder" / "letter").write_bytes(b"precious, too")
    return victim


def picture_of(victim: Path) -> dict[str, bytes]:
    """Every file with its bytes."""
    return {str(path): path.read_bytes() for path in victim.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", [CONTENT, f".partials/{OWNER}"])
async def test_what_a_symlink_leads_to_is_neither_swept_nor_settled(
    config: FilesConfig, victim: Path, tmp_path: Path, place: str
) -> None:
    """It looks like a content, or like what a dead process left, and is neither."""
    # F17, E2
    before = picture_of(victim)
    async with open_files(config) as files:
        (tmp_path / "staging" / place).symlink_to(victim)

        await files.force_cleanup()
        report = await files.verify()
        await files.reset(True)
    async with open_files(config):
        pass

    assert (report.unknown, report.quarantined) == ((), ())
    assert picture_of(victim) == before


async def test_nothing_is_published_through_a_symlink(
    config: FilesConfig, victim: Path, tmp_path: Path
) -> None:
    """A file of the name asked for would be overwritten."""
    # F17, E2
    before = picture_of(victim)
    async with open_files(config) as files:
        (tmp_path / "staging" / blake3(b"evil").hexdigest()).symlink_to(victim)

        with pytest.raises(StagingIOError, match="Not a directory"):
            await files.stage(b"evil", name="document")

        assert await files.list_staged() == ()
    assert picture_of(victim) == before


async def test_nothing_is_quarantined_through_a_symlink(
    config: FilesConfig, victim: Path, tmp_path: Path
) -> None:
    """What is wrong stays where it is, and is told."""
    before = picture_of(victim)
    async with open_files(config) as files:
        wrong = await files.stage(b"bytes", name="name")
        tamper(wrong.path)
        (tmp_path / "staging" / ".quarantine").symlink_to(victim)

        with pytest.raises(FilesError):
            await files.verify()

    assert picture_of(victim) == before


@pytest.mark.parametrize("folder", [".partials", ".quarantine"])
async def test_a_staging_directory_with_a_symlink_for_a_folder_is_refused(
    config: FilesConfig, victim: Path, tmp_path: Path, folder: str
) -> None:
    """Before anything in it is taken for what a dead process left."""
    # F20
    before = picture_of(victim)
    async with open_files(config):
        pass
    place = tmp_path / "staging" / folder
    if place.exists():
        place.rmdir()
    place.symlink_to(victim)

    with pytest.raises(StagingDirRefused, match="is a symlink"):
        async with open_files(config):
            pytest.fail("opened")

    assert picture_of(victim) == before
