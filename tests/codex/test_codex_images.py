"""Which bytes are an image that codex shows to the model."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
import trio
from codex_support import Leases, image, model_options, needs_codex, png, staged
from PIL import Image

from codex_actors.codex import DeliveryError, ThreadOptions, exec_turn, find_codex
from codex_actors.codex.arguments import exec_arguments
from codex_actors.codex.images import MAX_IMAGE_PIXELS, inspect_image
from codex_actors.testing import ModelServer

if TYPE_CHECKING:
    from pathlib import Path


def arithmetic_jpeg() -> bytes:
    """Return a JPEG that claims arithmetic coding, which Pillow decodes (to whatever)."""
    data = bytearray(image("JPEG"))
    data[data.index(b"\xff\xc0") + 1] = 0xC9
    return bytes(data)


DELIVERED = {
    "png": png(),
    "png with something after it": png() + b"something",
    "jpeg": image("JPEG"),
    "progressive jpeg": image("JPEG", progressive=True),
    "webp": image("WEBP"),
    "gif": image("GIF"),
}
REFUSED = {
    "empty": b"",
    "text": b"a,b\n1,2\n",
    "half a png": png()[: len(png()) // 2],
    "png without its last chunk": png()[:-12],
    "png with a wrong checksum": png()[:-20] + b"\xff" + png()[-19:],
    "half a jpeg": image("JPEG")[:400],
    "arithmetic jpeg": arithmetic_jpeg(),
    "half a webp": image("WEBP")[:30],
    "half a gif": image("GIF")[:40],
    "magic only": b"\x89PNG\r\n\x1a\n",
    "bmp": image("BMP"),
    "tiff": image("TIFF"),
    "ico": image("ICO"),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
}


@pytest.mark.parametrize("data", DELIVERED.values(), ids=DELIVERED)
def test_images(tmp_path: Path, data: bytes) -> None:
    """The formats that codex takes, whole."""
    file = tmp_path / "file"
    file.write_bytes(data)

    assert inspect_image(file).problem is None


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_no_image(tmp_path: Path, data: bytes) -> None:
    """Everything that codex would leave out without a word."""
    file = tmp_path / "file.png"
    file.write_bytes(data)

    assert inspect_image(file).problem is not None


def test_decompression_bomb_is_refused_unread(tmp_path: Path) -> None:
    """A small file of many pixels is not decoded."""
    file = tmp_path / "bomb.png"
    side = int(MAX_IMAGE_PIXELS**0.5) + 1
    head = io.BytesIO()
    Image.new("1", (side, side)).save(head, "PNG")
    file.write_bytes(head.getvalue())

    assert "scale it down" in str(inspect_image(file).problem)


@needs_codex
async def test_codex_agrees(tmp_path: Path) -> None:
    """What is taken here, codex sends; what codex leaves out is refused here."""
    every = {**DELIVERED, **REFUSED}
    paths: dict[str, Path] = {}
    for number, (name, data) in enumerate(every.items()):
        paths[name] = tmp_path / str(number)
        paths[name].write_bytes(data)

    sent: set[str] = set()
    async with ModelServer() as server:
        options = model_options(server, tmp_path)
        arguments = [x for path in paths.values() for x in ("-i", str(path))]
        await run_codex(options, arguments)
        parts = server.turns[-1].turn_parts()
        for name, path in paths.items():
            opening = next(n for n, p in enumerate(parts) if f'path="{path}"' in p.get("text", ""))
            if parts[opening + 1]["type"] == "input_image":
                sent.add(name)

    taken = {name for name, path in paths.items() if inspect_image(path).problem is None}
    assert taken == set(DELIVERED)
    assert taken <= sent
    # Codex is more lenient with a JPEG whose end is missing.
    assert sent - taken <= {"half a jpeg"}


async def run_codex(options: ThreadOptions, arguments: list[str]) -> None:
    """Run codex past our own judgement."""
    vector = exec_arguments(options, [], "Hi")
    position = vector.index("--")
    await trio.run_process(
        [str(find_codex()), *vector[:position], *arguments, *vector[position:]],
        env={**os.environ, **(options.env or {})},
        capture_stdout=True,
        capture_stderr=True,
        stdin=b"",
    )


async def test_declared_image_that_is_none_names_the_format(tmp_path: Path) -> None:
    """The error says what to do."""
    attachment = staged(tmp_path, "scan.tiff", image("TIFF"), "image/tiff")

    with pytest.raises(DeliveryError, match="TIFF images to the model: convert it to PNG"):
        await exec_turn("Hi", ThreadOptions((attachment,)), files=Leases())
