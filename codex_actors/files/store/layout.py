"""Owns where things lie in a staging directory.

    <root>/.gitignore, CACHEDIR.TAG           tell other tools to keep off
    <root>/manifest.sqlite3                   the manifest, with its -wal and -shm
    <root>/.lock                              held while the manifest is opened
    <root>/.supervisor.lock                   held while a supervisor process runs this directory
    <root>/.quarantine/                       files that are not what they were said to be
    <root>/<checksum>/<name>                  a blob under one of its names, hard-linked
    <root>/.partials/<owner>/lock             locked by the process that owns the folder
    <root>/.partials/<owner>/<n>.partial      what that process is writing
    <root>/.partials/<owner>/<n>.<checksum>.partial    what it is removing, until that is certain

Invariant: pure; a checksum directory holds nothing but names of that content. Knows no disk.
"""

from pathlib import Path

from attrs import frozen

__all__ = ["DIRECTORY_MODE", "FILE_MODE", "PARTIAL_SUFFIX", "Layout"]

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
PARTIAL_SUFFIX = ".partial"

_HEX = frozenset("0123456789abcdef")
_CHECKSUM_LENGTH = 64  # of both algorithms


@frozen
class Layout:
    """The paths under one staging directory.

    Attributes:
        root: The directory, absolute.
    """

    root: Path

    @property
    def manifest(self) -> Path:
        """The SQLite file."""
        return self.root / "manifest.sqlite3"

    def is_of_manifest(self, path: Path) -> bool:
        """Tell whether a path, absolute and without `..`, is that of a file that SQLite uses."""
        names = {self.manifest.name + suffix for suffix in ("", "-wal", "-shm")}
        return path.parent == self.root and path.name in names

    @property
    def lock_file(self) -> Path:
        """The file that is locked while the manifest is opened, mended or rebuilt."""
        return self.root / ".lock"

    @property
    def supervisor_lock(self) -> Path:
        """The file that is locked while a supervisor process runs this directory."""
        return self.root / ".supervisor.lock"

    @property
    def quarantine(self) -> Path:
        """The folder of what is not to be believed."""
        return self.root / ".quarantine"

    @property
    def partials(self) -> Path:
        """The folder of the processes' folders."""
        return self.root / ".partials"

    def owned(self, owner: str) -> Path:
        """The folder of one process."""
        return self.partials / owner

    def lock(self, owner: str) -> Path:
        """The file that is locked while that process lives."""
        return self.partials / owner / "lock"

    def content(self, checksum: str) -> Path:
        """The directory of one content."""
        return self.root / checksum

    def blob(self, checksum: str, name: str) -> Path:
        """One name of one content."""
        return self.root.joinpath(checksum, name)  # half the time of two steps

    @staticmethod
    def aside(spare: Path, checksum: str) -> Path:
        """Where a file is moved that is being removed, by the path of a partial file."""
        return spare.with_name(f"{spare.stem}.{checksum}{PARTIAL_SUFFIX}")

    @classmethod
    def content_of_aside(cls, path: Path) -> str | None:
        """Return which content is moved aside there, None when it is no such path."""
        checksum = path.stem.partition(".")[2]
        return checksum if cls.is_checksum(checksum) else None

    @staticmethod
    def is_checksum(entry: str) -> bool:
        """Tell whether an entry of the root is the directory of a content."""
        return len(entry) == _CHECKSUM_LENGTH and _HEX.issuperset(entry)
