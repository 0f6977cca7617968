"""What `--json` prints is what the documentation says it prints."""

import re
from collections.abc import Generator
from pathlib import Path

import pytest
from supervised_support import Supervised, supervised

from codex_actors.cli.verbs import VERBS

_PAGE = Path(__file__).parents[2] / "docs" / "supervisor.md"
_ASKED = [
    "status",
    "status NAME",
    "ps",
    "pstree",
    "top",
    "events",
    "restart",
    "dump",
    "list",
    "show",
    "stage",
    "rm",
    "upload",
    "cleanup",
    "verify",
    "reset",
    "metrics",
    "config show",
    "doctor",
    "version",
    "completion",
    "drain",
]
_ARGUMENTS = {
    "completion": ("completion", "fish"),
    "status NAME": ("status", "stubborn"),
    "top": ("top", "-n", "1"),
    "restart": ("restart", "counter"),
    "show": ("show", "a"),
    "stage": ("stage", "a"),
    "rm": ("rm", "a"),
    "upload": ("upload", "a", "--to", "./out"),
    "reset": ("reset", "--yes"),
}
_ALONE = {"list", "show", "stage", "rm", "upload", "cleanup", "verify", "reset", "metrics"}


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Generator[Supervised]:
    """A command line beside a supervisor of a tree without files."""
    directory = tmp_path_factory.mktemp("documented")
    with supervised(directory, "TREE", until=("ready", "settled")) as running:
        yield running


def test_each_verb_is_in_the_table() -> None:
    """Each prints a document."""
    verbs = {verb.name for verb in VERBS}

    assert {verb.removesuffix(" NAME") for verb in _table()} == verbs


async def test_each_document_has_the_keys_of_the_table(beside: Supervised) -> None:
    """These and no others, after the schema."""
    (beside.directory / "a").write_text("a")
    alone = {"CODEX_ACTORS_SOCKET": str(beside.directory / "nobody")}
    found: dict[str, list[str]] = {}
    for verb in _ASKED:
        if verb == "show":
            await beside.run("stage", "a", env=alone)
        arguments = _ARGUMENTS.get(verb, tuple(verb.split()))
        env = alone if verb in _ALONE else None
        done = await beside.run(*arguments, "--json", env=env)
        assert done.out, (verb, done.err)
        found[verb] = list(done.document)

    table = _table()
    assert {verb: keys[0] for verb, keys in found.items()} == dict.fromkeys(found, "schema")
    assert {verb: set(keys[1:]) for verb, keys in found.items()} == {
        verb: table[verb] for verb in found
    }


def _table() -> dict[str, set[str]]:
    """What the page says: the keys of each verb's document."""
    rows = re.findall(r"^\| (`[^|]*`) \| (`[^|]*`) \|[^|]*\|$", _PAGE.read_text(), re.MULTILINE)
    return {
        verb: set(re.findall(r"`(\w+)`", keys))
        for verbs, keys in rows
        for verb in re.findall(r"`([^`]+)`", verbs)
    }
