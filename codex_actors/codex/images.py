"""Owns the question whether a file is an image that codex will show to the model.

Invariant: `problem` is None only for a file that is one of the four formats codex takes, that
decodes wholly, and whose decoding fits into bounded memory. Only bytes count, never names. Pillow
is imported when the first image is judged. Must not know attachments or codex's arguments.

Measured: codex passes PNG, JPEG and WebP on as they are (scaled down when larger than about 2.5
megapixels or 2,048 pixels on a side), a GIF as a PNG of its first frame, and leaves everything else
out, also BMP, TIFF, AVIF and a PNG without its final chunk.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from attrs import frozen

from codex_actors.codex.jpeg import jpeg_problem

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MAX_IMAGE_BYTES", "MAX_IMAGE_PIXELS", "ImageFacts", "inspect_image", "sniff"]

MAX_IMAGE_PIXELS = 89_478_485
"""Pillow's own threshold: a quarter of a gigabyte once decoded, whatever the file's size."""
MAX_IMAGE_BYTES = 256 * 2**20
"""Some decoders hold the whole file."""

MAGIC_LENGTH = 16
_DELIVERABLE = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "WEBP": ".webp"}
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
)
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF"}


@frozen
class ImageFacts:
    """What a file is, as an image.

    Attributes:
        format: The format that its first bytes announce, None when it is no image.
        suffix: A file extension for it, where codex takes the format.
        problem: Why codex would not show it to the model, None when it would.
    """

    format: str | None = None
    suffix: str = ""
    problem: str | None = "its bytes are not an image"


def sniff(head: bytes) -> str | None:
    """Name the image format that a file's first `MAGIC_LENGTH` bytes announce."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def inspect_image(path: Path) -> ImageFacts:
    """Judge a file, decoding it when it claims to be an image. Blocks: call it in a thread.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        name = sniff(file.read(MAGIC_LENGTH))
        size = file.seek(0, 2)
    if name is None:
        return ImageFacts()
    if name not in _DELIVERABLE:
        return ImageFacts(
            name, "", f"codex cannot show {name} images to the model: convert it to PNG or JPEG"
        )
    if size > MAX_IMAGE_BYTES:
        problem: str | None = f"it has {size:,} bytes, more than {MAX_IMAGE_BYTES:,}: scale it down"
    else:
        problem = _decode(path, name)
    return ImageFacts(name, _DELIVERABLE[name], problem)


def _decode(path: Path, name: str) -> str | None:
    """Say why the file does not decode, None when it does. Of an animation, the first frame."""
    pillow: Any = importlib.import_module("PIL.Image")
    try:
        with pillow.open(path, formats=(name,)) as image:
            pixels = image.width * image.height
            if pixels > MAX_IMAGE_PIXELS:
                return f"it has {pixels:,} pixels, more than {MAX_IMAGE_PIXELS:,}: scale it down"
            # Walks a PNG's chunks to the last, which decoding does not: codex wants them all.
            image.verify()
        with pillow.open(path, formats=(name,)) as image:
            image.load()
        problem = jpeg_problem(path) if name == "JPEG" else None
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning):
        return f"it has more than {MAX_IMAGE_PIXELS:,} pixels: scale it down"
    except MemoryError:
        return "there is not enough memory to decode it: scale it down"
    except Exception as error:  # noqa: BLE001 - decoders of hostile bytes raise anything; all mean the same
        return f"it is a damaged or incomplete {name} ({error}): replace it by the whole file"
    return None if problem is None else f"codex cannot show this JPEG: {problem}; save it as PNG"
