"""What the Elixir SDK's attachments were, ours are, but for what differs on purpose.

`golden/elixir_attachments.json` holds what that SDK answered and emitted; here the same is asked of
ours, at the recorded moments. Then comes the table of differences, each with its reason and proof.
"""

import base64
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from attrs import frozen
from files_support import tree_of

from codex_actors.files import (
    Event,
    Files,
    FilesConfig,
    FilesError,
    InvalidName,
    InvalidTTL,
    NotARegularFile,
    Seams,
    SourceNotFound,
    open_files,
)
from codex_actors.files.blocking import Inline
from codex_actors.files.clock import Clock
from codex_actors.files.store.disk import Disk

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "elixir_attachments.json").read_text()
)
CASES: list[dict[str, Any]] = GOLDEN["cases"]
HALF_A_MILLISECOND = 0.0005  # ours are cut to milliseconds; half of one keeps floats off the edge


def moment_of(case: dict[str, Any]) -> float:
    """When a case was recorded, in seconds since 1970."""
    inserted_at = datetime.fromisoformat(case["attachment"]["inserted_at"])
    return inserted_at.timestamp() + HALF_A_MILLISECOND


def seconds(ttl_ms: float | str) -> float:
    """The original's milliseconds, or its "infinity", as our seconds."""
    return float("inf") if ttl_ms == "infinity" else float(ttl_ms) / 1000


def arguments_of(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a case as arguments of `stage`."""
    renamed = {key: value for key, value in options.items() if key != "ttl_ms"}
    return renamed | ({"ttl": seconds(options["ttl_ms"])} if "ttl_ms" in options else {})


def write_source(folder: Path, case: dict[str, Any]) -> Path:
    """Write the file that a case stages."""
    encoded: str = case["source_base64"]
    times = 1
    if encoded.startswith("repeat:"):
        _, encoded, count = encoded.split(":")
        times = int(count)
    folder.mkdir(exist_ok=True)
    path: Path = folder / case["source_name"]
    path.write_bytes(base64.b64decode(encoded) * times)
    return path


@frozen
class Opened:
    """Files as the original has them: SHA-256, a day to live; and what they told."""

    files: Files
    root: Path
    told: list[Event]

    def tell(self, name: str) -> list[dict[str, Any]]:
        """Return the events of one name so far, as data, and forget all."""
        events = [event.to_dict() for event in self.told if event.name == name]
        self.told.clear()
        return events


@asynccontextmanager
async def opened(root: Path, disk: Disk | None = None) -> AsyncGenerator[Opened]:
    """Open them at the moment at which the first case was recorded."""
    told: list[Event] = []
    config = FilesConfig(staging_dir=root, algorithm="sha256", durability="none")
    seams = Seams(blocking=Inline(), clock=Clock(lambda: moment_of(CASES[0])), disk=disk)
    async with open_files(config, on_event=[told.append], seams=seams) as files:
        yield Opened(files, root, told)


async def replay(here: Opened, sources: Path) -> AsyncGenerator[tuple[dict[str, Any], Any]]:
    """Stage every case in order, at its moment; give it with what ours answers."""
    start = trio.current_time()
    for case in CASES:
        await trio.sleep_until(start + moment_of(case) - moment_of(CASES[0]))
        source = write_source(sources, case)
        yield case, await here.files.stage(source, **arguments_of(case["options"]))


async def test_every_recorded_case_gives_the_same_attachment_and_event(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Id, checksum, name, size, persist, ttl, moment, path; measurements and metadata."""
    # F1, F2, F6, F35
    root = tmp_path / "staging"
    async with opened(root) as here:
        async for case, attachment in replay(here, tmp_path / "sources"):
            data = attachment.to_dict()
            data["path"] = str(attachment.path.relative_to(root))

            ours = {key: data[key] for key in case["attachment"]}
            assert ours == case["attachment"], case["case"]
            assert here.tell("codex.attachment.staged") == case["telemetry"], case["case"]


async def test_nothing_else_is_told_of_a_staging(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """One event for each case, as the original: who counts them counts stagings."""
    async with opened(tmp_path / "staging") as here:
        async for _ in replay(here, tmp_path / "sources"):
            pass

        names = [event.name for event in here.told]
        assert names == ["codex.attachment.staged"] * len(CASES)


async def test_the_metrics_after_the_cases_are_the_same(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """What never expires by its ttl alone counts as expirable there, and so it does here."""
    # F41
    async with opened(tmp_path / "staging") as here:
        async for _ in replay(here, tmp_path / "sources"):
            pass

        metrics = (await here.files.metrics()).to_dict()

        expected = GOLDEN["metrics_after_cases"]
        assert {key: metrics[key] for key in expected} == expected


async def test_a_cleanup_tells_the_same(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Count and bytes; checksum, name and ttl."""
    # F33
    async with opened(tmp_path / "staging") as here:
        await here.files.stage(b"goes away", name="gone.txt", ttl=0)

        await here.files.force_cleanup()

        assert here.tell("codex.attachment.cleaned") == GOLDEN["cleanup_telemetry"]


@pytest.mark.parametrize(
    ("case", "term", "expected"),
    [
        ("missing", "{:error, :enoent}", SourceNotFound),
        ("directory", "{:error, :eisdir}", NotARegularFile),
        ("negative_ttl", "{:error, {:invalid_ttl, -1}}", InvalidTTL),
    ],
)
async def test_what_was_an_error_is_one(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    case: str,
    term: str,
    expected: type[FilesError],
) -> None:
    """An exception where the original answers a tuple, of a class where that has an atom."""
    # F13, F15
    (tmp_path / "file").write_bytes(b"x")
    source = {"missing": "nowhere", "directory": "."}.get(case, "file")
    async with opened(tmp_path / "staging") as here:
        before = tree_of(here.root)

        with pytest.raises(expected):
            await here.files.stage(
                tmp_path / source, ttl=-0.001 if case == "negative_ttl" else None
            )

        assert GOLDEN["errors"][case] == term
        assert set(GOLDEN["errors"]) == {"missing", "directory", "negative_ttl"}
        assert tree_of(here.root) == before


# What differs on purpose


async def own_name(here: Opened, sources: Path) -> None:
    """A second name is an attachment of its own, over the same bytes."""
    first = await here.files.stage(b"same", name="first.txt")
    second = await here.files.stage(b"same", name="second.csv")

    assert (first.name, first.content_type) == ("first.txt", "text/plain")
    assert (second.name, second.content_type) == ("second.csv", "text/csv")
    assert second.id == first.id
    assert second.path.samefile(first.path)
    assert second.path == here.root / second.checksum / "second.csv"
    assert await here.files.list_staged() == (first, second)
    cached = [event["metadata"]["cached?"] for event in here.tell("codex.attachment.staged")]
    assert cached == [False, True]


async def never_shortens(here: Opened, sources: Path) -> None:
    """The later of two expiries counts, and is told as the ttl from now."""
    await here.files.stage(b"x", name="x", ttl=3600)
    await trio.sleep(600)

    again = await here.files.stage(b"x", name="x", ttl=0)

    assert again.to_dict()["ttl_ms"] == 3_000_000
    assert here.tell("codex.attachment.staged")[1]["metadata"]["ttl_ms"] == 3_000_000
    assert (await here.files.force_cleanup()).count == 0


async def refuses_paths_as_names(here: Opened, sources: Path) -> None:
    """A name is one entry of one directory."""
    victim = here.root.parent / "victim.txt"
    victim.write_bytes(b"precious")

    with pytest.raises(InvalidName):
        await here.files.stage(b"x", name="../../victim.txt")

    assert victim.read_bytes() == b"precious"


async def checks_every_ttl(here: Opened, sources: Path) -> None:
    """A ttl that makes no sense is refused whatever `persist` says."""
    with pytest.raises(InvalidTTL):
        await here.files.stage(b"x", name="x", persist=True, ttl=-1)

    assert await here.files.list_staged() == ()


async def misses_what_is_gone(here: Opened, sources: Path) -> None:
    """A hit needs its file; without one the bytes are staged again, and told as not cached."""
    attachment = await here.files.stage(b"x", name="x")
    attachment.path.unlink()

    again = await here.files.stage(b"x", name="x")

    assert again.path.read_bytes() == b"x"
    cached = [event["metadata"]["cached?"] for event in here.tell("codex.attachment.staged")]
    assert cached == [False, False]


async def removes_directories(here: Opened, sources: Path) -> None:
    """The directory of a content goes with its last name."""
    before = tree_of(here.root)
    await here.files.stage(b"x", name="x", ttl=0)

    await here.files.force_cleanup()

    assert tree_of(here.root) == before


async def tells_of_a_reset(here: Opened, sources: Path) -> None:
    """What a reset removes is told like what a sweep removes."""
    await here.files.stage(b"x", name="x", persist=True)

    await here.files.reset()

    (event,) = here.tell("codex.attachment.cleaned")
    assert event["metadata"]["name"] == "x"


async def tells_of_failures(here: Opened, sources: Path) -> None:
    """A staging that failed is an event, too."""
    with pytest.raises(SourceNotFound):
        await here.files.stage(sources / "missing")

    (event,) = here.tell("codex.attachment.failed")
    assert event["metadata"]["error"] == "SourceNotFound"


async def answers_what_went(here: Opened, sources: Path) -> None:
    """A cleanup tells what went, where the original says `:ok`."""
    attachment = await here.files.stage(b"x", name="x", ttl=0)

    report = await here.files.force_cleanup()

    assert (report.count, report.bytes, report.attachments) == (1, 1, (attachment,))


async def lists_in_order(here: Opened, sources: Path) -> None:
    """The least recently staged comes first; the original has no order."""
    for name in "cab":
        await here.files.stage(name.encode(), name=name)
        await trio.sleep(1)
    await here.files.stage(b"c", name="c")

    assert [attachment.name for attachment in await here.files.list_staged()] == ["a", "b", "c"]


@frozen
class Options:
    """Options of some turn."""

    attachments: tuple[Any, ...] = ()


async def keeps_the_place(here: Opened, sources: Path) -> None:
    """Attaching again keeps the place, and a second name does not push out the first."""
    one = await here.files.stage(b"1", name="one")
    two = await here.files.stage(b"2", name="two")
    uno = await here.files.stage(b"1", name="uno")

    options = Options()
    for attachment in (one, two, uno, one):
        options = here.files.attach(options, attachment)

    assert options.attachments == (one, two, uno)


@frozen
class Difference:
    """Something that ours does otherwise.

    Attributes:
        original: What the Elixir SDK does.
        reason: Why ours does not.
        proof: Shows what ours does.
    """

    original: str
    reason: str
    proof: Callable[[Opened, Path], Awaitable[None]]


DIFFERENCES = {
    "E2 names": Difference(
        "takes `../../victim.txt` as a name and writes there",
        "nothing outside of the staging directory may be written, or deleted later",
        refuses_paths_as_names,
    ),
    "E3 directories": Difference(
        "leaves empty checksum directories behind",
        "a staging directory must not grow for ever",
        removes_directories,
    ),
    "E4 hits": Difference(
        "answers a hit, `cached?: true`, for a file that is gone",
        "who gets an attachment opens its path",
        misses_what_is_gone,
    ),
    "E5 second name": Difference(
        "answers the first name and path to whoever stages the same content under another",
        "the name is what the model reads, and its suffix decides the type",
        own_name,
    ),
    "E7 shorter ttl": Difference(
        "takes the ttl of the last staging, a shorter one too",
        "another holder counts on the time that was promised",
        never_shortens,
    ),
    "E16 cleanup": Difference(
        "answers `:ok` to a cleanup, whatever became of it",
        "who cleans up wants to know what went and what would not go",
        answers_what_went,
    ),
    "ttl with persist": Difference(
        "looks at no ttl where `persist` is given",
        "a mistake in one argument is not made good by another",
        checks_every_ttl,
    ),
    "reset": Difference(
        "resets without a word",
        "what counts the bytes on disk by events must hear of all that go",
        tells_of_a_reset,
    ),
    "failures": Difference(
        "emits nothing when a staging fails",
        "operators alert on failures",
        tells_of_failures,
    ),
    "order": Difference(
        "lists in the order of a hash table",
        "people read lists, and eviction goes by age",
        lists_in_order,
    ),
    "attach": Difference(
        "moves an attachment to the end when it is attached again, and knows it by its content",
        "the order is that of the turn's input, and two names of one content are two attachments",
        keeps_the_place,
    ),
}


@pytest.mark.parametrize("difference", DIFFERENCES.values(), ids=DIFFERENCES)
async def test_what_differs_on_purpose(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, difference: Difference
) -> None:
    """Each difference is proven, and has its reason."""
    sources = tmp_path / "sources"

    async with opened(tmp_path / "staging") as here:
        await difference.proof(here, sources)
