"""Checks of the staging directory: may it be used, is there room, is it whole."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from codex_actors.cli.checks.finding import Finding, fail, ok, warn
from codex_actors.cli.settings import Settings
from codex_actors.cli.units import human_bytes
from codex_actors.files import FilesError
from codex_actors.files.inspecting import manifest_state, users_of
from codex_actors.files.store.directory import check_staging_dir
from codex_actors.files.store.layout import Layout

_LITTLE_ROOM = 256 << 20
_NO_ROOM = 1 << 20
_FEW_INODES = 1000
# Where a file has one name only: a content under two names takes its bytes twice.
_WITHOUT_LINKS = frozenset({"vfat", "msdos", "exfat"})
_MOUNTS = Path("/proc/self/mounts")


def check_directory(settings: Settings) -> Iterator[Finding]:
    """Give whether the directory may be used, or could be created."""
    name, root = "staging", settings.staging_dir
    try:
        there = check_staging_dir(root)
    except FilesError as error:
        what, _, advice = str(error).rpartition(": ")
        yield fail(name, what, advice)
        return
    place = root if there else _nearest(root)
    if not os.access(
        place, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids
    ):
        advice = "give this user write permission, or name another directory by --staging-dir"
        yield fail(name, f"{place} cannot be written to", advice)
    elif not there:
        yield ok(name, f"{root} does not exist; the first staging creates it")
    elif mode := stat.S_IMODE(root.stat().st_mode) & 0o077:
        yield warn(
            name,
            f"{root} is open to others (mode {mode | 0o700:04o})",
            f"the next start closes it; to do that now: chmod 700 {root}",
        )
    else:
        yield ok(name, str(root))


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Give how much room there is, against what may be staged."""
    place = _nearest(settings.staging_dir)
    room = os.statvfs(place)
    if room.f_flag & os.ST_RDONLY:
        yield fail("disk", f"{place} is mounted read-only", "name a directory on another one")
        return
    free = room.f_bavail * room.f_frsize
    wanted = _still_allowed(settings)
    if free < _NO_ROOM:
        yield fail("disk", f"{human_bytes(free)} free at {place}", "make room")
    elif wanted is not None and free < wanted:
        yield warn(
            "disk",
            f"{human_bytes(free)} free, max_bytes allows {human_bytes(wanted)} more",
            "make room, or lower max_bytes",
        )
    elif free < _LITTLE_ROOM:
        yield warn("disk", f"{human_bytes(free)} free at {place}", "make room")
    else:
        yield ok("disk", f"{human_bytes(free)} free")
    # Some file systems have no fixed number of inodes.
    if room.f_files and room.f_favail < _FEW_INODES:
        status = warn if room.f_favail else fail
        yield status("inodes", f"{room.f_favail:,} free", "remove files that are not needed")
    elif room.f_files:
        yield ok("inodes", f"{room.f_favail:,} free")


def check_links(settings: Settings) -> Iterator[Finding]:
    """Give whether one content can have two names there."""
    kind = _file_system(_nearest(settings.staging_dir))
    if kind in _WITHOUT_LINKS:
        yield warn(
            "hard links",
            f"{kind} has none, so that each name of a content takes its bytes again",
            "name a directory on another file system, if that matters",
        )
    elif kind:
        yield ok("hard links", f"{kind} has them")


def check_manifest(settings: Settings) -> Iterator[Finding]:
    """Give whether the manifest can be read, and is whole."""
    name = "manifest"
    layout = Layout(settings.staging_dir)
    if not _is_staging_directory(layout):
        return
    try:
        state = manifest_state(layout)
    except sqlite3.Error as error:
        yield fail(name, f"{layout.manifest} cannot be read: {error}", "look at what holds it")
        return
    if state is None:
        advice = "nothing to do: the next start makes one of what is staged"
        yield warn(name, f"{layout.manifest} is not there", advice)
    elif state.fault is not None:
        yield fail(
            name,
            f"{layout.manifest} is damaged: {state.fault}",
            "start once, by list or run: it is set aside, and made anew of what is staged",
        )
    elif state.version > state.newest:
        yield fail(
            name,
            f"{layout.manifest} has version {state.version}, newer than {state.newest}",
            "upgrade codex-actors, or name another staging directory",
        )
    else:
        age = (
            "" if state.version == state.newest else f"; the next start takes it to {state.newest}"
        )
        yield ok(
            name,
            f"version {state.version}{age}, whole: {state.attachments:,}"
            f" {'attachment' if state.attachments == 1 else 'attachments'},"
            f" {human_bytes(state.blob_bytes)}",
        )


def check_users(settings: Settings) -> Iterator[Finding]:
    """Give who uses the directory, and what the dead left there."""
    layout = Layout(settings.staging_dir)
    if not _is_staging_directory(layout):
        return
    users = users_of(layout)
    pids = ", ".join(map(str, users.alive))
    yield ok("users", f"in use by process {pids}" if pids else "nobody uses it now")
    if users.dead:
        yield warn(
            "debris",
            f"{users.dead} died while using it, and left {users.debris_files} half-written files"
            f" ({human_bytes(users.debris_bytes)})",
            "the next start clears it, or now: codex-actors cleanup",
        )
    else:
        yield ok("debris", "none of dead processes")


def _is_staging_directory(layout: Layout) -> bool:
    """Whether it is one, ours to look into."""
    try:
        return check_staging_dir(layout.root) and layout.partials.is_dir()
    except FilesError:
        return False  # which `check_directory` tells


def _nearest(path: Path) -> Path:
    """The path, or the nearest of its parents that is there."""
    # What must not be looked into is none, either.
    return next(place for place in (path, *path.parents) if os.path.isdir(place))  # noqa: PTH112


def _still_allowed(settings: Settings) -> int | None:
    """How many bytes may still be staged, None without a limit."""
    if settings.max_bytes is None:
        return None
    layout = Layout(settings.staging_dir)
    try:
        state = manifest_state(layout) if _is_staging_directory(layout) else None
    except sqlite3.Error:
        state = None
    return max(0, settings.max_bytes - (state.blob_bytes if state is not None else 0))


def _file_system(place: Path) -> str:
    """The type of the file system that a directory is on, "" where that is not told."""
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""  # there is no such file on macOS
    best, kind = 0, ""
    resolved = place.resolve()
    for line in lines:
        mounted, what = line.split()[1:3]
        point = Path(mounted.replace("\\040", " "))
        if resolved.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), what
    return kind


CHECKS = (
    ("staging", check_directory),
    ("disk", check_disk),
    ("hard links", check_links),
    ("manifest", check_manifest),
    ("users", check_users),
)
