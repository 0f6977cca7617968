"""Owns what one transaction of the manifest does to the blobs on disk.

Invariant: what was published is synced before the transaction commits, and taken back when it
rolls back. A removal cannot be taken back: its entry then names a file that is gone, which is a
miss, never wrong bytes. Blocking: only from worker threads. Must not know SQL.
"""

import contextlib
from pathlib import Path

from attrs import define, field

from codex_actors.files.store.disk import Disk, staging_error
from codex_actors.files.store.layout import Layout

__all__ = ["Changes"]


@define
class Changes:
    """Publications and removals inside one transaction.

    Attributes:
        layout: Where blobs lie.
        disk: What is done through.
    """

    layout: Layout
    disk: Disk
    _published: list[Path] = field(factory=list[Path])
    _touched: dict[Path, None] = field(factory=dict[Path, None])

    def publish(self, source: Path, checksum: str, name: str, spare: Path) -> None:
        """Give complete bytes their name: a hard link, a copy where there are no (more) links.

        A file of that name is replaced: the manifest does not vouch for it.

        Args:
            source: A complete, synced file of that content on the same file system.
            checksum: Which content it is.
            name: Its name.
            spare: A free path on that file system.
        """
        directory = self.layout.content(checksum)
        target = self.layout.blob(checksum, name)
        if self.disk.make_directory(directory):
            self._touched[self.layout.root] = None
        self._touched[directory] = None
        try:
            if self.disk.link(source, target):
                self._published.append(target)
                return
            fresh = self.disk.size_of(target) is None
        except FileExistsError:
            fresh = False
        try:
            if not self.disk.link(source, spare):
                self.disk.copy(source, spare)
            self.disk.replace(spare, target)
        except OSError:
            with contextlib.suppress(OSError):
                self.disk.unlink(spare)
            raise
        with contextlib.suppress(FileNotFoundError):
            # Renaming over another name of the same file leaves both.
            self.disk.unlink(spare)
        if fresh:
            self._published.append(target)

    def remove(self, checksum: str, name: str) -> None:
        """Remove one name of a content, and its directory with the last one.

        Raises:
            OSError: It is still there.
        """
        directory = self.layout.content(checksum)
        with contextlib.suppress(FileNotFoundError):
            self.disk.unlink(self.layout.blob(checksum, name))
        if self.disk.remove_directory(directory):
            self._touched.pop(directory, None)
            self._touched[self.layout.root] = None
        else:
            self._touched[directory] = None

    def spend(self, partial: Path) -> None:
        """Remove a partial file whose bytes have a name now.

        Before the commit, since it changes the status of the file, which is about to be sealed. If
        the transaction rolls back, the staging has failed: nobody needs the partial file either.
        """
        with contextlib.suppress(OSError):
            # What cannot be removed now goes with the folder of this process.
            self.disk.unlink(partial)

    def quarantine(self, checksum: str, name: str, suffix: str) -> Path | None:
        """Move what lies under a name out of the way; return where to, None when nothing was there.

        Not taken back: what is not to be believed is not published again.

        Args:
            checksum: The content.
            name: The name.
            suffix: Makes its new name unique.
        """
        target = self.layout.quarantine / f"{checksum}.{suffix}"
        if self.disk.make_directory(self.layout.quarantine):
            self._touched[self.layout.root] = None
        moved: Path | None = target
        try:
            self.disk.replace(self.layout.blob(checksum, name), target)
        except NotADirectoryError:
            return None
        except FileNotFoundError:
            moved = None
        else:
            self._touched[self.layout.quarantine] = None
        directory = self.layout.content(checksum)
        if self.disk.remove_directory(directory):
            self._touched.pop(directory, None)
            self._touched[self.layout.root] = None
        else:
            self._touched[directory] = None
        return moved

    def mark(self) -> int:
        """Return a point that `take_back` can return to."""
        return len(self._published)

    def take_back(self, mark: int = 0) -> None:
        """Remove what was published since `mark`."""
        while len(self._published) > mark:
            target = self._published.pop()
            with contextlib.suppress(OSError):
                self.disk.unlink(target)
            with contextlib.suppress(OSError):
                self.disk.remove_directory(target.parent)

    def sync(self) -> None:
        """Make the names survive a power cut: every directory once, however many names it got.

        Raises:
            StagingFull, StagingIOError: A directory could not be synced.
        """
        # The root last: a content's directory is found only once it holds its names.
        for path in sorted(self._touched, key=lambda path: path == self.layout.root):
            try:
                self.disk.sync_directory(path)
            except FileNotFoundError:
                continue  # removed again by a later step of the same transaction
            except OSError as error:
                raise staging_error(error, path) from error
