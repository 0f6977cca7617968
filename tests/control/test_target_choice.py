"""What a client chose becomes a target, or is refused by name."""

from pathlib import Path

import pytest

from codex_actors.control.errors import RequestFailed
from codex_actors.control.messages import TargetChoice
from codex_actors.control.targets import target_of
from codex_actors.files import (
    CodexTarget,
    DirectoryTarget,
    InvalidConfig,
    OpenAITarget,
    TargetLimitExceeded,
)

CANARY = "sk-canary"


def test_each_kind_gets_what_was_chosen(tmp_path: Path) -> None:
    """What was left open is the target's own default."""
    openai = target_of(
        TargetChoice(kind="openai", secret=CANARY, base_url="http://h/v1", part_size=2**20)
    )
    codex = target_of(TargetChoice(kind="codex", secret=CANARY, account_id="me"))
    directory = target_of(TargetChoice(kind="directory", path=str(tmp_path)))

    assert openai == OpenAITarget("http://h/v1", CANARY, part_size=2**20)
    assert codex == CodexTarget(None, CANARY, "me")
    assert isinstance(directory, DirectoryTarget)
    assert directory.path == tmp_path
    assert CANARY not in repr((openai, codex))


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        (TargetChoice(kind="ftp"), "params.target.kind"),
        (TargetChoice(kind="directory"), "params.target.path"),
        (TargetChoice(kind="directory", path="/x", purpose="user_data"), "purpose"),
        (TargetChoice(kind="codex", secret=CANARY, part_size=2**20), "part_size"),
        (TargetChoice(kind="openai", account_id="me"), "account_id"),
    ],
)
def test_what_does_not_fit_is_refused(choice: TargetChoice, named: str) -> None:
    """An option is never left out in silence, and no credential is in the message."""
    with pytest.raises(RequestFailed, match=named) as caught:
        target_of(choice)

    assert caught.value.code == -32602
    assert CANARY not in str(caught.value)


def test_what_the_target_refuses_is_its_own_error() -> None:
    """Too small a part, an address that is none."""
    with pytest.raises(TargetLimitExceeded, match="part_size"):
        target_of(TargetChoice(kind="openai", part_size=1))
    choice = TargetChoice(kind="openai", secret=CANARY, base_url=f"http://u:{CANARY}@h/")
    with pytest.raises(InvalidConfig, match="base_url") as caught:
        target_of(choice).account()
    assert CANARY not in str(caught.value)
