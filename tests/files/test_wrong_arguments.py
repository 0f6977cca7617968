"""Arguments of the wrong kind: told to the caller, and never the end of the registry."""

import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from codex_actors import ChildExited
from codex_actors.files import (
    Attachment,
    AttachmentNotFound,
    Files,
    FilesConfig,
    InvalidConfig,
    InvalidContentType,
    InvalidTTL,
    open_files,
)

Use = Callable[[Files, Attachment], Awaitable[object]]

BROKEN: Any = "\ud800"


@pytest.fixture
def config(tmp_path: Path) -> FilesConfig:
    """Settings of a staging directory that is not there yet."""
    return FilesConfig(staging_dir=tmp_path / "staging", durability="none")


def stage(**wanted: Any) -> Use:
    """A staging with some argument."""
    arguments: Any = {"name": "name", **wanted}
    return lambda files, _: files.stage(b"bytes", **arguments)


def get(*key: Any) -> Use:
    """A look-up."""
    return lambda files, _: files.get(*key)


def remove(attachment: Any = None, **changes: Any) -> Use:
    """A removal of something, or of what is staged but for some attribute."""
    return lambda files, staged: files.remove(attachment or evolve(staged, **changes))


def lease(attachment: Any = None, **changes: Any) -> Use:
    """The same, to be kept."""

    async def use(files: Files, staged: Attachment) -> None:
        async with files.lease(attachment or evolve(staged, **changes)):
            pytest.fail("leased")

    return use


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (stage(name=5), TypeError, "name 5 is int, not text"),
        (stage(name=Path("x")), TypeError, "not text"),
        (stage(name=["a"]), TypeError, "not text"),
        (stage(content_type=5), TypeError, "content type 5 is int"),
        (stage(content_type=f"text/plain; x={BROKEN}"), InvalidContentType, "media type"),
        (stage(content_type="text/plain;\r\nX-Evil: 1"), InvalidContentType, "media type"),
        (stage(ttl=10**400), InvalidTTL, "over a century"),
        (get(("tuple",)), TypeError, "is tuple, not text"),
        (get(None), TypeError, "is NoneType, not text"),
        (get("checksum", 5), TypeError, "5 is int, not text"),
        (get("checksum", BROKEN), AttachmentNotFound, "is staged here"),
        (remove("checksum"), TypeError, "'checksum' is no Attachment"),
        (remove(name=BROKEN), AttachmentNotFound, "is staged here"),
        (remove(name=["a"]), TypeError, "is list, not text"),
        (lease("checksum"), TypeError, "'checksum' is no Attachment"),
        (lease(name=BROKEN), AttachmentNotFound, "is staged here"),
        (lease(checksum=5), TypeError, "5 is int, not text"),
    ],
)
async def test_a_wrong_argument_is_told_and_harms_nobody(
    config: FilesConfig, use: Use, error: type[Exception], message: str
) -> None:
    """The caller gets an error that says what is wrong; the registry goes on as it is."""
    async with open_files(config) as files:
        staged = await files.stage(b"staged", name="staged")
        exits: list[str] = []
        files.supervisor.events.attach(
            lambda event: exits.append(event.path) if isinstance(event, ChildExited) else None
        )

        with pytest.raises(error, match=message):
            await use(files, staged)

        assert "registry" not in exits
        assert await files.list_staged() == (staged,)


@pytest.mark.parametrize(
    "settings",
    [
        {"default_ttl": 1e12},
        {"default_ttl": 10**400},
        {"default_ttl": math.nan},
        {"sweep_interval": 10**400},
        {"sweep_interval": math.nan},
        {"sweep_interval": math.inf},
    ],
)
def test_a_time_that_no_staging_could_use_is_refused_when_configured(
    settings: dict[str, Any],
) -> None:
    """Not by the first staging, nor by the adoption of a file at start."""
    with pytest.raises(InvalidConfig, match=next(iter(settings))):
        FilesConfig(**settings)
