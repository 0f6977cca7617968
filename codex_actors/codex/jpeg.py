"""Owns what Pillow does not say about a JPEG: whether its headers are in order.

Invariant: reads only segment headers, up to the first scan. libjpeg mends or skips what is wrong
in them and decodes arithmetic coding; the decoder in codex does neither, and codex leaves such an
image out without a word (both measured). Must not judge anything else.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["jpeg_problem"]

# ITU T.81, table B.1: the markers of frames; of these baseline, extended sequential and progressive
# DCT are Huffman-coded and not lossless or hierarchical.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PLAIN = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE = 0xC2
_START_OF_IMAGE = b"\xff\xd8"
_START_OF_SCAN = 0xDA
_LENGTH_SIZE = 2
# B.2.3: the whole spectrum in one scan, as a sequential frame has it.
_SEQUENTIAL_SPECTRUM = b"\x00\x3f"
_SCAN_TAIL = 3


def jpeg_problem(path: Path) -> str | None:
    """Say what is unusual about the headers of a JPEG, None when nothing is. Blocks.

    Raises:
        OSError: The file cannot be read.
    """
    frame: int | None = None
    with path.open("rb") as file:
        if file.read(2) != _START_OF_IMAGE:
            return "it does not begin as a JPEG"
        while (marker := _marker(file)) is not None:
            segment = _segment(file)
            if segment is None:
                break
            if marker in _FRAMES:
                if marker not in _PLAIN:
                    return "it is neither baseline nor progressive (arithmetic coding or lossless)"
                frame = marker
            if marker == _START_OF_SCAN:
                spectrum = segment[-_SCAN_TAIL:-1]
                if frame is None or (frame != _PROGRESSIVE and spectrum != _SEQUENTIAL_SPECTRUM):
                    return "its scan header is wrong"
                return None
    return "its segments do not follow one another"


def _marker(file: IO[bytes]) -> int | None:
    """Read the next marker's code, None when something else is there."""
    if file.read(1) != b"\xff":
        return None
    while (code := file.read(1)) == b"\xff":
        pass  # fill bytes
    return code[0] if code else None


def _segment(file: IO[bytes]) -> bytes | None:
    """Read a segment's content, None when it is cut short."""
    length = int.from_bytes(file.read(_LENGTH_SIZE)) - _LENGTH_SIZE
    if length < 0:
        return None
    content = file.read(length)
    return content if len(content) == length else None
