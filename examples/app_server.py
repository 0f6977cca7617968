"""A codex thread that goes on in another process, and which threads have seen a file.

Codex asks a model server on loopback, which answers what it was sent of the thread. It prints:

    codex says: I know of 1 picture and 1 table.
    codex says, after its process was killed: I know of 1 picture and 1 table.
    processes: 2
    table.csv was seen by this thread: True

The codex binary is the one of the extra: `pip install 'codex-actors[codex]'`.
"""

import io
import json
import os
import signal
import tempfile
from pathlib import Path

import trio
from PIL import Image

from codex_actors import ChildStarted, Event
from codex_actors.codex import ThreadOptions, find_codex, open_app_server
from codex_actors.files import FilesConfig, open_files
from codex_actors.testing import ModelRequest, ModelServer, assistant_message


def count(request: ModelRequest) -> list[dict[str, object]]:
    """The answer of the model on loopback, from all that it was sent of the thread."""
    thread = json.dumps(request.body["input"])
    pictures = thread.count("data:image/png")
    files = thread.count("<attachments>")
    return [assistant_message(f"I know of {pictures} picture and {files} table.")]


def square() -> bytes:
    """A red square, as a PNG."""
    target = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(target, "PNG")
    return target.getvalue()


async def main(workplace: Path) -> None:
    """Two turns of one thread, with a death between them."""
    # Stands before codex and leaves its process id, so that there is something to kill.
    pids = workplace / "pids"
    codex_path = workplace / "codex"
    codex_path.write_text(f'#!/bin/sh\necho $$ >> {pids}\nexec "{find_codex()}" "$@"\n')
    codex_path.chmod(0o700)
    home = workplace / "home"
    home.mkdir()
    async with (
        ModelServer(respond=count) as server,
        open_files(FilesConfig(staging_dir=workplace / "staging")) as files,
        open_app_server(
            files=files,
            codex_path=codex_path,
            env={**server.env(), "CODEX_HOME": str(home), "HOME": str(home)},
            config=server.config(),
        ) as codex,
    ):
        picture = await files.stage(square(), name="square.png")
        table = await files.stage(b"id,colour\n1,red\n", name="table.csv")
        thread = await codex.start_thread(ThreadOptions(cwd=workplace, sandbox="read-only"))

        result = await thread.run_turn("What are these?", (picture, table), timeout=60)
        print("codex says:", result.final_message)

        # Whoever asks while it dies is told so, by `CodexDied`: here the next one is awaited.
        started_again = trio.Event()

        def watch(event: Event) -> None:
            if isinstance(event, ChildStarted):
                started_again.set()

        codex.supervisor.events.attach(watch)
        os.kill(int(pids.read_text()), signal.SIGKILL)
        await started_again.wait()
        result = await thread.run_turn("And now?", timeout=60)
        print("codex says, after its process was killed:", result.final_message)

        print("processes:", len(pids.read_text().split()))
        seen = await codex.threads_of(table) == (thread.id,)
        print(f"{table.name} was seen by this thread:", seen)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        trio.run(main, Path(directory))
