"""What the tests of the command line share: running it as a user does, in a process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import trio
from attrs import frozen


@frozen
class Done:
    """One run of the command line."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What `--json` printed."""
        document: dict[str, Any] = json.loads(self.out)
        return document


class CommandLine:
    """Runs `python -m codex_actors` in a directory of the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.staging = directory / "staging"

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """What the process sees: nothing of the developer's own codex, home or key.

        A check that has been lost must not start a real turn on a real account.
        """
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
        return kept | {
            "CODEX_ACTORS_STAGING_DIR": str(self.staging),
            "CODEX_ACTORS_CODEX": str(self.directory / "no-codex-here"),
            "CODEX_HOME": str(home),
            "HOME": str(home),
            "COLUMNS": "200",
            **(more or {}),
        }

    async def run(self, *arguments: str | Path, env: dict[str, str] | None = None) -> Done:
        """Run it to its end."""
        with trio.fail_after(60):
            done = await trio.run_process(
                [sys.executable, "-m", "codex_actors", *map(str, arguments)],
                cwd=self.directory,
                env=self.environment(env),
                stdin=subprocess.DEVNULL,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def debris(self) -> list[str]:
        """Every file in the staging directory that is no part of an empty store."""
        return sorted(
            str(path.relative_to(self.staging))
            for path in self.staging.rglob("*")
            if path.is_file()
            and path.name != "CACHEDIR.TAG"
            and not path.name.startswith((".", "manifest"))
        )
