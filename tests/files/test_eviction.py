"""Who goes when a staging directory is full, and who stays because its going would not help."""

import sqlite3
from collections.abc import Generator
from pathlib import Path

import outcome
import pytest
from attrs import evolve, field, frozen
from files_support import NOW, Store, open_store, tree_of

from codex_actors.files import Attachment, QuotaExceeded
from codex_actors.files.blocking import run_steps
from codex_actors.files.index.leasing import TakeLease
from codex_actors.files.index.queries import ListStaged
from codex_actors.files.index.quota import Quota
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.seal import examine


@frozen
class Stubborn(Disk):
    """Real files, some of which cannot be deleted."""

    stuck: set[str] = field(factory=set[str])

    def unlink(self, path: Path) -> None:
        """Unlink, or fail."""
        if path.name in self.stuck:
            raise PermissionError(1, "Operation not permitted")
        super().unlink(path)


@pytest.fixture
def disk() -> Stubborn:
    """A disk on which everything works until told otherwise."""
    return Stubborn()


@pytest.fixture
def store(tmp_path: Path, disk: Stubborn) -> Generator[Store]:
    """An open, empty staging directory."""
    with open_store(tmp_path / "staging", disk) as opened:
        yield opened


def listed(store: Store) -> list[str]:
    """The names of all attachments."""
    attachments: tuple[Attachment, ...] = store.manifest.execute([ListStaged()], NOW)[0].unwrap()
    return [attachment.name for attachment in attachments]


def lease(store: Store, attachment: Attachment) -> None:
    """Take a lease."""
    take = TakeLease(attachment.name, attachment.checksum, attachment.name)
    store.manifest.execute([take], NOW)[0].unwrap()


def test_a_name_of_leased_bytes_is_not_evicted_for_bytes(store: Store) -> None:
    """Its going would free none: only the content that can go does."""
    store.stage(b"12345", "useless")
    lease(store, store.stage(b"12345", "leased", now=NOW + 1).attachment)
    store.stage(b"678", "goes", now=NOW + 2)

    staged = store.stage(b"9ab", "new", now=NOW + 3, quota=Quota(max_bytes=8))

    assert [attachment.name for attachment in staged.evicted] == ["goes"]
    assert listed(store) == ["useless", "leased", "new"]


def test_an_empty_file_is_not_evicted_for_bytes(store: Store) -> None:
    """It takes none."""
    store.stage(b"", "empty")
    store.stage(b"12345", "goes", now=NOW + 1)

    staged = store.stage(b"678", "new", now=NOW + 2, quota=Quota(max_bytes=5))

    assert [attachment.name for attachment in staged.evicted] == ["goes"]


def test_it_is_evicted_for_its_place(store: Store) -> None:
    """Where there are too many attachments, whoever is the oldest goes."""
    store.stage(b"12345", "oldest")
    lease(store, store.stage(b"12345", "leased", now=NOW + 1).attachment)
    store.stage(b"678", "younger", now=NOW + 2)

    staged = store.stage(b"9", "new", now=NOW + 3, quota=Quota(max_bytes=9, max_count=3))

    assert [attachment.name for attachment in staged.evicted] == ["oldest"]


def test_another_name_of_the_same_content_may_go(store: Store) -> None:
    """Where it is the only one that can make room, and its bytes stay under the new name."""
    old = store.stage(b"same", "old").attachment

    staged = store.stage(b"same", "new", now=NOW + 1, quota=Quota(max_count=1))

    assert staged.evicted == (old,)
    assert listed(store) == ["new"]
    assert staged.attachment.path.read_bytes() == b"same"
    assert not old.path.exists()


def test_a_name_of_the_same_content_frees_no_bytes_for_it(store: Store) -> None:
    """They would be staged again: something else has to go, or the staging is refused."""
    store.stage(b"same", "old")
    store.stage(b"more", "kept", persist=True, now=NOW + 1)
    before = tree_of(store.layout.root)

    with pytest.raises(QuotaExceeded):
        store.stage(b"same", "new", now=NOW + 2, quota=Quota(max_bytes=7))

    assert tree_of(store.layout.root) == before


def test_what_cannot_be_deleted_is_passed_over(store: Store, disk: Stubborn) -> None:
    """The next oldest goes in its place, and it stays listed."""
    store.stage(b"1", "stuck")
    store.stage(b"2", "next", now=NOW + 1)
    disk.stuck.add("stuck")

    staged = store.stage(b"3", "new", now=NOW + 2, quota=Quota(max_count=2))

    assert [attachment.name for attachment in staged.evicted] == ["next"]
    assert listed(store) == ["stuck", "new"]


def test_what_was_lost_comes_back_as_far_as_there_is_room(store: Store) -> None:
    """A full directory does not keep out what is asked for, and names that were lost count."""
    asked = store.stage(b"same", "asked").attachment
    for name in ("lost", "lost too"):
        store.stage(b"same", name, persist=True)
    asked.path.write_bytes(b"evil")
    for name in ("asked", "lost", "lost too"):
        take = TakeLease(name, asked.checksum, name)
        while isinstance(result := store.manifest.execute([take], NOW)[0], outcome.Value):
            verdicts = run_steps(
                examine(store.layout, store.disk, result.value.suspects), lambda: None
            )
            take = evolve(take, verdicts=verdicts)
    lost = listed(store)
    store.stage(b"other", "persistent", persist=True)

    store.stage(b"same", "asked", now=NOW + 1, quota=Quota(max_count=2))

    assert lost == []
    assert listed(store) == ["persistent", "asked"]


def test_what_a_dead_process_used_may_go(store: Store) -> None:
    """Its leases do not count, also before a sweep has forgotten them."""
    old = store.stage(b"old", "old").attachment
    lease(store, old)
    raw = sqlite3.connect(store.layout.manifest)
    with raw:
        raw.execute("UPDATE leases SET owner = '1-dead'")
    raw.close()

    store.stage(b"new", "new", quota=Quota(max_count=1))

    assert listed(store) == ["new"]
