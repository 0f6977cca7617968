"""Every example prints what its docstring says it prints."""

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


def expected_output(example: Path) -> str:
    """The last indented block of an example's docstring: what it prints."""
    docstring = ast.get_docstring(ast.parse(example.read_text())) or ""
    blocks: list[list[str]] = [[]]
    for line in docstring.splitlines():
        if line.startswith("    "):
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return textwrap.dedent("\n".join([block for block in blocks if block][-1])) + "\n"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_what_it_promises(example: Path, tmp_path: Path) -> None:
    """An example runs in any directory, and prints exactly its docstring's last block."""
    env = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}

    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == expected_output(example)


def test_there_are_examples() -> None:
    """The parametrised test above has something to run."""
    assert {path.stem for path in EXAMPLES} >= {
        "app_server",
        "attach_to_codex",
        "counter",
        "supervised",
    }
