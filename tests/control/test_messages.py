"""What can be asked of a supervisor: the form on the wire, and what is refused."""

import json
import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_actors.control import messages
from codex_actors.control.errors import InvalidParams, UnknownMethod
from codex_actors.control.handlers import HANDLERS
from codex_actors.control.messages import (
    Exec,
    Stage,
    TargetChoice,
    Upload,
    methods,
    parse_request,
)

_TEXT = st.text(max_size=8)
_PATH = _TEXT.map("/".__add__)
_SECONDS = st.floats(allow_nan=False) | st.integers(-3, 10**12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)

_targets = st.builds(
    TargetChoice, kind=_TEXT, secret=st.none() | _TEXT, part_size=st.none() | st.integers()
)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field of a request."""
    if kind is dict[str, Any] or kind == dict[str, Any]:
        return st.dictionaries(_TEXT, _JSON, max_size=3)
    return {
        str: _TEXT,
        bool: st.booleans(),
        int: st.integers(),
        float: _SECONDS,
        str | None: st.none() | _TEXT,
        int | None: st.none() | st.integers(),
        float | None: st.none() | _SECONDS,
        tuple[str, ...]: st.lists(_TEXT, max_size=3).map(tuple),
        dict[str, str] | None: st.none() | st.dictionaries(_TEXT, _TEXT, max_size=3),
        TargetChoice: _targets,
    }[kind]


def _instances(kind: type[Any]) -> st.SearchStrategy[Any]:
    attrs.resolve_types(kind)
    fields = {field.name: _values(field.type) for field in attrs.fields(kind)}
    if issubclass(kind, messages.Request) and kind.method.startswith("files."):
        fields |= dict.fromkeys({"path", "cwd", "codex"} & fields.keys(), _PATH)
        fields |= dict.fromkeys({"attach"} & fields.keys(), st.lists(_PATH).map(tuple))
    if kind is not Upload:
        return st.builds(kind, **fields)
    path, what = fields.pop("path"), fields.pop("what")
    return st.builds(kind, path=path, **fields) | st.builds(
        kind, what=what.filter(lambda text: text is not None), **fields
    )


_requests = st.one_of(*map(_instances, messages.REQUESTS.values()))


@given(_requests)
def test_what_is_sent_arrives(request_: messages.Request) -> None:
    """Every request, over JSON and back, is itself; infinity too."""
    wire = json.loads(json.dumps(request_.to_params(), allow_nan=False))

    assert parse_request(request_.method, wire) == request_


def test_every_request_has_a_handler_and_a_name_of_its_own() -> None:
    """A message that nobody handles could be sent and never answered; two of one name hide."""
    assert set(HANDLERS) == set(messages.REQUESTS.values())
    assert [kind.method for kind in messages.REQUESTS.values()] == list(methods())


@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("files.stage", {}, "params.path"),
        ("files.stage", {"path": 3}, "params.path"),
        ("files.stage", {"path": "/a", "nme": "b"}, "nme"),
        ("files.stage", {"path": "/a", "persist": 1}, "params.persist"),
        ("files.stage", {"path": "/a", "ttl": "soon"}, "params.ttl"),
        ("files.stage", {"path": "/a", "ttl": True}, "params.ttl"),
        ("files.stage", {"path": "relative"}, "params.path"),
        ("files.stage", ["/a"], "params"),
        ("process.events", {"kinds": "abc"}, "params.kinds"),
        ("process.events", {"kinds": [1]}, "params.kinds"),
        ("process.events", {"last": 1.0}, "params.last"),
        ("files.upload", {"path": "/a"}, "params.target"),
        ("files.upload", {"path": "/a", "target": []}, "params.target"),
        ("files.upload", {"path": "/a", "target": {"kind": 3}}, "params.target.kind"),
        ("files.upload", {"target": {"kind": "codex"}}, "path and what"),
        ("files.upload", {"path": "/a", "what": "b", "target": {"kind": "codex"}}, "path and what"),
        ("files.exec", {"prompt": "x", "env": {"A": 1}}, "params.env"),
        ("files.exec", {"prompt": "x", "cwd": "here"}, "params.cwd"),
        ("files.exec", {"prompt": "x", "attach": ["/a", "b"]}, "params.attach"),
        (
            "files.upload",
            {"path": "/a", "target": {"kind": "directory", "path": "out"}},
            "params.target.path",
        ),
    ],
)
def test_what_makes_no_sense_is_named(method: str, params: object, named: str) -> None:
    """The error names the field; nothing is coerced."""
    with pytest.raises(InvalidParams, match=named):
        parse_request(method, params)


def test_an_unknown_method_is_told_apart() -> None:
    """It is not the parameters that are wrong."""
    with pytest.raises(UnknownMethod, match=r"files\.stag"):
        parse_request("files.stag", {})


def test_secrets_are_in_no_repr() -> None:
    """What is sent as a credential, as environment or as a prompt shows in no log."""
    canary = "canary-7f3a"
    target = TargetChoice(kind="openai", secret=canary)
    upload = Upload(path="/a", target=target)
    turn = Exec(prompt=canary, env={"KEY": canary}, config={"key": canary})

    assert canary not in repr((target, upload, turn))
    assert canary in json.dumps(upload.to_params())


def test_no_limit_is_a_word() -> None:
    """JSON has no infinity."""
    assert Stage(path="/a", ttl=math.inf).to_params() == {"path": "/a", "ttl": "infinity"}
