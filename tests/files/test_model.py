"""Values: attachments as data, settings, options that hold attachments, events."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve, frozen

from codex_actors.files import (
    Attachment,
    CleanupReport,
    Event,
    Events,
    FilesConfig,
    InvalidConfig,
    Metrics,
)
from codex_actors.files.attaching import attach, detach

ATTACHMENT = Attachment(
    name="hello.txt",
    path=Path("/staging/abc/hello.txt"),
    checksum="abc",
    algorithm="sha256",
    size=11,
    content_type="text/plain",
    persist=False,
    inserted_at=datetime(2026, 11, 22, 23, 51, 47, 895_000, tzinfo=UTC),
    ttl=86_400.0,
    expires_at=datetime(2026, 11, 23, 23, 51, 47, 895_000, tzinfo=UTC),
)
FOREVER = evolve(ATTACHMENT, persist=True, ttl=math.inf, expires_at=None)


def test_an_attachment_as_data_has_the_keys_of_elixir_and_ours() -> None:
    """The same names, milliseconds and time format as the Elixir SDK."""
    data = ATTACHMENT.to_dict()

    assert data == {
        "id": "abc",
        "name": "hello.txt",
        "path": "/staging/abc/hello.txt",
        "checksum": "abc",
        "algorithm": "sha256",
        "size": 11,
        "content_type": "text/plain",
        "persist": False,
        "inserted_at": "2026-11-22T23:51:47.895Z",
        "ttl": 86_400.0,
        "ttl_ms": 86_400_000,
        "expires_at": "2026-11-23T23:51:47.895Z",
    }


def test_for_ever_is_called_infinity() -> None:
    """JSON has no infinite number."""
    data = FOREVER.to_dict()

    assert (data["ttl"], data["ttl_ms"], data["expires_at"]) == ("infinity", "infinity", None)


@pytest.mark.parametrize("attachment", [ATTACHMENT, FOREVER])
def test_data_gives_the_attachment_back(attachment: Attachment) -> None:
    """Nothing is lost."""
    assert Attachment.from_dict(attachment.to_dict()) == attachment


def test_reports_and_metrics_are_data_too() -> None:
    """Ready for JSON."""
    report = CleanupReport(count=1, bytes=11, attachments=(ATTACHMENT,))

    assert report.to_dict()["attachments"] == [ATTACHMENT.to_dict()]
    assert Metrics(hits=3).to_dict()["hits"] == 3


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("default_ttl", -1),
        ("default_ttl", math.nan),
        ("default_ttl", "60"),
        ("sweep_interval", 0),
        ("sweep_interval", math.inf),
        ("algorithm", "md5"),
        ("durability", "some"),
        ("max_bytes", -1),
        ("max_count", 1.5),
        ("max_transfers", 0),
        ("max_transfers", True),
        ("max_queued", -1),
        ("staging_dir", ""),
        ("staging_dir", Path()),
        ("staging_dir", "a\0b"),
    ],
)
def test_settings_that_make_no_sense_are_named(setting: str, value: object) -> None:
    """When they are built, not when they are used."""
    with pytest.raises(InvalidConfig, match=setting):
        FilesConfig(**{setting: value})  # type: ignore[arg-type]  # the point


@frozen
class Options:
    """Any frozen attrs class with attachments."""

    cwd: str = "."
    attachments: tuple[Attachment, ...] = ()


def test_attaching_again_keeps_the_place() -> None:
    """The newer self stands where the older one stood."""
    other = evolve(ATTACHMENT, name="other.txt")
    newer = evolve(ATTACHMENT, ttl=1.0)

    options = attach(attach(attach(Options(cwd="x"), ATTACHMENT), other), newer)

    assert options == Options(cwd="x", attachments=(newer, other))


def test_detaching_takes_one_key_away() -> None:
    """Another name of the content stays; what is not there leaves the options as they are."""
    other = evolve(ATTACHMENT, name="other.txt")
    options = Options(attachments=(ATTACHMENT, other))

    assert detach(options, ATTACHMENT).attachments == (other,)
    assert detach(Options(), ATTACHMENT) == Options()
    assert options.attachments == (ATTACHMENT, other)


def test_a_handler_that_raises_is_detached_and_told_of() -> None:
    """The others get the event, and the news."""
    told: list[str] = []

    def broken(_event: Event) -> None:
        raise LookupError

    events = Events([broken, lambda event: told.append(event.name)])

    events.emit(Event("one", {}, {}))
    events.emit(Event("two", {}, {}))

    assert told == ["codex.handler.detached", "one", "two"]


def test_an_event_is_one_line_that_one_can_read() -> None:
    """Names in quotes, durations without their last digits."""
    event = Event("one", {"duration": 0.0037421090091811493, "count": 1}, {"name": "x y"})

    line = str(event)

    assert line == "one duration=0.00374211 count=1 name='x y'"
    assert event.to_dict()["measurements"]["duration"] == 0.0037421090091811493


def test_a_detached_handler_hears_no_more() -> None:
    """Detaching twice does no harm."""
    told: list[str] = []
    events = Events()
    detach_it = events.attach(lambda event: told.append(str(event)))
    events.emit(Event("one", {"count": 1}, {"name": "x"}))

    detach_it()
    detach_it()
    events.emit(Event("two", {}, {}))

    assert told == ["one count=1 name='x'"]
