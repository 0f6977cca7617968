"""What kind of content an attachment is said to be."""

from typing import Any, cast

import puremagic
import pytest
from blake3 import blake3

from codex_actors.files import InvalidContentType
from codex_actors.files.content_type import (
    HEAD_BYTES,
    detect_content_type,
    likenesses,
    validate_content_type,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF"
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "
GIF = b"GIF89a" + b"\0" * 8


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.png", PNG, "image/png"),
        ("a.jpg", JPEG, "image/jpeg"),
        ("a.webp", WEBP, "image/webp"),
        ("report.pdf", b"%PDF-1.7\n", "application/pdf"),
        ("notes.md", b"# hi", "text/markdown"),
        ("data.csv", b"a,b", "text/csv"),
        ("x.tar.gz", b"\x1f\x8b", "application/gzip"),
        ("data:,x", b"hi", "text/plain"),
        ("drawing.svg", b"<svg/>", "image/svg+xml"),
        # Where the standard library's table depends on its version.
        ("app.js", b"1", "text/javascript"),
        ("letter.rtf", b"{\\rtf1", "text/rtf"),
        ("sound.wav", b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        ("LOUD.WAV", b"", "audio/wav"),
        ("drawing.svgz", b"\x1f\x8b", "application/gzip"),
    ],
)
def test_the_name_says_it(name: str, head: bytes, expected: str) -> None:
    """Known suffixes decide, the same on every machine."""
    assert detect_content_type(name, head) == expected


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("photo.png", JPEG, "image/jpeg"),
        ("notes.txt", GIF, "image/gif"),
        ("fake.png", b"%PDF-1.4\n" + b"x" * 40, "application/pdf"),
        ("fake.jpg", b"plain words", "text/plain"),
        ("fake.gif", b"", "application/octet-stream"),
        ("fake.webp", b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
    ],
)
def test_bytes_overrule_a_name_about_images(name: str, head: bytes, expected: str) -> None:
    """Codex silently drops what it cannot decode, so an image is one by its bytes."""
    # E18
    assert detect_content_type(name, head) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (PNG, "image/png"),
        (b"words and numbers", "text/plain"),
        ("日本".encode() * HEAD_BYTES, "text/plain"),
        (b"\0\1\2\3", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_without_a_telling_name_the_bytes_say_it(head: bytes, expected: str) -> None:
    """Magic numbers first, then whether it is text."""
    assert detect_content_type("README", head[:HEAD_BYTES]) == expected


@pytest.mark.parametrize("declared", ["image/png", "text/plain; charset=utf-8"])
def test_media_types_pass(declared: str) -> None:
    """Parameters are allowed."""
    assert validate_content_type(declared) == declared


@pytest.mark.parametrize("declared", ["", "png", "a/b/c", "text/plain\r\nX-Evil: 1", "a /b"])
def test_other_declarations_are_refused(declared: str) -> None:
    """What is no media type would break a header later."""
    with pytest.raises(InvalidContentType):
        validate_content_type(declared)


def _example_of(place: int, signature: bytes) -> bytes:
    """Bytes with a signature at its place, counted from the end if that is negative."""
    if place < 0:
        return bytes(700) + signature + bytes(-place - len(signature))
    return (bytes(place) + signature)[:HEAD_BYTES]


def test_bytes_are_known_if_puremagic_knows_them() -> None:
    """Asking it only where one of its signatures is there makes no difference."""
    tables = cast("Any", puremagic)
    rows = [*tables.magic_header_array, *tables.magic_footer_array]
    heads = {_example_of(row.offset, row.byte_match) for row in rows}
    heads |= {blake3(bytes([seed])).digest(600) for seed in range(100)} | {b"", b"\0", b"text"}

    for head in heads:
        try:
            expected = [match.mime_type for match in tables.magic_string(head)]
        except (puremagic.PureError, ValueError):
            expected = []
        assert likenesses(head) == expected, head
