"""File verbs that were asked wrongly: 2, one line that says what, and nothing is begun."""

import json
from pathlib import Path

import pytest

from codex_actors.cli.app import main
from codex_actors.cli.output import print_json


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("stage", "-", "-"), "stdin"),
        (("stage", "--nonsense"), "--nonsense"),
        (("stage", "a", "--name"), "--name needs a value; see --help"),
        (("stage", "a", "b", "--name", "c"), "--name"),
        (("list", "extra"), "there is no use for 'extra'; see --help"),
        (("show",), "WHAT is missing; see --help"),
        (("show", "a", "b"), "b"),
        (("rm",), "WHAT"),
        (("cleanup", "--force"), "--force"),
        (("verify", "a"), "a"),
        (("reset", "a"), "a"),
        (("metrics", "--watch"), "--watch"),
        (("upload",), "FILE"),
        (("upload", "a", "--to", "ftp"), "ftp"),
        (("upload", "a", "--to", "directory"), "directory:PATH"),
        (("upload", "a", "--to", "directory:"), "directory:PATH"),
        (("upload", "a", "--to", "./out", "--purpose", "user_data"), "--purpose"),
        (("upload", "a", "--to", "codex", "--part-size", "1MiB"), "--part-size"),
        (("upload", "a", "--account-id", "me"), "--account-id"),
        (("upload", "a", "--part-size", "1K"), "part_size"),
        (("upload", "a", "--part-size", "inf"), "inf"),
        (("upload", "a", "--expires-after", "1m"), "expires_after"),
        (("upload", "a", "--expires-after", "1.5"), "--expires-after"),
        (("upload", "a", "--expires-after", "inf"), "--expires-after"),
        (("upload", "a", "--attempts", "0"), "--attempts"),
        (("upload", "a", "--attempts", "x"), "--attempts 'x': give a whole number; see --help"),
        (("upload", "a", "--timeout", "0"), "--timeout"),
        (("upload", "a", "b", "--name", "c"), "--name"),
        (("upload", "a", "--content-type", "text/plain"), "no file 'a'"),
        (("exec", "hi", "--attach"), "--attach needs a FILE"),
        (("exec", "hi", "--attach", "--ephemeral"), "--attach needs a FILE"),
        (("exec", "hi", "--config", "a=inf"), "a=inf"),
        (("exec", "hi", "--config", "a=2026-01-01"), "a=2026-01-01"),
    ],
    ids=str,
)
def test_one_line_says_what_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    named: str,
) -> None:
    """With the thing that was wrong in it."""
    monkeypatch.chdir(tmp_path)

    code = main(arguments)

    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_no_text_is_still_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A file name of bytes that are no UTF-8 is escaped, and can be had back."""
    print_json({"what": "caf\udce9"})

    assert json.loads(capsys.readouterr().out)["what"] == "caf\udce9"
