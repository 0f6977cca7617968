"""Names: what may call itself an attachment."""

import pytest

from codex_actors.files import FilesError, InvalidName
from codex_actors.files.names import validate_name


@pytest.mark.parametrize(
    "name",
    [
        "report.pdf",
        "résumé \N{EN DASH} 日本.txt",
        "a,b.txt",
        "-rf",
        "quo\"te's.txt",
        ".hidden",
        "...",
        "with space",
        "é" * 127,
    ],
)
def test_names_of_files_pass_unchanged(name: str) -> None:
    """Unicode, commas, dashes and quotes are metadata like any other."""
    kept = validate_name(name)

    assert kept == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../victim.txt",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "nul\0",
        "line\nbreak",
        "bell\x07",
        "c1\x85",
        "line\N{LINE SEPARATOR}separator",
        "\udcff",
        "é" * 128,
    ],
)
def test_names_that_are_no_single_file_are_refused(name: str) -> None:
    """Separators, dots, control characters, overlong and broken names are refused, by type."""
    # F17, E2
    with pytest.raises(InvalidName) as caught:
        validate_name(name)

    assert isinstance(caught.value, FilesError)
    assert isinstance(caught.value, ValueError)
    assert "give it another name" in str(caught.value)
