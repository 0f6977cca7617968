"""The public types, as mypy and pyright see them: both strict, and both of one opinion."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_ACCEPTED = _HERE / "accepted.py"
_REJECTED = _HERE / "rejected.py"
_EXPECTED = re.compile(r"#\s*mypy: (?P<mypy>[\w-]+); pyright: (?P<pyright>\w+)$")

# One error at one line: (line, the checker's name for it).
Errors = set[tuple[int, str]]


def _run(*arguments: str) -> str:
    """A checker's stdout; its exit code tells only whether there were errors."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


def _mypy(path: Path, cache: Path) -> Errors:
    output = _run("mypy", "--output=json", f"--cache-dir={cache}", str(path))
    found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return {(error["line"], error["code"]) for error in found if error["severity"] == "error"}


def _pyright(path: Path, directory: Path) -> Errors:
    # A project of its own: that of the package leaves out what is to be rejected.
    project = directory / f"{path.stem}.json"
    project.write_text(json.dumps({"include": [path.name], "typeCheckingMode": "strict"}))
    shutil.copy(path, directory)
    output = _run(
        *("pyright", "--outputjson", f"--pythonpath={sys.executable}", f"--project={project}")
    )
    found = json.loads(output)
    assert found["summary"]["filesAnalyzed"] == 1, found
    return {
        (error["range"]["start"]["line"] + 1, error["rule"])
        for error in found["generalDiagnostics"]
        if error["severity"] == "error"
    }


def _compare(found: Errors, checker: str) -> None:
    """Every line with a mark has its error, maybe among others; no other line has any."""
    expected = {
        (number, match[checker])
        for number, line in enumerate(_REJECTED.read_text().splitlines(), start=1)
        if (match := _EXPECTED.search(line)) is not None
    }
    assert sorted(expected - found) == []
    assert sorted(error for error in found if error[0] not in dict(expected)) == []


@pytest.fixture
def mypy_cache(request: pytest.FixtureRequest) -> Path:
    """Kept from run to run: the first is slow."""
    cache = request.config.cache
    assert cache is not None, "pytest runs with its cache plugin"
    return cache.mkdir("mypy")


@pytest.mark.timeout(300)
def test_mypy_accepts_the_good_and_rejects_the_bad(mypy_cache: Path) -> None:
    """Each wrong line for the reason that is written beside it, and nothing else."""
    accepted = _mypy(_ACCEPTED, mypy_cache)
    rejected = _mypy(_REJECTED, mypy_cache)

    assert accepted == set()
    _compare(rejected, "mypy")


@pytest.mark.timeout(300)
def test_pyright_accepts_the_good_and_rejects_the_bad(tmp_path: Path) -> None:
    """Each wrong line for the reason that is written beside it, and nothing else."""
    accepted = _pyright(_ACCEPTED, tmp_path)
    rejected = _pyright(_REJECTED, tmp_path)

    assert accepted == set()
    _compare(rejected, "pyright")


def test_every_wrong_line_is_expected_by_both() -> None:
    """An expectation that nobody can parse would expect nothing."""
    marked = [line for line in _REJECTED.read_text().splitlines() if "pyright:" in line]

    assert len(marked) >= 20
    assert all(_EXPECTED.search(line) for line in marked)
