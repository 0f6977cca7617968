"""Configuration values survive the way through TOML."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_actors.codex.toml import config_arguments, toml_value

text = st.text(st.characters(exclude_categories=["Cs"]))
values: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=20,
)


@given(values)
def test_every_value_is_read_back(value: Any) -> None:
    """A TOML parser reads what was written, on one line."""
    written = toml_value(value, "key")

    assert "\n" not in written
    assert tomllib.loads(f"key={written}")["key"] == value


def test_entries_become_arguments() -> None:
    """One `-c` for each entry, dotted keys as they are, tables inline."""
    config = {"model": 'a"b', "model_providers.mock": {"base url": "http://x", "retries": 0}}

    arguments = config_arguments(config)

    assert arguments == [
        *("-c", 'model="a\\u0022b"'),
        *("-c", 'model_providers.mock={"base url"="http://x",retries=0}'),
    ]


@pytest.mark.parametrize("key", ["", "a=b", "a b", "-x", "a..b", "a.", "a\n", "ü"])
def test_keys_that_codex_would_misread_are_refused(key: str) -> None:
    """A key that is no dotted path is named."""
    with pytest.raises(ValueError, match="dotted path"):
        config_arguments({key: 1})


@pytest.mark.parametrize("value", [None, b"x", {1: 2}, [object()], {"a": {"b": None}}])
def test_types_that_toml_lacks_are_refused(value: object) -> None:
    """The place is named, the value is not: it may be a secret."""
    with pytest.raises(TypeError, match="top"):
        toml_value(value, "top")


@pytest.mark.parametrize("value", [2**63, "\ud800secret"])
def test_values_that_toml_cannot_hold_are_refused(value: object) -> None:
    """An integer too large, text that is no Unicode."""
    with pytest.raises(ValueError, match="top") as caught:
        toml_value(value, "top")

    assert "secret" not in str(caught.value)
