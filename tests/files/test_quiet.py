"""What is told of a retry is told by events: nothing lands on the stderr of who did not ask."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import trio
from codex_actors.files import FilesConfig, Retry, open_files
from codex_actors.files.targets.protocol import Limits, Retryable
from codex_actors.testing import ScriptedTarget

async def main():
    told = []
    target = ScriptedTarget(Limits(max_bytes=10, whole_bytes=10))
    target.script("whole", Retryable("not now"))
    async with open_files(FilesConfig(staging_dir=sys.argv[1]), on_event=[told.append]) as files:
        await files.upload(b"x", name="x", target=target, retry=Retry(base=0))
    print([event.name for event in told].count("codex.upload.retry"))

trio.run(main)
"""


def test_a_retry_writes_nothing(tmp_path: Path) -> None:
    """A library's own warnings are for programs that listen to them."""
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "staging")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (child.stdout, child.stderr, child.returncode) == ("1\n", "", 0)
