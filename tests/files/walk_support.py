"""What a staging directory holds, found without any code of the package: by walking the disk."""

import hashlib
import re
from pathlib import Path

from attrs import frozen
from blake3 import blake3

from codex_actors.files import Attachment, Metrics

_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_MARKS = {".gitignore", "CACHEDIR.TAG"}

Key = tuple[str, str]


@frozen
class Walk:
    """What was found.

    Attributes:
        files: Size of every file in a directory of a content, by checksum and name.
        torn: Those that do not hash to their directory, or are no regular files.
        empty: Directories of contents that hold nothing.
        inodes: How many inodes each content has.
        partials: Files in the folders of processes, without their locks.
        owners: The folders of processes.
        others: What else lies in the root.
        blank: Marks (.gitignore and the like) without their text.
    """

    files: dict[Key, int]
    torn: tuple[Key, ...]
    empty: tuple[str, ...]
    inodes: dict[str, int]
    partials: tuple[Path, ...]
    owners: tuple[str, ...]
    others: tuple[str, ...]
    blank: tuple[str, ...]


def walk_of(root: Path) -> Walk:
    """Walk a staging directory, reading every file."""
    contents = sorted(entry for entry in root.iterdir() if _CHECKSUM.fullmatch(entry.name))
    names = [name for content in contents for name in sorted(content.iterdir())]
    folders = sorted(root.glob(".partials/*"))
    return Walk(
        files={(name.parent.name, name.name): name.lstat().st_size for name in names},
        torn=tuple((name.parent.name, name.name) for name in names if not _is_whole(name)),
        empty=tuple(content.name for content in contents if not any(content.iterdir())),
        inodes={
            content.name: len({name.stat().st_ino for name in content.iterdir()})
            for content in contents
        },
        partials=tuple(
            path for folder in folders for path in sorted(folder.iterdir()) if path.name != "lock"
        ),
        owners=tuple(folder.name for folder in folders),
        others=tuple(
            sorted(
                entry.name
                for entry in root.iterdir()
                if entry not in contents
                and entry.name not in {*_MARKS, ".lock", ".partials"}
                and not re.fullmatch(r"manifest\.sqlite3(-wal|-shm)?", entry.name)
            )
        ),
        blank=tuple(
            name for name in sorted(_MARKS) if (root / name).exists() and not _text(root / name)
        ),
    )


def assert_equal_to_walk(
    metrics: Metrics, listed: tuple[Attachment, ...], walk: Walk, *, linked: bool = True
) -> None:
    """What the manifest tells is what lies on the disk, file by file and in sum."""
    sizes_listed = {attachment.key: attachment.size for attachment in listed}
    missing, unknown = (
        sizes_listed.items() - walk.files.items(),
        walk.files.items() - sizes_listed.items(),
    )
    assert (missing, unknown) == (set(), set())
    assert walk.torn == ()
    assert walk.empty == ()
    sizes = {checksum: size for (checksum, _), size in walk.files.items()}
    total, blobs = sum(walk.files.values()), sum(sizes.values())
    assert (metrics.total_count, metrics.total_bytes) == (len(walk.files), total)
    assert (metrics.blob_count, metrics.blob_bytes) == (len(sizes), blobs)
    assert metrics.saved_bytes == total - blobs
    assert metrics.persistent_count + metrics.expirable_count == len(walk.files)
    assert metrics.persistent_bytes + metrics.expirable_bytes == total
    assert metrics.partial_files == len(walk.partials)
    if linked:
        assert set(walk.inodes.values()) <= {1}


def _is_whole(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    data = path.read_bytes()
    return path.parent.name in {blake3(data).hexdigest(), hashlib.sha256(data).hexdigest()}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
