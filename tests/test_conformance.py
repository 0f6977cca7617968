"""Every scenario of the conformance list is cited by a test, and the table of them is current.

A test cites scenarios in a comment, `# S1` or `# S1, S4: and why`.  The table in
`CONFORMANCE.md` is written by running this file: `python tests/test_conformance.py`.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

_TESTS = Path(__file__).parent
_TABLE = _TESTS / "CONFORMANCE.md"

_CITATION = re.compile(r"#\s*([A-Z]\d+(?:[,\s]+[A-Z]\d+)*)\s*(?::.*)?$")

# The parts of the list that are required: chapters with their numbers.
_CHAPTERS = {
    "S": ("Static supervisor: start and administration", "1 4-12 14-20"),
    "R": ("Restart types", "1-5"),
    "I": ("Intensity and escalation", "1-5 7 8 11"),
    "G": ("Strategies", "1-4 7 8 10-14"),
    "T": ("Shutdown", "1-7 10-13 15"),
    "A": ("Significant children", "1 2 5"),
    "D": ("Dynamic supervisor", "1-3 5 7 8 10 11"),
    "C": ("Calls, casts, server lifecycle", "1 3-7 10 12 14 17"),
    "L": ("Monitors", "2 5"),
    "Q": ("Queue priority, drain, bounded mailbox", "1 2 4 6 8"),
    "B": ("Backoff", "6 7"),
    "X": ("Trio-specific", "1 3-6 9"),
    "F": (
        "Staging, uploads, delivery to codex",
        (
            "1 2 5-11 13-17 19-22 24 26-30 33 35 37-41 44-47 50-55 57-59 61 63 65 67 68 70"
            " 72 74-76 78-80 82-84"
        ),
    ),
    "E": ("Defects of the original", "1-23"),
}


def _scenarios(letter: str) -> list[str]:
    """The ids of one chapter, in order."""
    ids: list[str] = []
    for numbers in _CHAPTERS[letter][1].split():
        first, _, last = numbers.partition("-")
        ids += [f"{letter}{number}" for number in range(int(first), int(last or first) + 1)]
    return ids


def _citations(path: Path) -> Iterator[tuple[str, str]]:
    """Each id that a test of one file cites, with the test."""
    source = path.read_text()
    comments = {
        token.start[0]: match[1].replace(",", " ").split()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and (match := _CITATION.match(token.string))
    }
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not node.name.startswith("test_"):
            continue
        # A comment on the line above the test, or above its decorators, belongs to it too.
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
        for line in range(first, (node.end_lineno or node.lineno) + 1):
            for scenario in comments.get(line, ()):
                yield scenario, node.name


def cited(tests: Path = _TESTS) -> dict[str, list[str]]:
    """The tests that cite each scenario, as `file::test`, sorted."""
    found: dict[str, set[str]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        for scenario, test in _citations(path):
            found.setdefault(scenario, set()).add(f"{path.relative_to(tests).as_posix()}::{test}")
    return {scenario: sorted(where) for scenario, where in found.items()}


def render(found: dict[str, list[str]]) -> str:
    """The table, as Markdown; scenarios of other chapters are left to their own lists."""
    lines = [
        "# Conformance: which test covers which scenario",
        "",
        "Written by `python tests/test_conformance.py`; `test_conformance.py` fails when it is out",
        "of date.",
    ]
    for letter, (title, _) in _CHAPTERS.items():
        lines += ["", f"## {letter}. {title}", "", "| scenario | tests |", "|---|---|"]
        for scenario in _scenarios(letter):
            tests = "<br>".join(f"`{test}`" for test in found.get(scenario, ()))
            lines.append(f"| {scenario} | {tests or '-'} |")
    return "\n".join(lines) + "\n"


def test_every_scenario_is_cited_by_a_test() -> None:
    """Nothing on the list is left to chance."""
    found = cited()

    required = [scenario for letter in _CHAPTERS for scenario in _scenarios(letter)]
    missing = [scenario for scenario in required if scenario not in found]

    assert missing == []


def test_the_table_of_scenarios_is_current() -> None:
    """It is committed, for people: run this file to write it."""
    expected = render(cited())

    committed = _TABLE.read_text()

    assert committed == expected, "run: python tests/test_conformance.py"


def test_citations_are_found_where_tests_make_them(tmp_path: Path) -> None:
    """In the body, above the test and above its decorators; elsewhere they cite nothing."""
    (tmp_path / "test_it.py").write_text(
        "# S1\n"
        "\n"
        "# S4, S5\n"
        "@decorated\n"
        "async def test_above():\n"
        '    "# S6"\n'
        "    # S7: why\n"
        "    assert True  # S8\n"
        "    # S9 is only mentioned here\n"
        "\n"
        "def helper():\n"
        "    # S10\n"
        "    pass\n"
    )

    found = cited(tmp_path)

    assert sorted(found) == ["S4", "S5", "S7", "S8"]
    assert found["S4"] == ["test_it.py::test_above"]


if __name__ == "__main__":
    _TABLE.write_text(render(cited()))
