"""Owns what kind of content an attachment is said to be.

The order: what the caller declared; then what the name says (`media_types`), unless the bytes
contradict it about being an image, for codex drops what it cannot decode; then what the bytes say
(puremagic, and plain text by being UTF-8); then `application/octet-stream`.
Pure: knows the name and the first bytes, never the file.
"""

import mimetypes
import re
from functools import cache
from io import StringIO
from typing import Any, cast

from codex_actors.files.errors import InvalidContentType
from codex_actors.files.media_types import ALIASES, ENCODINGS, SUFFIXES, TYPES

__all__ = ["HEAD_BYTES", "detect_content_type", "likenesses", "validate_content_type"]

HEAD_BYTES = 4096

_UNKNOWN = "application/octet-stream"
_COMPRESSED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/x-brotli",
}
# The formats that codex can send as images: the ones whose name must not lie.
_IMAGE_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
)
_IMAGES = frozenset(kind for _, _, kind in _IMAGE_MAGIC)
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+([ \t]*;[ \t]*[\x20-\x7e]+)?", re.ASCII)

_by_name = mimetypes.MimeTypes()
_by_name.types_map = ({}, {})  # without what this version of Python brings
_by_name.types_map_inv = ({}, {})
_by_name.encodings_map = dict(ENCODINGS)
_by_name.suffix_map = dict(SUFFIXES)
_by_name.readfp(StringIO(TYPES))


def validate_content_type(content_type: Any) -> str:
    """Return a declared content type unchanged when it is `type/subtype`, parameters allowed.

    Raises:
        InvalidContentType: It is something else, or more than one line of printable ASCII.
        TypeError: It is not a str.
    """
    if not isinstance(content_type, str):
        raise TypeError(
            f"The content type {content_type!r} is {type(content_type).__name__}, not text: give a"
            " str."
        )
    if _MEDIA_TYPE.fullmatch(content_type) is None:
        raise InvalidContentType(
            f"The content type {content_type!r} is not a media type: give one like 'image/png'."
        )
    return content_type


def detect_content_type(name: str, head: bytes) -> str:
    """Return the content type of what is called `name` and begins with `head` (`HEAD_BYTES`)."""
    named = _of_name(name)
    image = _image_of(head)
    if image is not None:
        return image
    if named is not None and named not in _IMAGES:
        return named
    return _of_bytes(head)


def _of_name(name: str) -> str | None:
    # A bare suffix keeps guess_type from reading the name as a URL.
    kind, encoding = _by_name.guess_type("x" + name[name.find(".") :] if "." in name else "x")
    return kind if encoding is None else _COMPRESSED.get(encoding, _UNKNOWN)


def _image_of(head: bytes) -> str | None:
    for offset, magic, kind in _IMAGE_MAGIC:
        if head.startswith(magic, offset) and (offset == 0 or head.startswith(b"RIFF")):
            return kind
    return None


def _of_bytes(head: bytes) -> str:
    # Images were judged by their own magic above; a weaker likeness of one is none.
    kind = next((kind for kind in likenesses(head) if kind and kind not in _IMAGES), None)
    if kind is not None:
        return ALIASES.get(kind, kind)
    return "text/plain" if _is_text(head) else _UNKNOWN


def likenesses(head: bytes) -> list[str]:
    """Return the media types that puremagic takes bytes for, the likeliest first."""
    import puremagic  # noqa: PLC0415 - its tables cost 15 ms, and most names say enough

    # To ask it takes longer than to copy a small file, and most often there is no answer.
    if not _has_signature(head):
        return []
    identify: Any = cast("Any", puremagic).magic_string  # an untyped library
    try:
        return [match.mime_type for match in identify(head)]
    except (puremagic.PureError, ValueError):
        return []


def _has_signature(head: bytes) -> bool:
    for start, signatures in _signatures():
        likely = signatures.get(head[start : start + 1 or None])
        if likely is not None and head.startswith(likely, start):
            return True
    return False


@cache
def _signatures() -> tuple[tuple[int, dict[bytes, tuple[bytes, ...]]], ...]:
    """Return where puremagic looks for what, by first bytes: without any of these it knows nothing.

    Places from the end are negative; what does not lie wholly within the bytes is no match either.
    """
    import puremagic  # noqa: PLC0415 - as above

    tables = cast("Any", puremagic)
    places: dict[int, dict[bytes, tuple[bytes, ...]]] = {}
    for row in (*tables.magic_header_array, *tables.magic_footer_array):
        by_first = places.setdefault(row.offset, {})
        first = row.byte_match[:1]
        by_first[first] = (*by_first.get(first, ()), row.byte_match)
    return tuple(places.items())


def _is_text(head: bytes) -> bool:
    if not head or b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character cut in two by the end of the head is no contradiction.
        return len(head) == HEAD_BYTES and error.start >= HEAD_BYTES - 3
    return True
