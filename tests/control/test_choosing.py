"""What people may call an attachment."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codex_actors.control.choosing import choose, label
from codex_actors.control.errors import Ambiguous, NotFound
from codex_actors.files import Attachment


def attachment(checksum: str, name: str) -> Attachment:
    """Return one that differs from others in these."""
    return Attachment(
        name=name,
        path=Path("/staging") / checksum / name,
        checksum=checksum,
        algorithm="blake3",
        size=1,
        content_type="text/plain",
        persist=False,
        inserted_at=datetime(2026, 1, 1, tzinfo=UTC),
        ttl=math.inf,
        expires_at=None,
    )


A = attachment("abcd" + "0" * 60, "a.txt")
B = attachment("abce" + "0" * 60, "b.txt")
OTHER_NAME = attachment(A.checksum, "c.txt")
SAME_NAME = attachment("1" * 64, "b.txt")
HEX_NAME = attachment("2" * 64, "abcd")
ALL = (A, B, OTHER_NAME, SAME_NAME)


@pytest.mark.parametrize(
    ("what", "meant"),
    [
        ("a.txt", A),
        ("c.txt", OTHER_NAME),
        ("abce", B),
        ("ABCE", B),
        (B.checksum, B),
        ("abce/b.txt", B),
        ("abcd/c.txt", OTHER_NAME),
        (label(SAME_NAME), SAME_NAME),
    ],
)
def test_one_is_meant(what: str, meant: Attachment) -> None:
    """By its name, its checksum, the beginning of that, or both."""
    assert choose(ALL, what) == meant


@pytest.mark.parametrize(
    ("what", "candidates"),
    [
        ("abcd", [A, OTHER_NAME]),
        (A.checksum, [A, OTHER_NAME]),
        ("b.txt", [B, SAME_NAME]),
    ],
)
def test_several_are_listed(what: str, candidates: list[Attachment]) -> None:
    """In a form that means one of them each."""
    with pytest.raises(Ambiguous) as caught:
        choose(ALL, what)

    labels = caught.value.data["candidates"]
    assert [choose(ALL, each) for each in labels] == candidates
    assert all(each in str(caught.value) for each in labels)


def test_a_name_that_looks_like_a_checksum_is_ambiguous() -> None:
    """Neither is preferred: `rm` must not guess."""
    with pytest.raises(Ambiguous):
        choose((A, HEX_NAME), "abcd")

    assert choose((A, HEX_NAME), "abcd/a.txt") == A
    assert choose((A, HEX_NAME), "2222/abcd") == HEX_NAME


@pytest.mark.parametrize(
    "what", ["abc", "", "/", "abcf", "A.TXT", "abcd/", "abcd/b.txt", "b.txt/b.txt", "../a.txt", "*"]
)
def test_nothing_is_meant(what: str) -> None:
    """Three digits are too few, and names are not guessed."""
    with pytest.raises(NotFound, match="nothing that is staged"):
        choose(ALL, what)


def test_many_candidates_are_counted() -> None:
    """Ten of them are shown."""
    many = [attachment(f"abcd{number:060}", "x") for number in range(25)]

    with pytest.raises(Ambiguous, match=r"means 25 attachments: .* and 15 more$"):
        choose(many, "x")
