"""The manifest: one transaction for the entries and the files."""

import math
import os
import sqlite3
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest
from attrs import field, frozen
from blake3 import blake3
from files_support import NOW, Store, open_store, partials_of, tree_of

from codex_actors.files import (
    AttachmentLeased,
    AttachmentNotFound,
    ManifestTooNew,
    QuotaExceeded,
    StagingIOError,
)
from codex_actors.files.index.leasing import (
    ForgetDeadLeases,
    ReleaseLease,
    ReleaseOwnLeases,
    TakeLease,
)
from codex_actors.files.index.manifest import Manifest
from codex_actors.files.index.queries import Count, Find, ListStaged
from codex_actors.files.index.quota import Quota
from codex_actors.files.index.staging import FindStaged, Missed, StageRequest
from codex_actors.files.index.sweeping import CHUNK, START, EndTemporary, Remove, Sweep, Swept
from codex_actors.files.index.transaction import Operation
from codex_actors.files.store.disk import Disk

SECOND = 1000

T = TypeVar("T")


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """A path for a staging directory; nothing is there yet."""
    return tmp_path / "staging"


@pytest.fixture
def store(staging: Path) -> Generator[Store]:
    """An open, empty staging directory."""
    with open_store(staging, Disk()) as opened:
        yield opened


def perform(store: Store, operation: Operation[T], now: int = NOW) -> T:
    """Carry out one operation."""
    value: T = store.manifest.execute([operation], now)[0].unwrap()
    return value


def sweep(store: Store, now: int, *, dry_run: bool = False) -> Swept:
    """Carry out one chunk of a sweep."""
    return perform(store, Sweep(dry_run=dry_run), now)


def test_a_staging_is_a_file_and_an_entry(store: Store) -> None:
    """Named by its content, private, told of in full."""
    # F1, F19
    staged = store.stage(b"hello", "hello.txt")

    attachment = staged.attachment
    checksum = blake3(b"hello").hexdigest()
    assert (attachment.id, attachment.checksum, attachment.size) == (checksum, checksum, 5)
    assert attachment.path == store.layout.root / checksum / "hello.txt"
    assert attachment.path.read_bytes() == b"hello"
    assert attachment.path.stat().st_mode & 0o777 == 0o600
    assert attachment.path.parent.stat().st_mode & 0o777 == 0o700
    assert attachment.content_type == "text/plain"
    assert not staged.cached
    assert perform(store, ListStaged()) == (attachment,)
    assert partials_of(store.layout.root) == []


def test_same_content_and_name_is_a_hit(store: Store) -> None:
    """Nothing is written; the life begins anew."""
    # F2
    store.stage(b"hello", "a", ttl=60)
    before = tree_of(store.layout.root)

    again = store.stage(b"hello", "a", ttl=60, now=NOW + 5 * SECOND)

    assert again.cached
    assert again.attachment.ttl == 60
    assert again.attachment.inserted_at.timestamp() * 1000 == NOW + 5 * SECOND
    assert tree_of(store.layout.root) == before


def test_same_content_under_another_name_is_a_link_of_its_own(store: Store) -> None:
    """Two attachments, two types, one inode."""
    # F2, E5
    first = store.stage(b"a,b", "a.csv").attachment

    second = store.stage(b"a,b", "a.txt").attachment

    assert first.checksum == second.checksum
    assert (first.content_type, second.content_type) == ("text/csv", "text/plain")
    assert first.path.samefile(second.path)
    assert first.path != second.path


def test_different_content_under_one_name_does_not_collide(store: Store) -> None:
    """The name is metadata, the content is the address."""
    # F5
    one = store.stage(b"one", "same").attachment
    two = store.stage(b"two", "same").attachment

    assert one.path.read_bytes() == b"one"
    assert two.path.read_bytes() == b"two"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((60, False), (10, False), 58.0),
        ((10, False), (60, False), 60.0),
        ((math.inf, False), (1, False), math.inf),
        ((1, False), (1, True), math.inf),
        ((1, True), (1, False), math.inf),
        ((3600, False), (0, False), 3598.0),
    ],
)
def test_a_restaging_never_shortens_a_life(
    store: Store, first: tuple[float, bool], second: tuple[float, bool], expected: float
) -> None:
    """The later expiry holds; infinite and persistent stay so."""
    # F35, E7
    store.stage(b"x", "x", ttl=first[0], persist=first[1])

    again = store.stage(b"x", "x", ttl=second[0], persist=second[1], now=NOW + 2 * SECOND)

    assert again.attachment.ttl == expected
    assert again.attachment.persist is (first[1] or second[1])


def test_expired_goes_and_unexpired_stays(store: Store) -> None:
    """Kept a millisecond before its time, gone at it, with its directory."""
    # F33, F38, E3
    store.stage(b"x", "x", ttl=1)

    early = sweep(store, NOW + SECOND - 1)
    due = sweep(store, NOW + SECOND)

    assert early.removed == ()
    assert [attachment.name for attachment in due.removed] == ["x"]
    assert [path for path in store.layout.root.iterdir() if path.is_dir()] == [
        store.layout.partials
    ]
    assert perform(store, ListStaged()) == ()


def test_the_directory_stays_until_its_last_name_goes(store: Store) -> None:
    """Another name of the content lives on."""
    # F38
    store.stage(b"x", "short", ttl=1)
    kept = store.stage(b"x", "long", ttl=100).attachment

    sweep(store, NOW + SECOND)

    assert kept.path.read_bytes() == b"x"
    assert os.listdir(kept.path.parent) == ["long"]  # noqa: PTH208 - all of it


def test_a_dry_run_removes_nothing(store: Store) -> None:
    """It tells what would go."""
    store.stage(b"x", "x", ttl=0)

    told = sweep(store, NOW, dry_run=True)

    assert [attachment.name for attachment in told.removed] == ["x"]
    assert told.removed[0].path.exists()
    assert perform(store, ListStaged()) == told.removed


def test_a_sweep_goes_in_chunks(store: Store) -> None:
    """At most 64 in one transaction, and the cursor leads to the rest."""
    for number in range(CHUNK + 1):
        store.stage(b"x", str(number), ttl=0)

    first = sweep(store, NOW)
    rest = perform(store, Sweep(after=first.cursor or START))

    assert len(first.removed) == CHUNK
    assert (len(rest.removed), rest.cursor) == (1, None)


def test_a_lease_keeps_what_has_expired(store: Store) -> None:
    """Until it is released; a second release is no error."""
    # F37
    attachment = store.stage(b"x", "x", ttl=0).attachment
    perform(store, TakeLease("lease", attachment.checksum, "x"))

    leased = sweep(store, NOW)
    with pytest.raises(AttachmentLeased):
        perform(store, Remove(attachment.checksum, "x"))
    perform(store, ReleaseLease("lease"))
    perform(store, ReleaseLease("lease"))
    released = sweep(store, NOW)

    assert leased.removed == ()
    assert released.removed == (attachment,)


def test_the_lease_of_a_dead_process_does_not_count(store: Store) -> None:
    """Its folder is gone, so nobody will ever release it."""
    attachment = store.stage(b"x", "x", ttl=0).attachment
    perform(store, TakeLease("lease", attachment.checksum, "x"))
    raw = sqlite3.connect(store.layout.manifest)
    raw.execute("UPDATE leases SET owner = '1-dead'")
    raw.commit()
    raw.close()

    perform(store, ForgetDeadLeases())

    assert sweep(store, NOW).removed == (attachment,)


def test_no_lease_on_what_is_not_there(store: Store) -> None:
    """Never staged, or its file is gone."""
    # F44
    attachment = store.stage(b"x", "x").attachment
    attachment.path.unlink()

    for checksum in (attachment.checksum, "0" * 64):
        with pytest.raises(AttachmentNotFound):
            perform(store, TakeLease("lease", checksum, "x"))


def test_leaving_releases_ones_own_leases(store: Store) -> None:
    """All of them, at once."""
    attachment = store.stage(b"x", "x", ttl=0).attachment
    perform(store, TakeLease("lease", attachment.checksum, "x"))

    perform(store, ReleaseOwnLeases())

    assert sweep(store, NOW).removed == (attachment,)


def test_the_end_of_a_temporary_spares_what_others_want(store: Store) -> None:
    """A life that somebody else's staging gave it is not taken."""
    ours = store.stage(b"x", "x", ttl=0).attachment
    perform(store, TakeLease("lease", ours.checksum, "x"))
    store.stage(b"x", "x", ttl=60)

    swept = perform(store, EndTemporary("lease"))

    assert swept == Swept((), (), None)
    assert ours.path.exists()


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_hit_needs_its_file(store: Store, damage: str) -> None:
    """One that is gone or cut is a miss; staging again puts it back under all its names."""
    # F44, E4
    first = store.stage(b"hello", "a").attachment
    second = store.stage(b"hello", "b").attachment
    for attachment in (first, second):
        if damage == "gone":
            attachment.path.unlink()
        else:
            attachment.path.write_bytes(b"he")

    with pytest.raises(AttachmentNotFound):
        perform(store, Find(first.checksum))
    store.stage(b"hello", "a")

    assert first.path.read_bytes() == b"hello"
    assert second.path.read_bytes() == b"hello"


def test_an_unknown_file_in_its_place_is_replaced(store: Store) -> None:
    """What the manifest does not vouch for is not a hit."""
    checksum = blake3(b"hello").hexdigest()
    store.layout.content(checksum).mkdir()
    store.layout.blob(checksum, "a").write_bytes(b"evil!")

    staged = store.stage(b"hello", "a")

    assert not staged.cached
    assert staged.attachment.path.read_bytes() == b"hello"
    assert partials_of(store.layout.root) == []


def test_an_unchanged_path_is_found_by_its_stat(store: Store, tmp_path: Path) -> None:
    """Only where it was staged from before, and only while it is the same."""
    missing = FindStaged(tmp_path / "missing", StageRequest(name="x", ttl=1), Quota())
    directory = FindStaged(tmp_path, StageRequest(name="x", ttl=1), Quota())

    assert perform(store, missing) == Missed()
    assert perform(store, directory) == Missed()


def test_metrics_equal_the_disk(store: Store) -> None:
    """Attachments by entry, contents by blob, each once."""
    # F41
    store.stage(b"12345", "a", persist=True)
    store.stage(b"12345", "b")
    store.stage(b"123", "c")
    attachment = store.stage(b"1", "gone", ttl=0).attachment
    perform(store, TakeLease("lease", attachment.checksum, "gone"))

    counted = perform(store, Count())

    on_disk = {path.stat().st_ino: path.stat().st_size for path in store.layout.root.glob("?*/?*")}
    names = [path for path in store.layout.root.glob("[0-9a-f]*/*") if path.is_file()]
    blobs = {path.stat().st_ino: path.stat().st_size for path in names}
    assert set(blobs) <= set(on_disk)
    assert counted.total_count == len(names) == 4
    assert counted.total_bytes == 14
    assert counted.blob_count == len(blobs) == 3
    assert counted.blob_bytes == sum(blobs.values())
    assert counted.saved_bytes == 5
    assert (counted.persistent_count, counted.persistent_bytes) == (1, 5)
    assert (counted.expirable_count, counted.expirable_bytes) == (3, 9)
    assert counted.leases == 1


def test_entries_outlive_the_process(staging: Path) -> None:
    """Opened again, everything is listed as it was."""
    # F22, E1
    with open_store(staging, Disk()) as first:
        attachment = first.stage(b"x", "x", persist=True).attachment

    with open_store(staging, Disk()) as second:
        listed = perform(second, ListStaged())

    assert listed == (attachment,)
    assert attachment.path.read_bytes() == b"x"


def test_a_newer_manifest_is_refused_untouched(store: Store) -> None:
    """Whoever wrote it knows more than we do."""
    raw = sqlite3.connect(store.layout.manifest)
    raw.execute("PRAGMA user_version = 999")
    raw.close()

    with pytest.raises(ManifestTooNew, match="999"):
        Manifest.open(store.layout, store.disk, store.claim)


@frozen
class Recorder(Disk):
    """Real files, where the order of what matters is written down."""

    calls: list[str] = field(factory=list[str])

    def sync_file(self, descriptor: int) -> None:
        """Sync, and tell."""
        self.calls.append("sync file")
        super().sync_file(descriptor)

    def link(self, source: Path, target: Path) -> bool:
        """Link, and tell."""
        self.calls.append("link")
        return super().link(source, target)

    def sync_directory(self, path: Path) -> None:
        """Sync, and tell."""
        self.calls.append("sync directory")
        super().sync_directory(path)


def test_bytes_are_synced_before_they_are_named_before_their_names_are(
    staging: Path,
) -> None:
    """File, link, directory of the content, root: a power cut finds no name without bytes."""
    # F24
    disk = Recorder()
    with open_store(staging, disk) as store:
        disk.calls.clear()

        store.stage(b"x", "x")

    assert disk.calls == ["sync file", "link", "sync directory", "sync directory"]


@frozen
class Stubborn(Disk):
    """Real files, where some calls fail while told to."""

    failing: set[str] = field(factory=set[str])

    def unlink(self, path: Path) -> None:
        """Unlink, or fail."""
        if "unlink" in self.failing and path.suffix != ".partial":
            raise PermissionError(1, "Operation not permitted")
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        """Sync, or fail."""
        if "sync" in self.failing:
            raise OSError(5, "Input/output error")
        super().sync_directory(path)

    def link(self, source: Path, target: Path) -> bool:
        """Link, or say that there are no links (any more)."""
        return "link" not in self.failing and super().link(source, target)


@pytest.fixture
def disk() -> Stubborn:
    """A disk on which everything works until told otherwise."""
    return Stubborn()


@pytest.fixture
def stubborn(staging: Path, disk: Stubborn) -> Generator[Store]:
    """An open, empty staging directory on that disk."""
    with open_store(staging, disk) as opened:
        yield opened


def test_what_cannot_be_deleted_stays_listed(stubborn: Store, disk: Stubborn) -> None:
    """It is reported, and goes with the next sweep that can."""
    # F40, E16
    store = stubborn
    attachment = store.stage(b"x", "x", ttl=0).attachment
    disk.failing.add("unlink")

    failed = sweep(store, NOW)
    listed = perform(store, ListStaged())
    disk.failing.clear()
    again = sweep(store, NOW)

    assert (failed.removed, failed.failed) == ((), (attachment,))
    assert listed == (attachment,)
    assert again.removed == (attachment,)


def test_a_publication_that_cannot_be_synced_is_taken_back(stubborn: Store, disk: Stubborn) -> None:
    """No entry, no name, no directory."""
    store = stubborn
    before = tree_of(store.layout.root)
    disk.failing.add("sync")

    with pytest.raises(StagingIOError):
        store.stage(b"x", "x")

    assert tree_of(store.layout.root) == before
    assert perform(store, ListStaged()) == ()


def test_without_hard_links_a_copy_is_published(stubborn: Store, disk: Stubborn) -> None:
    """Every name has the bytes, none shares them."""
    store = stubborn
    disk.failing.add("link")

    first = store.stage(b"x", "a").attachment
    second = store.stage(b"x", "b").attachment

    assert first.path.read_bytes() == second.path.read_bytes() == b"x"
    assert not first.path.samefile(second.path)
    assert first.path.stat().st_mode & 0o777 == 0o600
    assert partials_of(store.layout.root) == []


def test_one_refusal_does_not_spoil_a_batch(store: Store) -> None:
    """The others of its transaction are done."""
    attachment = store.stage(b"x", "x").attachment

    lost, taken = store.manifest.execute(
        [Remove("0" * 64, "x"), TakeLease("lease", attachment.checksum, "x")], NOW
    )

    with pytest.raises(AttachmentNotFound):
        lost.unwrap()
    taken.unwrap()
    with pytest.raises(AttachmentLeased):
        perform(store, Remove(attachment.checksum, "x"))


def test_the_least_recently_staged_is_evicted(store: Store) -> None:
    """Not the leased, not the persistent, and no more than needed."""
    leased = store.stage(b"leased", "a").attachment
    perform(store, TakeLease("lease", leased.checksum, "a"))
    store.stage(b"persistent", "b", persist=True, now=NOW + 1)
    oldest = store.stage(b"oldest", "c", now=NOW + 2).attachment
    store.stage(b"younger", "d", now=NOW + 3)

    staged = store.stage(b"new", "e", now=NOW + 4, quota=Quota(max_count=4))

    assert staged.evicted == (oldest,)
    assert not oldest.path.exists()
    listed = perform(store, ListStaged())
    assert [attachment.name for attachment in listed] == ["a", "b", "d", "e"]


def test_bytes_are_freed_by_the_last_name_only(store: Store) -> None:
    """Two names of one content go together where one would free nothing."""
    store.stage(b"12345", "a")
    store.stage(b"12345", "b", now=NOW + 1)

    staged = store.stage(b"678", "c", now=NOW + 2, quota=Quota(max_bytes=5))

    assert [attachment.name for attachment in staged.evicted] == ["a", "b"]


def test_a_quota_that_cannot_be_met_evicts_nothing(store: Store) -> None:
    """It is refused before anything is deleted."""
    store.stage(b"12", "a")
    store.stage(b"345", "b", persist=True)
    before = tree_of(store.layout.root)

    with pytest.raises(QuotaExceeded):
        store.stage(b"678", "c", quota=Quota(max_bytes=5))

    assert tree_of(store.layout.root) == before
