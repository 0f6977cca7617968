"""What has happened lately."""

import json

import pytest

from codex_actors import ChildStarted
from codex_actors.control.history import History, matches
from codex_actors.files import Event


def _started(path: str) -> ChildStarted:
    return ChildStarted(path=path, incarnation=1)


def test_both_kinds_of_events_are_numbered_together() -> None:
    """One list, in the order of what happened."""
    history = History()

    history.add_tree_event(_started("registry"))
    history.add_file_event(Event("codex.attachment.staged", {"size_bytes": 3}, {"name": "a"}))

    first, second = history.records()
    assert (first["seq"], first["kind"], first["path"]) == (1, "child_started", "registry")
    assert (second["seq"], second["kind"]) == (2, "codex.attachment.staged")
    assert second["measurements"] == {"size_bytes": 3}
    assert "registry" in first["text"]


def test_the_last_are_kept() -> None:
    """Bounded, with numbers that tell what is missing."""
    history = History(kept=3)
    for number in range(5):
        history.add_tree_event(_started(str(number)))

    assert [record["seq"] for record in history.records()] == [3, 4, 5]
    assert [record["seq"] for record in history.records(last=2)] == [4, 5]
    assert history.records(last=0) == []
    assert [record["seq"] for record in history.records(after=4)] == [5]


def test_followers_are_told_each_once() -> None:
    """From when they follow until they have enough."""
    history = History()
    told: list[int] = []
    history.add_tree_event(_started("before"))
    unfollow = history.follow(lambda record: told.append(record["seq"]))

    history.add_tree_event(_started("during"))
    unfollow()
    unfollow()
    history.add_tree_event(_started("after"))

    assert told == [2]


def test_no_text_is_kept_that_is_long() -> None:
    """A thousand events have a bounded size, whatever names there are in them."""
    history = History()

    history.add_file_event(
        Event("codex.attachment.failed", {"count": 1}, {"name": "n" * 1_000_000})
    )

    (record,) = history.records()
    assert len(json.dumps(record)) < 10_000
    assert record["measurements"] == {"count": 1}
    assert "998,000 more characters" in json.dumps(record)


@pytest.mark.parametrize(
    ("kind", "kinds", "expected"),
    [
        ("child_started", (), True),
        ("child_started", ("child_started",), True),
        ("child_started", ("child",), True),
        ("child_started", ("chil",), False),
        ("codex.upload.retry", ("codex.upload", "x"), True),
        ("codex.upload.retry", ("codex.uploads",), False),
    ],
)
def test_kinds_are_wanted_by_name_or_by_family(
    kind: str, kinds: tuple[str, ...], expected: bool
) -> None:
    """A family ends at a dot or an underscore."""
    assert matches({"kind": kind}, kinds) is expected


@pytest.mark.parametrize(
    ("about", "path", "expected"),
    [
        ("a", "a", True),
        ("a/b", "a", True),
        ("ab", "a", False),
        ("a", "a/b", False),
        (None, "a", False),
        (None, None, True),
    ],
)
def test_what_concerns_an_actor_is_about_it_or_below_it(
    about: str | None, path: str | None, expected: bool
) -> None:
    """Events of files are about no actor."""
    record = {"kind": "x"} if about is None else {"kind": "x", "path": about}

    assert matches(record, (), path) is expected
