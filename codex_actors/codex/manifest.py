"""Owns the text that tells the agent of the files it can read with its own tools. Pure.

Invariant: one file a line, as JSON, so that no name can end the list or add to it. Must not touch
the disk.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from codex_actors.files import Attachment

__all__ = ["manifest", "prompt_with_manifest"]

_HEAD = (
    "The user attached these files. Read them at the given path with your own tools while you work "
    "on this message; the paths are gone afterwards. One JSON object describes one file."
)
# Markup, and what is not shown or turns the text around.
_ESCAPED = re.compile(
    "[<>\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def manifest(files: Sequence[tuple[Attachment, Path]]) -> str:
    """Describe attachments and the paths where the agent finds them."""
    lines = [_line(attachment, path) for attachment, path in files]
    return "\n".join(["<attachments>", _HEAD, *lines, "</attachments>"])


def prompt_with_manifest(prompt: str, files: Sequence[tuple[Attachment, Path]]) -> str:
    """Return the prompt, followed by the manifest when there is something to tell."""
    return f"{prompt}\n\n{manifest(files)}" if files else prompt


def _line(attachment: Attachment, path: Path) -> str:
    text = json.dumps(
        {
            "name": attachment.name,
            "content_type": attachment.content_type,
            "size": attachment.size,
            "checksum": f"{attachment.algorithm}:{attachment.checksum}",
            "path": str(path),
        },
        ensure_ascii=False,
    )
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
