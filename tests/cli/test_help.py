"""The help of every verb, as a user reads it at a terminal of 80 columns."""

import sys
from pathlib import Path

import pytest
import trio
from cli_support import CommandLine

from codex_actors.cli.verbs import FAMILIES, VERBS

ALL = ["", *FAMILIES, *(verb.name for verb in VERBS)]
# One process for all of them: what is asked is what they need, not how fast each is.
ASK = """
import sys
from codex_actors.cli.app import main
for verb in sys.argv[1:]:
    assert main([*verb.split(), "--help"]) == 0
    print("\\0", end="")
print([name for name in ("httpx2", "httpcore2", "PIL", "pytest") if name in sys.modules])
"""


async def test_every_verb_explains_itself(tmp_path: Path) -> None:
    """In 80 columns, with its usage and its first line, importing no client of any network."""
    env = CommandLine(tmp_path).environment({"COLUMNS": "80"})

    done = await trio.run_process(
        [sys.executable, "-c", ASK, *ALL], env=env, capture_stdout=True, capture_stderr=True
    )

    *pages, imported = done.stdout.decode().split("\0")
    assert (done.stderr, imported) == (b"", "[]\n")
    for name, page in zip(ALL, pages, strict=True):
        assert page.startswith(f"Usage: codex-actors {name}".rstrip() + " ")
        assert max(map(len, page.splitlines())) <= 80
        assert "--help" in page or name  # the first page says how to go on
    for verb in VERBS:
        page = pages[ALL.index(verb.name)]
        assert verb.help.splitlines()[0] in " ".join(page.split())


@pytest.mark.parametrize("flag", ["--help", "-h"])
async def test_help_is_found_by_either_name(tmp_path: Path, flag: str) -> None:
    """Each verb is listed under a heading, with its first line."""
    done = await CommandLine(tmp_path).run(flag)

    assert (done.code, done.err) == (0, "")
    for verb in VERBS:
        assert verb.name.split()[0] in done.out
        assert verb.group in done.out
