"""The settings, credentials and accounts of the OpenAI target."""

from __future__ import annotations

import math
from typing import Any

import pytest
from http_targets_support import MIB

from codex_actors.files.errors import InvalidConfig, MissingCredentials, TargetLimitExceeded
from codex_actors.files.targets.codex import CodexTarget
from codex_actors.files.targets.openai import OpenAITarget


def test_settings_outside_of_the_limits_are_refused_when_built() -> None:
    """The message names the setting and its range."""
    # F50
    settings: tuple[dict[str, Any], ...] = (
        {"part_size": MIB - 1},
        {"part_size": 64 * MIB + 1},
        {"parallel": 0},
        {"expires_after": 3599},
        {"expires_after": 2_592_001},
        {"purpose": ""},
        {"purpose": "user\r\ndata"},
        {"organization": "örg"},
        {"project": "a b"},
        {"part_size": float(MIB)},
        {"part_size": str(MIB)},
        {"parallel": 1.5},
        {"parallel": True},
        {"expires_after": 3600.5},
    )
    for options in settings:
        (name,) = options
        with pytest.raises(TargetLimitExceeded, match=f"OpenAITarget.{name}") as refused:
            OpenAITarget(**options)
        assert refused.value.step == "check"
    limits = OpenAITarget().limits
    assert (limits.max_bytes, limits.part_size, limits.parallel) == (8 * 2**30, 64 * MIB, 4)
    assert (limits.min_bytes, limits.whole_bytes, limits.resumable) == (1, 64 * MIB, True)
    assert OpenAITarget(md5=True).limits.whole_bytes == 0


async def test_a_missing_credential_is_told_before_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the argument or the environment, and one that a header can carry."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    for target in (OpenAITarget(), OpenAITarget(api_key=""), OpenAITarget(api_key="sk-a\n")):
        with pytest.raises(MissingCredentials) as refused:
            target.account()
        with pytest.raises(MissingCredentials):
            async with target.open_session():
                pass
        assert "sk-a" not in str(refused.value)

    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://eu.example/v1/")

    assert OpenAITarget().account().startswith("https://eu.example/v1 - - user_data - ")
    assert OpenAITarget("https://other.example").account().startswith("https://other.example ")


def test_an_account_is_what_a_file_id_is_valid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that two uploads must agree on changes it, and it holds no secret."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    targets = [
        OpenAITarget(api_key="sk-one"),
        OpenAITarget(api_key="sk-two"),
        OpenAITarget("https://eu.example/v1", "sk-one"),
        OpenAITarget(api_key="sk-one", organization="org"),
        OpenAITarget(api_key="sk-one", project="org"),
        OpenAITarget(api_key="sk-one", purpose="vision"),
        OpenAITarget(api_key="sk-one", expires_after=3600),
    ]

    accounts = [target.account() for target in targets]

    assert len(set(accounts)) == len(accounts)
    assert OpenAITarget(api_key="sk-one", part_size=MIB, parallel=1).account() == accounts[0]
    assert not any("sk-" in text for text in (*accounts, *map(repr, targets)))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a",
        "example.com",
        "https://",
        "https://u:p@a",
        "https://a?x=1",
        "https://a#x",
        "http://[",
        " https://a",
        "https://a\n",
        "https://a b",
        "https://\ud800",
    ],
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    """Also one with a user or a query, which might be a credential."""
    with pytest.raises(InvalidConfig, match="no base URL") as refused:
        OpenAITarget(url, "sk-key").account()
    assert "u:p" not in str(refused.value)


def test_what_is_no_text_is_refused_and_not_shown() -> None:
    """A credential as bytes would be shown by the repr of its target."""
    # F70
    for build in (OpenAITarget, CodexTarget):
        wrong: Any = b"sk-bytes"
        with pytest.raises(InvalidConfig, match="bytes: give it as str") as refused:
            build(None, wrong)
        assert "sk-bytes" not in str(refused.value)

    number: Any = 5
    with pytest.raises(InvalidConfig, match="base_url"):
        OpenAITarget(number, "sk-key").account()
    for timeout in (-1.0, math.nan, "30", True):
        seconds: Any = timeout
        with pytest.raises(InvalidConfig, match="finalise_timeout"):
            CodexTarget(finalise_timeout=seconds)
