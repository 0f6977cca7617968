"""Owns what codex makes of a turn's input for the model.

Invariant: nothing is an error here, as in codex: what cannot be read or shown is replaced by a
sentence, and the turn goes on. Measured, and compared with the real one by the contract test; not
imitated: codex scales large images down and turns a GIF into a PNG. Must not know how the input
came.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import io
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .faults import Stall

if TYPE_CHECKING:
    from .journal import Journal

__all__ = ["model_parts"]

_UNUSABLE = "image content omitted because it could not be processed"
_NO_LOW = (
    "image content omitted because detail 'low' is not supported; use 'high', 'original', or 'auto'"
)
_NO_AUDIO = "audio content omitted because you do not support audio input"
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
# The test's model has no "original".
_DETAILS = {None: "high", "high": "high", "original": "high", "auto": "auto"}


def model_parts(
    given: list[dict[str, Any]], journal: Journal
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the content parts for the model, and a record of each image that was named.

    Raises:
        Stall: One of them is a FIFO, which codex waits for.
    """
    parts: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    numbers = {"image": 0, "localImage": 0, "localAudio": 0}
    for item in given:
        kind = item["type"]
        if kind in numbers:
            numbers[kind] += 1
        match kind:
            case "text":
                parts.append(_text(item["text"]))
            case "localImage":
                number = numbers["image"] + numbers["localImage"]
                made, record = _local_image(item, number, journal)
                parts += made
                images.append(record)
            case "image":
                parts.append(_image(item))
            case "audio":
                parts.append(_text(_NO_AUDIO))
            case "localAudio":
                parts += _local_audio(item["path"], numbers["localAudio"])
            case _:  # mention, skill: nothing of them reaches the model
                pass
    return parts, images


def _text(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def _local_image(
    item: dict[str, Any], number: int, journal: Journal
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    path = item["path"]
    record: dict[str, Any] = {"path": path, "sha256": None, "omitted": None}
    try:
        if stat.S_ISFIFO(Path(path).stat().st_mode):
            raise Stall
        data = Path(path).read_bytes()
    except OSError as error:
        record["omitted"] = _unreadable("image", path, error)
        return [_text(record["omitted"])], record
    record["sha256"] = journal.keep(data)
    form = _format(data)
    detail = item.get("detail")
    if form is None:
        record["omitted"] = _UNUSABLE
    elif detail == "low":
        record["omitted"] = _NO_LOW
    if record["omitted"] is not None:
        content = _text(record["omitted"])
    else:
        url = f"data:image/{str(form).lower()};base64,{base64.b64encode(data).decode()}"
        content = {"type": "input_image", "image_url": url, "detail": _DETAILS[detail]}
    label = _text(f'<image name=[Image #{number}] path="{path}">')
    return [label, content, _text("</image>")], record


def _image(item: dict[str, Any]) -> dict[str, Any]:
    detail = item.get("detail")
    shown = "low" if detail == "low" else _DETAILS[detail]
    if item.get("url") is None:
        return {"type": "input_image", "file_id": item["fileId"], "detail": shown}
    url: str = item["url"]
    if url.startswith("data:"):
        if _format(_decoded(url)) is None:
            return _text(_UNUSABLE)
        if detail == "low":
            return _text(_NO_LOW)
    return {"type": "input_image", "image_url": url, "detail": shown}


def _decoded(url: str) -> bytes:
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except binascii.Error:
        return b""


def _format(data: bytes) -> str | None:
    """Name the format of an image that decodes wholly."""
    pillow: Any = importlib.import_module("PIL.Image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(io.BytesIO(data), formats=_FORMATS) as image:
                image.verify()
            with pillow.open(io.BytesIO(data), formats=_FORMATS) as image:
                image.load()
                return str(image.format)
    except Exception:  # noqa: BLE001 - decoders of hostile bytes raise anything; all mean the same
        return None


def _local_audio(path: str, number: int) -> list[dict[str, Any]]:
    try:
        Path(path).read_bytes()
    except OSError as error:
        return [_text(_unreadable("audio", path, error))]
    label = _text(f'<audio name=[Audio #{number}] path="{path}">')
    return [label, _text(_NO_AUDIO), _text("</audio>")]


def _unreadable(what: str, path: str, error: OSError) -> str:
    reason = f"{error.strerror} (os error {error.errno})"
    return f"Codex could not read the local {what} at `{path}`: {reason}"
