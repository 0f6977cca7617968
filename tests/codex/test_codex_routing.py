"""Which way an attachment goes, as a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from codex_support import described, staged
from hypothesis import given
from hypothesis import strategies as st

from codex_actors.codex import DeliveryError
from codex_actors.codex.images import ImageFacts
from codex_actors.codex.routing import Route, plan_delivery, route

GOOD = ImageFacts("PNG", ".png", None)
BAD = ImageFacts("PNG", ".png", "it is damaged")
NONE = ImageFacts()


@pytest.mark.parametrize(
    ("facts", "declared", "expected"),
    [
        (GOOD, "image/png", Route.IMAGE),
        (GOOD, "application/octet-stream", Route.IMAGE),
        (GOOD, "text/csv", Route.IMAGE),
        (BAD, "image/png", None),
        (NONE, "image/png", None),
        (NONE, "IMAGE/PNG; x=y", None),
        (BAD, "application/octet-stream", Route.MANIFEST),
        (NONE, "text/csv", Route.MANIFEST),
        (NONE, "application/pdf", Route.MANIFEST),
        (NONE, "image/svg+xml", Route.MANIFEST),
        (NONE, "audio/wav", None),
    ],
)
def test_routes(tmp_path: Path, facts: ImageFacts, declared: str, expected: Route | None) -> None:
    """Bytes decide; a declared image that is none, and audio, are refused by name."""
    # E18
    attachment = staged(tmp_path, "the name", b"x", declared)

    if expected is None:
        with pytest.raises(DeliveryError, match=r"'the name'.*it is declared"):
            route(attachment, facts)
    else:
        assert route(attachment, facts) is expected


names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=80)


@given(st.lists(names, min_size=1, max_size=4))
def test_link_names_are_safe_and_unique(given_names: list[str]) -> None:
    """Whatever the names are, the links' are of harmless characters, and differ."""
    # E23
    attachments = [described(Path("/nowhere"), name, b"") for name in given_names]

    links = [d.link_name for d in plan_delivery((a, NONE) for a in attachments)]

    assert len(set(links)) == len(links)
    for link in links:
        assert link[0].isdigit()
        assert set(link) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert len(link) < 100


def test_extension_follows_the_bytes(tmp_path: Path) -> None:
    """A PNG that is called .txt gets a link that says so; others keep their extension."""
    first = staged(tmp_path, "photo of me.txt", b"1")
    second = staged(tmp_path, "data.tar.gz", b"2")
    third = staged(tmp_path, ".hidden", b"3")

    plan = plan_delivery([(first, GOOD), (second, NONE), (third, NONE)])

    assert [d.link_name for d in plan] == ["1-photo_of_me.png", "2-data.tar.gz", "3-hidden"]
