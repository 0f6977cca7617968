"""Stage a picture, attach it to a codex turn, and see that it arrived.

Run it, with a question and a file of your own if you like:

    python examples/attach_to_codex.py
    python examples/attach_to_codex.py "What is in it?" picture.png

With `OPENAI_API_KEY` set, codex asks the real model.  Without it, codex asks a model
server on loopback, which answers how many bytes of pictures it was sent; then it prints:

    staged square.png: image/png, 852 bytes
    codex says: I was sent 1 picture of 852 bytes.
    every byte of it arrived

The codex binary is the one of the extra: `pip install 'codex-actors[codex]'`.
"""

import os
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import trio

from codex_actors.codex import ThreadOptions, exec_turn
from codex_actors.files import FilesConfig, open_files
from codex_actors.testing import ModelRequest, ModelServer, assistant_message


def square(side: int = 16) -> bytes:
    """A red square, as a PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\0\0" * side) * side
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 0)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


async def turn(prompt: str, picture: Path, options: ThreadOptions, workplace: Path) -> None:
    """One turn with one picture."""
    async with open_files(FilesConfig(staging_dir=workplace / "staging")) as files:
        attachment = await files.stage(picture)
        kind, size = attachment.content_type, attachment.size
        print(f"staged {attachment.name}: {kind}, {size} bytes")
        options = files.attach(options, attachment)
        result = await exec_turn(prompt, options, files=files, timeout=120)
        print("codex says:", result.final_message)


async def main(prompt: str, picture: Path | None) -> None:
    """Run the turn against the real model or the one on loopback."""
    with tempfile.TemporaryDirectory() as directory:
        workplace = Path(directory)
        if picture is None:
            picture = workplace / "square.png"
            picture.write_bytes(square())
        if "OPENAI_API_KEY" in os.environ:
            await turn(prompt, picture, ThreadOptions(cwd=workplace), workplace)
            return
        async with ModelServer(respond=count_pictures) as server:
            home = workplace / "codex_home"
            home.mkdir()
            env = {**server.env(), "CODEX_HOME": str(home), "HOME": str(home)}
            options = ThreadOptions(cwd=workplace, config=server.config(), env=env)
            await turn(prompt, picture, options, workplace)
            if server.images() != (picture.read_bytes(),):
                raise SystemExit("it did not arrive whole")
            print("every byte of it arrived")


def count_pictures(request: ModelRequest) -> list[dict[str, object]]:
    """The answer of the model on loopback."""
    sizes = [len(image) for image in request.images()]
    noun = "picture" if len(sizes) == 1 else "pictures"
    return [assistant_message(f"I was sent {len(sizes)} {noun} of {sum(sizes)} bytes.")]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    question = arguments[0] if arguments else "Describe the picture."
    trio.run(main, question, Path(arguments[1]) if arguments[1:] else None)
