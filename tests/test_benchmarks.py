"""The benchmarks run: they are listed, and the quick form of one gives a document."""

import json
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command from the root of the repository, as people do."""
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_name_they_are_listed() -> None:
    """Each with what it measures."""
    listed = benchmarks()

    assert listed.returncode == 0
    assert "staging     files.stage" in listed.stdout


def test_a_wrong_name_is_told() -> None:
    """And which names there are."""
    refused = benchmarks("stagging")

    assert refused.returncode == 2
    assert refused.stderr == (
        "There is no benchmark 'stagging': choose one of messaging, staging, uploads, startup.\n"
    )


def test_the_quick_form_gives_one_document() -> None:
    """Its figures have a sample per turn, and the ratio of those of ours to those of the floor."""
    parts = ("--only", "again", "--only", "sweep")
    done = benchmarks("staging", "--quick", "--repeats", "2", "--json", *parts)

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    figure = document["figures"][0]
    assert document["benchmark"] == "staging"
    assert len(figure["samples"]) == len(figure["floor_samples"]) == 2
    assert figure["compared"] > 0
    assert figure["target"] == 2.0


def test_messages_have_a_sample_of_ours_and_of_each_peer_per_turn() -> None:
    """A small run gives every figure; no ratio is judged here."""
    done = benchmarks("messaging", "--quick", "--repeats", "1", "--json")

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert [figure["name"] for figure in figures if figure["floor"] == "textbook"] == [
        "call",
        "cast",
        "fan-out to 1000",
        "spawn and stop",
        "idle actor",
    ]
    assert all(sample > 0 for figure in figures for sample in figure["samples"])


def test_uploads_run_beside_the_official_client() -> None:
    """A small run gives rates and memory; no ratio is judged here."""
    done = benchmarks("uploads", "--quick", "--repeats", "1", "--json", "--only", "large")

    assert done.returncode == 0, done.stderr
    figures = {figure["name"]: figure for figure in json.loads(done.stdout)["figures"]}
    assert all(sample > 0 for figure in figures.values() for sample in figure["samples"])
    assert figures["2 MiB, parts of 1 MiB"]["floor"] == "openai"


def test_starting_is_compared_with_what_every_trio_program_pays() -> None:
    """The three figures, each with what comes on top."""
    done = benchmarks("startup", "--quick", "--json")

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert [figure["name"] for figure in figures] == [
        "import codex_actors",
        "--help",
        "an empty tree",
    ]
    assert all(figure["compared_by"] == "difference" for figure in figures)
