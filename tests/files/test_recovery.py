"""A manifest that is lost or damaged, and files that it does not know."""

from pathlib import Path

import pytest
import trio
from blake3 import blake3
from files_support import tree_of

from codex_actors import ActorStopped
from codex_actors.files import Attachment, CleanupReport, Event, Files, FilesConfig, open_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A path for a staging directory."""
    return tmp_path / "staging"


@pytest.fixture
def config(root: Path) -> FilesConfig:
    """Settings for it."""
    return FilesConfig(staging_dir=root, durability="none", default_ttl=3600)


async def stage_some(config: FilesConfig) -> list[Attachment]:
    """Stage three attachments of two contents, and close."""
    async with open_files(config) as files:
        return [
            await files.stage(b"one", name="a.txt", persist=True),
            await files.stage(b"one", name="b.csv"),
            await files.stage(b"two", name="c.txt"),
        ]


def keys(attachments: tuple[Attachment, ...] | list[Attachment]) -> set[tuple[str, str]]:
    """What tells attachments apart."""
    return {attachment.key for attachment in attachments}


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "truncated"])
async def test_a_lost_manifest_is_rebuilt_from_the_directories(
    config: FilesConfig, root: Path, damage: str
) -> None:
    """Every file is listed again, for the default time to live; the damaged one is kept aside."""
    # F27
    staged = await stage_some(config)
    manifest = root / "manifest.sqlite3"
    if damage == "missing":
        manifest.unlink()
    elif damage == "empty":
        manifest.write_bytes(b"")
    elif damage == "garbage":
        manifest.write_bytes(b"not a database" * 1000)
    else:
        manifest.write_bytes(manifest.read_bytes()[:5000])
    told: list[Event] = []

    async with open_files(config, on_event=[told.append]) as files:
        listed = await files.list_staged()
        again = await files.stage(b"one", name="a.txt")

    assert keys(listed) == keys(staged)
    assert {attachment.ttl for attachment in listed} == {3600}
    assert {attachment.content_type for attachment in listed} == {"text/plain", "text/csv"}
    assert again.path.read_bytes() == b"one"
    (event,) = [event for event in told if event.name == "codex.manifest.rebuilt"]
    assert dict(event.measurements) == {"adopted": 3, "quarantined": 0}
    aside = [name for name in tree_of(root, manifests=True) if ".damaged-" in name]
    assert len(aside) == (damage in {"garbage", "truncated"})


async def test_a_rebuild_believes_no_bytes_that_do_not_verify(
    config: FilesConfig, root: Path
) -> None:
    """They are kept, in quarantine, and not listed; staging again puts the right ones there."""
    # F30, E6
    _, _, changed = await stage_some(config)
    changed.path.write_bytes(b"2wo")
    (root / "manifest.sqlite3").unlink()

    async with open_files(config) as files:
        listed = await files.list_staged()
        mended = await files.stage(b"two", name="c.txt")

    assert changed.key not in keys(listed)
    assert mended.path.read_bytes() == b"two"
    assert [path.read_bytes() for path in (root / ".quarantine").iterdir()] == [b"2wo"]


@pytest.mark.parametrize("content", [b"whole", b"broken"])
async def test_a_file_without_an_entry_is_settled_at_start(
    config: FilesConfig, root: Path, content: bytes
) -> None:
    """Left between a link and its commit: adopted if it is what it says, else quarantined."""
    # F21
    await stage_some(config)
    checksum = blake3(b"whole").hexdigest()
    (root / checksum).mkdir()
    (root / checksum / "stray.txt").write_bytes(content)
    settled = trio.Event()

    def watch(event: Event) -> None:
        if event.name == "codex.manifest.rebuilt":
            settled.set()

    async with open_files(config, on_event=[watch]) as files:
        with trio.fail_after(10):
            await settled.wait()
        listed = await files.list_staged()

    assert ((checksum, "stray.txt") in keys(listed)) is (content == b"whole")
    assert (root / checksum).exists() is (content == b"whole")
    assert (root / ".quarantine").exists() is (content == b"broken")


async def test_a_whole_directory_is_left_as_it_is(config: FilesConfig, root: Path) -> None:
    """Opening again changes nothing and tells nothing."""
    # E1
    await stage_some(config)
    before = tree_of(root)
    told: list[Event] = []

    async with open_files(config, on_event=[told.append]) as files:
        await files.force_cleanup()

    assert tree_of(root) == before
    assert "codex.manifest.rebuilt" not in [event.name for event in told]


async def test_a_directory_without_a_name_is_removed_at_start(
    config: FilesConfig, root: Path
) -> None:
    """Left by a process that was killed before the first link in it, or after the last unlink."""
    # F21, F38, E3
    await stage_some(config)
    before = tree_of(root)
    (root / blake3(b"nothing").hexdigest()).mkdir()
    (root / blake3(b"no directory").hexdigest()).write_bytes(b"")

    async with open_files(config) as files:
        await files.force_cleanup()

    assert tree_of(root) == {**before, blake3(b"no directory").hexdigest(): b""}


@pytest.mark.parametrize("committed", [True, False])
async def test_a_removal_that_a_kill_cut_short_is_settled_by_the_next_sweep(
    config: FilesConfig, root: Path, *, committed: bool
) -> None:
    """Without its commit it has not happened, under any name of the content; with it, it has."""
    # F21, F22, F41
    one, other, _ = await stage_some(config)
    before = tree_of(root)
    async with open_files(config) as files:
        dead = root / ".partials" / "1-dead"
        dead.mkdir()
        (dead / "lock").touch()
        for number, attachment in enumerate([one, other]):
            aside = dead / f"{number}.{attachment.checksum}.partial"
            aside.hardlink_to(attachment.path)
            if committed:
                await files.remove(attachment)
            else:
                attachment.path.unlink()
        if not committed:
            one.path.parent.rmdir()

        await files.force_cleanup()
        listed = await files.list_staged()
        metrics = await files.metrics()
        after = tree_of(root)

    assert not dead.exists()
    assert metrics.partial_files == 0
    assert (after == before) is not committed
    assert ({one.key, other.key} <= keys(listed)) is not committed
    assert one.path.exists() is not committed


async def test_a_manifest_that_is_replaced_while_it_is_used_is_opened_anew(
    config: FilesConfig, root: Path
) -> None:
    """What another process has rebuilt counts, not what this one knew before."""
    # F27, F47
    async with open_files(config) as one:
        expired = await one.stage(b"expired", name="expired", ttl=0)
        for path in root.glob("manifest.sqlite3*"):
            path.unlink()
        async with open_files(config) as two:
            adopted = await two.list_staged()

            swept = await _sweep(one)
            await one.stage(b"new", name="new")
            listed = await two.list_staged()

    assert [attachment.key for attachment in adopted] == [expired.key]
    assert swept.count == 0
    assert expired.path.read_bytes() == b"expired"
    assert [attachment.name for attachment in listed] == ["expired", "new"]


async def _sweep(files: Files) -> CleanupReport:
    """Sweep; whoever asks first is told that the registry has to open another manifest."""
    with trio.fail_after(10):
        while True:
            try:
                return await files.force_cleanup()
            except ActorStopped:
                await trio.lowlevel.checkpoint()
