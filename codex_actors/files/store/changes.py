"""Owns what one transaction of the manifest does to the blobs on disk.

Invariant: what was done is synced before the transaction commits, and taken back when it rolls
back: what was published goes, what was removed returns. To that end a file that is removed keeps a
name in the folder of this process until the commit. Where the process is killed before it, whoever
collects the folder puts the file back (`recovery.RestoreRemoved`). Blocking: only from worker
threads. Must not know SQL.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

from attrs import define, field, frozen

from codex_actors.files.store.disk import Disk, staging_error
from codex_actors.files.store.layout import Layout

__all__ = ["Changes"]


@frozen
class _Step:
    """How to undo one thing that was done.

    Attributes:
        undo: Does it.
        asked: Somebody asked for it to go: that is not undone if there is no room to write it down.
    """

    undo: Callable[[], object]
    asked: bool = False


@define
class Changes:
    """Publications and removals inside one transaction.

    Attributes:
        layout: Where blobs lie.
        disk: What is done through.
    """

    layout: Layout
    disk: Disk
    _steps: list[_Step] = field(factory=list[_Step])
    _spent: bool = False
    _kept: list[Path] = field(factory=list[Path])
    _touched: dict[Path, None] = field(factory=dict[Path, None])
    _emptied: set[str] = field(factory=set[str])

    def publish(
        self, source: Path, checksum: str, name: str, spare_path: Callable[[], Path]
    ) -> None:
        """Give complete bytes their name: a hard link, a copy where there are no (more) links.

        A file of that name is replaced: the manifest does not vouch for it.

        Args:
            source: A complete, synced file of that content on the same file system.
            checksum: Which content it is.
            name: Its name.
            spare_path: Gives a free path on that file system, where one is needed.
        """
        directory = self.layout.content(checksum)
        target = directory / name
        self._make(directory)
        try:
            if self.disk.link(source, target):
                self._steps.append(_Step(partial(self.disk.unlink, target)))
                return
            fresh = self.disk.size_of(target) is None
        except FileExistsError:
            fresh = False
        spare = spare_path()
        try:
            if not self.disk.link(source, spare):
                self.disk.copy(source, spare)
            self.disk.replace(spare, target)
        except OSError:
            with contextlib.suppress(OSError):
                self.disk.unlink(spare)
            raise
        if fresh:
            self._steps.append(_Step(partial(self.disk.unlink, target)))
        with contextlib.suppress(OSError):
            # Renaming over another name of the same file leaves both.
            self.disk.unlink(spare)

    def remove(
        self, checksum: str, name: str, spare: Path, other: Path | None, *, asked: bool
    ) -> None:
        """Remove one name of a content, and its directory with the last one.

        Args:
            checksum: Which content.
            name: Its name.
            spare: A free path in the folder of this process.
            other: A name that the content keeps, None when this is the last.
            asked: It is to go for its own sake, not for another's.

        Raises:
            OSError: It is still there.
        """
        target = self.layout.blob(checksum, name)
        aside = self.layout.aside(spare, checksum)
        mark = self.mark()
        try:
            with contextlib.suppress(FileNotFoundError):
                if other is None:
                    self._set_aside(target, aside, asked=asked)
                else:
                    self._take_name(target, aside, other, asked=asked)
            self.remove_empty(checksum, asked=asked)
        except OSError:
            self.take_back(mark)
            raise

    def remove_empty(self, checksum: str, *, asked: bool = False) -> None:
        """Remove the directory of a content if no name of it is there."""
        directory = self.layout.content(checksum)
        if self.disk.remove_directory(directory):
            self._steps.append(_Step(partial(self.disk.make_directory, directory), asked))
            self._touched.pop(directory, None)
            self._touched[self.layout.root] = None
        else:
            self._touched[directory] = None

    def _take_name(self, target: Path, aside: Path, other: Path, *, asked: bool) -> None:
        # No link aside: its end, after the commit, would change the status that is sealed by then.
        with contextlib.suppress(OSError):
            os.close(self.disk.create(aside))
            self._kept.append(aside)
        self.disk.unlink(target)
        self._steps.append(_Step(partial(self._name_again, other, target), asked))

    def _name_again(self, other: Path, target: Path) -> None:
        if not self.disk.link(other, target):
            self.disk.copy(other, target)

    def _set_aside(self, target: Path, aside: Path, *, asked: bool) -> None:
        linked, movable = self._link_aside(target, aside)
        if linked:
            self._kept.append(aside)
        if movable:
            self.disk.replace(target, aside)
            self._kept.append(aside)
        else:
            self.disk.unlink(target)
        if linked or movable:
            self._steps.append(_Step(partial(self.disk.replace, aside, target), asked))

    def _link_aside(self, target: Path, aside: Path) -> tuple[bool, bool]:
        """Tell whether a file has its second name, and whether it has to be moved instead."""
        try:
            if self.disk.link(target, aside):
                return True, False
            return False, self.disk.size_of(target) is not None
        except OSError:
            # No room for a name: what makes room must not need any, and cannot be taken back then.
            return False, False

    def _make(self, directory: Path) -> None:
        if self._is_made(directory):
            self._steps.append(_Step(partial(self.disk.remove_directory, directory)))
        self._touched[directory] = None

    def _is_made(self, directory: Path) -> bool:
        """Create a directory of the root unless it is there; tell whether it was created."""
        made = self.disk.make_directory(directory)
        if made:
            self._touched[self.layout.root] = None
        elif not stat.S_ISDIR(directory.lstat().st_mode):
            # What a symlink leads to is not ours to write in.
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))
        return made

    def spend(self, partial: Path) -> None:
        """Remove a partial file whose bytes have a name now.

        Before the commit, since it changes the status of the file, which is about to be sealed. If
        the transaction rolls back, the staging has failed: nobody needs the partial file either.
        """
        self._spent = True
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
        self._is_made(self.layout.quarantine)
        moved: Path | None = target
        try:
            self.disk.replace(self.layout.blob(checksum, name), target)
        except NotADirectoryError:
            return None
        except FileNotFoundError:
            moved = None
        else:
            self._touched[self.layout.quarantine] = None
        self._emptied.add(checksum)
        self.remove_empty(checksum)
        return moved

    def end(self) -> None:
        """Let go of what was kept until the transaction ended."""
        for path in self._kept:
            with contextlib.suppress(OSError):
                # What cannot be removed now goes with the folder of this process.
                self.disk.unlink(path)

    def mark(self) -> int:
        """Return a point that `take_back` can return to."""
        return len(self._steps)

    def take_back(self, mark: int = 0) -> None:
        """Undo what was done since `mark`, the last first."""
        while len(self._steps) > mark:
            try:
                self._steps.pop().undo()
            except OSError:
                # Better a partial file too many than the only name of a content too few.
                self._kept.clear()
        # A directory comes back for what returns to it: not after a quarantine of all it had.
        for checksum in self._emptied:
            with contextlib.suppress(OSError):
                self.disk.remove_directory(self.layout.content(checksum))

    def make_way(self) -> bool:
        """Let go for good what was asked to go; tell whether to try again, with that room.

        For a manifest that has no room to write a removal down: what frees room must not need any.
        Until it is written down, its entry names a file that is gone: a miss. With a publication it
        cannot be tried again: its partial file is spent.
        """
        asked = [step for step in self._steps if step.asked]
        self._steps = [step for step in self._steps if not step.asked]
        return bool(asked) and not self._spent

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
