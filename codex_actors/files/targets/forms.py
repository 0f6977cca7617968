"""Owns `multipart/form-data` with one file in it: what goes before and after the file's bytes.

Invariant: pure; nothing of the file is held, and the length of the whole is known beforehand. A
boundary is random, so that no content can hold it. Must not know HTTP.
"""

import re
import secrets
from collections.abc import Mapping

from attrs import frozen

__all__ = ["Form", "form_of"]

# As HTML wants names in forms escaped, and the official clients do it.
_ESCAPES = {'"': "%22", "\\": "\\\\", **{chr(code): f"%{code:02X}" for code in range(0x20)}}
_ESCAPED = re.compile("|".join(map(re.escape, _ESCAPES)))


@frozen
class Form:
    """The bytes around a file, and the content type of the whole."""

    content_type: str
    before: bytes
    after: bytes


def form_of(
    field: str, filename: str, content_type: str, fields: Mapping[str, str] | None = None
) -> Form:
    """Return the form with a file in `field`, after other fields."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (fields or {}).items()
    ]
    parts.append(
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{field}"; filename="{_escape(filename)}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return Form(
        f"multipart/form-data; boundary={boundary}",
        "".join(parts).encode(),
        f"\r\n--{boundary}--\r\n".encode(),
    )


def _escape(text: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], text)
