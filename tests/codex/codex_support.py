"""What the tests of codex turns share: attachments without a store, and a record of leases."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import trio
from PIL import Image

from codex_actors.codex import CodexNotFound, ThreadOptions, find_codex
from codex_actors.files import Attachment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from codex_actors.testing import ModelServer


def _codex_is_here() -> bool:
    try:
        find_codex()
    except CodexNotFound:
        return False
    return True


needs_codex = pytest.mark.skipif(not _codex_is_here(), reason="the extra `codex` is not installed")
needs_proc = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="pids are watched on Linux")


class Leases:
    """Stands for `Files`: grants every lease, and remembers what is held."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.granted: list[str] = []

    @asynccontextmanager
    async def lease(self, attachment: Attachment) -> AsyncGenerator[None]:
        """Hold the attachment's name while the block runs."""
        await trio.lowlevel.checkpoint()
        self.granted.append(attachment.name)
        self.held.append(attachment.name)
        try:
            yield
        finally:
            self.held.remove(attachment.name)


def png(width: int = 20, height: int = 10, colour: str = "red") -> bytes:
    """Return a PNG."""
    return image("PNG", width, height, colour)


def image(form: str, width: int = 20, height: int = 10, colour: str = "red", **save: Any) -> bytes:
    """Return an image in one of Pillow's formats."""
    target = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(target, form, **save)
    return target.getvalue()


def staged(
    directory: Path, name: str, data: bytes, content_type: str = "application/octet-stream"
) -> Attachment:
    """Lay a file down as a store would, and describe it."""
    attachment = described(directory, name, data, content_type)
    attachment.path.parent.mkdir(parents=True, exist_ok=True)
    attachment.path.write_bytes(data)
    return attachment


def described(
    directory: Path, name: str, data: bytes, content_type: str = "application/octet-stream"
) -> Attachment:
    """Describe a file without laying it down."""
    checksum = hashlib.sha256(data).hexdigest()
    return Attachment(
        name=name,
        path=directory / checksum / name,
        checksum=checksum,
        algorithm="sha256",
        size=len(data),
        content_type=content_type,
        persist=False,
        inserted_at=datetime.now(UTC),
        ttl=3600.0,
        expires_at=None,
    )


def model_options(server: ModelServer, directory: Path, **options: Any) -> ThreadOptions:
    """Return options of an ephemeral thread that has a home of its own.

    Codex runs the user's login shell on its own account, and ends it with the turn: what a profile
    was about to do then stays half done.
    """
    home = directory / "codex-home"
    home.mkdir(exist_ok=True)
    defaults: dict[str, Any] = {
        "cwd": directory,
        "sandbox": "read-only",
        "ephemeral": True,
        "config": server.config(),
        "env": {**server.env(), "CODEX_HOME": str(home), "HOME": str(home)},
    }
    return ThreadOptions(**{**defaults, **options})


async def wait_gone(pid: int) -> None:
    """Wait until a process, of whomever, has ended."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await trio.lowlevel.wait_readable(watched)
    finally:
        os.close(watched)
