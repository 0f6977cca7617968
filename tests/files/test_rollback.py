"""What a transaction did to the blobs is taken back when it cannot be committed."""

from collections.abc import Generator
from pathlib import Path

import pytest
from attrs import define, field, frozen
from files_support import NOW, Store, open_store, partials_of, tree_of

from codex_actors.files import QuotaExceeded, StagingFull, StagingIOError
from codex_actors.files.blocking import run_steps
from codex_actors.files.index.queries import ListStaged
from codex_actors.files.index.quota import Quota
from codex_actors.files.index.staging import Publish, StageRequest
from codex_actors.files.index.sweeping import Remove, Scope, Sweep
from codex_actors.files.index.transaction import Transaction
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.partial import Partial, copy_bytes


@frozen
class Unsyncable(Disk):
    """Real files, whose directories cannot be synced while `broken` says so, nor have links."""

    broken: set[str] = field(factory=set[str])

    def sync_directory(self, path: Path) -> None:
        """Sync, or fail."""
        if "sync" in self.broken:
            raise OSError(5, "Input/output error")

    def link(self, source: Path, target: Path) -> bool:
        """Link, or say that there are no links."""
        return "link" not in self.broken and super().link(source, target)


@pytest.fixture
def disk() -> Unsyncable:
    """A disk that works so far."""
    return Unsyncable("none")


@pytest.fixture
def store(tmp_path: Path, disk: Unsyncable) -> Generator[Store]:
    """A staging directory on it."""
    with open_store(tmp_path / "staging", disk) as store:
        yield store


@pytest.mark.parametrize("broken", [{"sync"}, {"sync", "link"}])
@pytest.mark.parametrize("what", ["last", "one of two", "all"])
def test_what_was_removed_returns(
    store: Store, disk: Unsyncable, broken: set[str], what: str
) -> None:
    """The files are where they were, and nothing else is: as the manifest says."""
    # F41
    last = store.stage(b"x", "x", ttl=0).attachment
    one = store.stage(b"y", "one", ttl=0).attachment
    store.stage(b"y", "two", ttl=0)
    before = tree_of(store.layout.root)
    operations: dict[str, Remove | Sweep] = {
        "last": Remove(last.checksum, last.name),
        "one of two": Remove(one.checksum, one.name),
        "all": Sweep(Scope.EXPIRED),
    }
    disk.broken.update(broken)

    with pytest.raises(StagingIOError):
        store.manifest.execute([operations[what]], NOW)

    disk.broken.clear()
    assert tree_of(store.layout.root) == before
    assert partials_of(store.layout.root) == []
    assert len(store.manifest.execute([ListStaged()], NOW)[0].unwrap()) == 3
    store.manifest.execute([operations[what]], NOW)
    assert partials_of(store.layout.root) == []


def test_a_staging_that_fails_gives_back_what_it_evicted(store: Store, disk: Unsyncable) -> None:
    """Nobody loses a file for one that did not come."""
    store.stage(b"old", "old")
    before = tree_of(store.layout.root)
    disk.broken.add("sync")

    with pytest.raises(StagingIOError):
        store.stage(b"new", "new", quota=Quota(max_count=1))

    assert tree_of(store.layout.root) == before


def test_a_refusal_gives_back_what_was_evicted_for_it(store: Store) -> None:
    """Also where only some of what had to go could."""
    store.stage(b"old", "old")
    store.stage(b"kept", "kept", persist=True)
    before = tree_of(store.layout.root)

    with pytest.raises(QuotaExceeded):
        store.stage(b"new", "new", quota=Quota(max_count=1))

    assert tree_of(store.layout.root) == before


@define
class Fill:
    """Needs more room than the manifest is given."""

    writes: bool = True
    times: int = 0

    def apply(self, transaction: Transaction) -> None:
        """Count, and meet the limit."""
        self.times += 1
        (pages,) = transaction.execute("PRAGMA page_count").fetchone()
        transaction.execute(f"PRAGMA max_page_count = {pages}")
        transaction.execute(
            "INSERT INTO lost VALUES ('checksum', 'name', 'blake3', 1, ?, 0, 0, 0)", "x" * 1_000_000
        )


def test_a_removal_that_makes_no_room_is_not_tried_for_ever(store: Store) -> None:
    """Others may have taken the room; what was to go is gone, and can be written down later."""
    # F41
    empty = store.stage(b"", "empty").attachment
    fill = Fill()

    with pytest.raises(StagingFull):
        store.manifest.execute([Remove(*empty.key), fill], NOW)

    assert fill.times == 2
    store.manifest.execute([Remove(*empty.key)], NOW)
    assert store.manifest.execute([ListStaged()], NOW)[0].unwrap() == ()


def test_a_staging_that_shares_a_full_manifest_with_a_removal_is_told_so(store: Store) -> None:
    """Its partial file is spent: it cannot be tried again with the room that the removal made."""
    old = store.stage(b"old", "old").attachment
    partial = Partial(store.claim.new_partial(), store.disk, "blake3")
    copied = run_steps(copy_bytes(partial, b"new"), lambda: None)
    publish = Publish(copied, StageRequest(name="new", ttl=60.0), Quota())

    with pytest.raises(StagingFull):
        store.manifest.execute([Remove(*old.key), publish, Fill()], NOW)

    assert not store.layout.blob(copied.checksum, "new").exists()
    assert partials_of(store.layout.root) == []
