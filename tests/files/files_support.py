"""What the tests of the file layer share: a staging directory without actors, eyes on the disk."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from codex_actors.files.blocking import run_steps
from codex_actors.files.index.manifest import Manifest
from codex_actors.files.index.quota import Quota
from codex_actors.files.index.staging import Publish, Staged, StageRequest
from codex_actors.files.store.claim import Claim, claim
from codex_actors.files.store.directory import prepare_staging_dir
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.layout import Layout
from codex_actors.files.store.partial import Partial, copy_bytes

NOW = 1_800_000_000_000


@frozen
class Store:
    """A staging directory without actors: what a transaction needs, and shortcuts."""

    layout: Layout
    disk: Disk
    claim: Claim
    manifest: Manifest

    def stage(
        self,
        data: bytes,
        name: str,
        *,
        ttl: float = 60.0,
        persist: bool = False,
        now: int = NOW,
        quota: Quota | None = None,
    ) -> Staged:
        """Stage bytes as a StageActor would."""
        partial = Partial(self.claim.new_partial(), self.disk, "blake3")
        try:
            copied = run_steps(copy_bytes(partial, data), lambda: None)
            request = StageRequest(name=name, ttl=ttl, persist=persist)
            publish = Publish(copied, request, quota or Quota())
            staged: Staged = self.manifest.execute([publish], now)[0].unwrap()
            return staged
        finally:
            partial.discard()


def tree_of(root: Path, *, manifests: bool = False) -> dict[str, bytes | None]:
    """Return every entry of a staging directory with its bytes, None for directories."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
        if manifests or not path.name.startswith("manifest.sqlite3")
        if path.name not in {"lock", ".lock"}
        if path.parent.name != ".partials"
    }


def partials_of(root: Path) -> list[Path]:
    """Return every partial file under a staging directory."""
    return sorted(root.glob(".partials/*/*.partial"))


def tamper(path: Path, *, hide: bool = False) -> None:
    """Write other bytes of the same size, and hide it as well as a user can."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    while path.stat().st_ctime_ns == status.st_ctime_ns:  # the clock of files ticks slowly
        path.write_bytes(data)
    if hide:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@contextmanager
def open_store(root: Path, disk: Disk) -> Generator[Store]:
    """Open a staging directory through a given disk."""
    layout = prepare_staging_dir(root, disk)
    mine = claim(layout, disk)
    manifest = Manifest.open(layout, disk, mine)
    try:
        yield Store(layout, disk, mine, manifest)
    finally:
        manifest.close()
        mine.release()
