"""Every system call that a use of the files makes is made to fail, one after the other.

A use is carried out once to count its calls, then once for each of them, which fails. It succeeds
all the same, or raises an error of the file layer; either way nothing is left over, nothing that
was staged is lost, what is counted lies on the disk, and the tree goes on as it was.

`CODEX_ACTORS_TEST_FAULTS=all` fails each call with every error, instead of with one of them in
turn.
"""

import errno
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import pytest
from attrs import define, field
from blake3 import blake3
from disk_support import WatchedDisk, When
from walk_support import Key, assert_equal_to_walk, walk_of

from codex_actors import ChildExited
from codex_actors import Event as TreeEvent
from codex_actors.files import Attachment, Files, FilesConfig, FilesError, Seams, open_files
from codex_actors.files.blocking import Inline

MIB = 1 << 20
BIG = bytes(range(256)) * 12_000  # three MiB, nearly
SMALL = b"small"

ALL = os.environ.get("CODEX_ACTORS_TEST_FAULTS") == "all"
ERRORS = (
    errno.EIO,
    errno.ENOSPC,
    errno.EMFILE,
    errno.EROFS,
    errno.EDQUOT,
    errno.EACCES,
    errno.ENOMEM,
)


@define
class Breaker:
    """Counts the calls while it is armed, and fails the n-th.

    Attributes:
        nth: Which call fails, 0 for none.
        error: With which number.
        armed: Whether it counts.
        calls: What was called.
    """

    nth: int = 0
    error: int = errno.EIO
    armed: bool = False
    calls: list[str] = field(factory=list[str])

    def __call__(self, kind: str, when: When) -> None:
        """Count a call, and fail it when it is its turn."""
        if self.armed and when == "before":
            self.calls.append(kind)
            if len(self.calls) == self.nth:
                raise OSError(self.error, os.strerror(self.error))


@define
class Stage:
    """What a use finds: files to stage, and what is staged already.

    Attributes:
        place: A directory for the files.
        staged: By name.
        first: Whether the use is carried out for the first time.
    """

    place: Path
    staged: dict[str, Attachment] = field(factory=dict[str, Attachment])
    first: bool = True

    def path(self, name: str, data: bytes) -> Path:
        """Write a file to stage, old enough to be remembered."""
        path = self.place / name
        path.write_bytes(data)
        os.utime(path, ns=(0, 10**18))
        return path


Use: TypeAlias = Callable[[Files, Stage], Awaitable[object]]
uses: dict[str, Use] = {}
# What a use may remove of what was staged before.
removes: dict[str, tuple[str, ...]] = {}


def use(*removed: str) -> Callable[[Use], Use]:
    """Enter a use, and the names of what it may remove."""

    def enter(function: Use) -> Use:
        name = getattr(function, "__name__", "").strip("_")
        uses[name] = function
        removes[name] = removed
        return function

    return enter


async def stream(data: bytes) -> AsyncGenerator[bytes]:
    """Give bytes in pieces."""
    for start in range(0, len(data), 1 << 19):
        yield data[start : start + (1 << 19)]


@use()
async def _stage_bytes(files: Files, _stage: Stage) -> None:
    await files.stage(SMALL, name="new")


@use()
async def _stage_big_bytes(files: Files, _stage: Stage) -> None:
    await files.stage(BIG, name="new")


@use()
async def _stage_nothing(files: Files, _stage: Stage) -> None:
    await files.stage(b"", name="new")


@use()
async def _stage_path(files: Files, stage: Stage) -> None:
    await files.stage(stage.path("small", SMALL), name="new")


@use()
async def _stage_big_path(files: Files, stage: Stage) -> None:
    await files.stage(stage.path("big", BIG), name="new")


@use()
async def _stage_stream(files: Files, _stage: Stage) -> None:
    await files.stage(stream(BIG), name="new")


@use()
async def _stage_file(files: Files, _stage: Stage) -> None:
    await files.stage(BytesIO(SMALL), name="new")


@use()
async def _stage_again(files: Files, _stage: Stage) -> None:
    await files.stage(b"kept", name="kept")


@use()
async def _stage_again_and_verify(files: Files, _stage: Stage) -> None:
    await files.stage(b"two", name="one", verify=True)


@use()
async def _stage_another_name(files: Files, _stage: Stage) -> None:
    await files.stage(b"two", name="three")


@use()
async def _stage_a_path_again(files: Files, stage: Stage) -> None:
    await files.stage(stage.place / "known", name="known")


@use()
async def _stage_a_path_under_another_name(files: Files, stage: Stage) -> None:
    await files.stage(stage.place / "known", name="known too")


@use()
async def _stage_what_is_gone(files: Files, stage: Stage) -> None:
    if stage.first:
        stage.staged["kept"].path.unlink()
    await files.stage(b"kept", name="kept")


@use()
async def _stage_what_was_altered(files: Files, stage: Stage) -> None:
    if stage.first:
        stage.staged["one"].path.write_bytes(b"2wo")
    await files.stage(b"two", name="one", verify=True)


@use("expired")
async def _sweep(files: Files, _stage: Stage) -> None:
    await files.force_cleanup()


@use("kept")
async def _remove(files: Files, stage: Stage) -> None:
    await files.remove(stage.staged["kept"])


@use("one")
async def _remove_one_of_two_names(files: Files, stage: Stage) -> None:
    await files.remove(stage.staged["one"])


@use("kept", "one", "two", "expired", "known")
async def _reset(files: Files, _stage: Stage) -> None:
    await files.reset()


@use("kept", "one", "two", "expired", "known")
async def _reset_by_force(files: Files, stage: Stage) -> None:
    async with files.lease(stage.staged["kept"]):
        await files.reset(force=True)


@use("expired")
async def _use_temporary(files: Files, _stage: Stage) -> None:
    async with files.temporary(SMALL, name="new") as attachment:
        assert attachment.path.read_bytes() == SMALL


@use()
async def _lease(files: Files, stage: Stage) -> None:
    async with files.lease(stage.staged["kept"]) as attachment:
        assert attachment.path.read_bytes() == b"kept"


@use()
async def _look(files: Files, stage: Stage) -> None:
    await files.get(stage.staged["kept"].checksum)
    await files.metrics()
    await files.list_staged()


@use("expired")
async def _verify(files: Files, _stage: Stage) -> None:
    await files.verify()


@use("kept")
async def _verify_what_was_altered(files: Files, stage: Stage) -> None:
    if stage.first:
        stage.staged["kept"].path.write_bytes(b"tpek")
    await files.verify()


@use("known", "two", "expired")
async def _evict(files: Files, _stage: Stage) -> None:
    await files.stage(b"new", name="new")


# Uses that go another way where there are no hard links.
COPYING = (
    "stage_bytes",
    "stage_another_name",
    "stage_a_path_under_another_name",
    "stage_what_was_altered",
    "remove",
    "remove_one_of_two_names",
)
# What finds a store that is not as it was left, and so makes good at the next time what failed.
MENDING = {"stage_what_is_gone", "stage_what_was_altered", "verify_what_was_altered"}


async def carry_out(name: str, place: Path, breaker: Breaker, *, links: bool = True) -> list[str]:
    """Carry out one use with one fault; return the calls that it made."""
    stage = Stage(place)
    root = place / "staging"
    config = FilesConfig(
        staging_dir=root,
        durability="none",
        max_count=5 if name == "evict" else None,
    )
    seams = Seams(blocking=Inline(), disk=WatchedDisk("none", breaker, links))
    exits: list[TreeEvent] = []
    async with open_files(config, seams=seams) as files:
        known = stage.path("known", b"known")
        for title, data, persist in [
            ("kept", b"kept", True),
            ("one", b"two", True),
            ("two", b"two", False),
        ]:
            stage.staged[title] = await files.stage(data, name=title, persist=persist)
        stage.staged["known"] = await files.stage(known, name="known")
        stage.staged["expired"] = await files.stage(b"expired", name="expired", ttl=0)
        # What has been swept once has started: nothing else goes on when the count begins.
        await files.force_cleanup(dry_run=True)
        watching = files.supervisor.events.attach(exits.append)

        breaker.armed = True
        refused: FilesError | None = None
        try:
            await uses[name](files, stage)
        except FilesError as error:
            refused = error
        breaker.armed = False

        stage.first = False
        if name in MENDING:
            await uses[name](files, stage)

        watching()
        assert breaker.nth or refused is None
        assert not [event for event in exits if _is_death(event)], "the tree did not go on"
        fresh = await files.stage(b"afterwards", name="afterwards")
        assert fresh.path.read_bytes() == b"afterwards"
        await files.force_cleanup()
        await assert_sound(files, root, must_be_there(name, stage), links=links, quiet=False)

    async with open_files(config, seams=seams) as files:
        await files.force_cleanup()
        await assert_sound(files, root, must_be_there(name, stage), links=links, quiet=True)
    assert walk_of(root).owners == ()
    return breaker.calls


def must_be_there(name: str, stage: Stage) -> dict[Key, bytes]:
    """What a use may not have removed."""
    contents = {"kept": b"kept", "one": b"two", "two": b"two", "known": b"known"}
    gone = removes[name]
    return {stage.staged[title].key: data for title, data in contents.items() if title not in gone}


async def assert_sound(
    files: Files, root: Path, there: dict[Key, bytes], *, links: bool, quiet: bool
) -> None:
    """What is listed is what lies there, and nothing more does."""
    listed = await files.list_staged()
    metrics = await files.metrics()
    walk = walk_of(root)
    assert_equal_to_walk(metrics, listed, walk, linked=links)
    assert metrics.leases == 0
    assert set(walk.others) <= {".quarantine"}
    if quiet:
        assert walk.partials == ()
    paths = {attachment.key: attachment.path for attachment in listed}
    for key, data in there.items():
        assert paths[key].read_bytes() == data


def _is_death(event: TreeEvent) -> bool:
    return isinstance(event, ChildExited) and not event.path.startswith("transfers/")


def chosen(calls: list[str]) -> list[int]:
    """Return which calls to fail; of many of a kind in a row, the first and the last one do."""
    return [
        nth
        for nth, kind in enumerate(calls, start=1)
        if ALL or calls[nth - 2 : nth - 1] != [kind] or calls[nth : nth + 1] != [kind]
    ]


async def fail_each(
    name: str, tmp_path: Path, attempt: Callable[[Path, Breaker], Awaitable[list[str]]]
) -> None:
    """Count the calls of an attempt, then make one after the other fail."""
    (tmp_path / "0").mkdir()
    calls = await attempt(tmp_path / "0", Breaker())
    assert calls
    chance = random.Random(name)
    for nth in chosen(calls):
        for error in ERRORS if ALL else [chance.choice(ERRORS)]:
            place = tmp_path / f"{nth} {error}"
            place.mkdir()
            try:
                await attempt(place, Breaker(nth, error))
            except BaseException as problem:
                problem.add_note(f"call {nth} of {calls} failed with {errno.errorcode[error]}")
                raise


@pytest.mark.parametrize("name", list(uses))
async def test_a_system_call_that_fails_harms_nothing_else(tmp_path: Path, name: str) -> None:
    """Whichever it is, and whatever it was for."""
    # F26, F40, F41
    await fail_each(name, tmp_path, lambda place, breaker: carry_out(name, place, breaker))


@pytest.mark.parametrize("name", COPYING)
async def test_a_system_call_that_fails_harms_nothing_without_links_either(
    tmp_path: Path, name: str
) -> None:
    """Where every name of a content is a file of its own."""
    # F26, F40, F41
    await fail_each(
        name, tmp_path, lambda place, breaker: carry_out(name, place, breaker, links=False)
    )


async def start(found: str, place: Path, breaker: Breaker) -> list[str]:
    """Open a directory in some condition with one fault, then without; return the calls."""
    root = place / "staging"
    config = FilesConfig(staging_dir=root, durability="none")
    there: dict[Key, bytes] = {}
    if found != "nothing":
        async with open_files(config, seams=Seams(blocking=Inline())) as files:
            for data, name in [(b"kept", "kept"), (b"two", "one"), (b"two", "two")]:
                attachment = await files.stage(data, name=name)
                there[attachment.key] = data
        if found == "no manifest":
            (root / "manifest.sqlite3").unlink()
        if found != "a manifest":
            leave_debris(root, there)

    breaker.armed = True
    seams = Seams(blocking=Inline(), disk=WatchedDisk("none", breaker))
    try:
        async with open_files(config, seams=seams) as files:
            await files.force_cleanup()
    except FilesError:
        assert breaker.nth
    breaker.armed = False

    for _ in range(2):
        async with open_files(config, seams=seams) as files:
            await files.force_cleanup()
            await assert_sound(files, root, there, links=True, quiet=True)
            await files.stage(b"afterwards", name="afterwards")
    walk = walk_of(root)
    assert (walk.owners, walk.blank) == ((), ())
    return breaker.calls


def leave_debris(root: Path, there: dict[Key, bytes]) -> None:
    """Leave what processes leave that are killed: strays, empty directories, half a removal."""
    stray = root / blake3(b"stray").hexdigest()
    stray.mkdir()
    (stray / "stray").write_bytes(b"stray")
    (root / blake3(b"empty").hexdigest()).mkdir()
    dead = root / ".partials" / "1-dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "0.partial").write_bytes(b"half")
    (checksum, name), *_ = there
    kept = root / checksum / name
    if (root / "manifest.sqlite3").exists():
        (dead / f"1.{checksum}.partial").hardlink_to(kept)
        kept.unlink()
        kept.parent.rmdir()


@pytest.mark.parametrize("found", ["nothing", "a manifest", "debris", "no manifest"])
async def test_a_start_that_fails_is_made_good_by_the_next(tmp_path: Path, found: str) -> None:
    """Whatever it found, and at whichever step it failed."""
    # F22, F26, F27, F41
    await fail_each(found, tmp_path, lambda place, breaker: start(found, place, breaker))
