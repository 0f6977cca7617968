"""Specs: defaults, strings for enums, and every fault found before anything starts."""

import copy
import functools
import math
import pickle
from typing import Any

import pytest

from codex_actors import (
    Actor,
    AutoShutdown,
    Backoff,
    ChildSpec,
    DynamicSupervisorSpec,
    Restart,
    Shutdown,
    SpecError,
    Strategy,
    SupervisorSpec,
    open_supervisor,
)


class Child(Actor):
    """An actor that does nothing."""


NAN = math.nan

WRONG_CHILD: list[tuple[str, dict[str, Any]]] = [
    ("id", {"id": ""}),
    ("id", {"id": "a/b"}),
    ("id", {"id": 7}),
    ("start", {"start": "Child"}),
    ("start", {"start": None}),
    ("restart", {"restart": "sometimes"}),
    ("restart", {"restart": None}),
    ("restart", {"restart": "PERMANENT"}),
    ("shutdown", {"shutdown": -1}),
    ("shutdown", {"shutdown": NAN}),
    ("shutdown", {"shutdown": "gently"}),
    ("shutdown", {"shutdown": None}),
    ("shutdown", {"shutdown": True}),
    ("cleanup_timeout", {"cleanup_timeout": -0.1}),
    ("cleanup_timeout", {"cleanup_timeout": "5"}),
    ("significant", {"significant": "yes", "restart": "transient"}),
    ("significant", {"significant": None, "restart": "transient"}),
    ("significant", {"significant": True, "restart": "permanent"}),
    ("mailbox_capacity", {"mailbox_capacity": -1}),
    ("mailbox_capacity", {"mailbox_capacity": 1.5}),
    ("mailbox_capacity", {"mailbox_capacity": NAN}),
    ("start_timeout", {"start_timeout": 0}),
    ("start_timeout", {"start_timeout": -1}),
    ("start_timeout", {"start_timeout": None}),
    ("backoff", {"backoff": 0.1}),
    ("args", {"args": 7}),
    ("args", {"args": "abc"}),
    ("kwargs", {"kwargs": 7}),
    ("kwargs", {"kwargs": {1: 2}}),
]


@pytest.mark.parametrize(("field", "wrong"), WRONG_CHILD, ids=repr)
def test_wrong_child_spec(field: str, wrong: dict[str, Any]) -> None:
    """A wrong field of a ChildSpec raises SpecError, which names it."""
    # S17 A1
    fields: dict[str, Any] = {"id": "a", "start": Child, **wrong}

    with pytest.raises(SpecError, match=rf"^{field}\b"):
        ChildSpec(**fields)


A = ChildSpec("a", Child)
SIGNIFICANT = ChildSpec("s", Child, restart="transient", significant=True)

WRONG_SUPERVISOR: list[tuple[str, dict[str, Any]]] = [
    ("children", {"children": [A, A]}),
    ("children", {"children": [A, "b"]}),
    ("children", {"children": [ChildSpec(None, Child)]}),
    ("children", {"children": 7}),
    ("children", {"children": A}),
    ("strategy", {"strategy": "one_for_none"}),
    ("strategy", {"strategy": None}),
    ("max_restarts", {"max_restarts": -1}),
    ("max_restarts", {"max_restarts": 1.5}),
    ("max_restarts", {"max_restarts": math.inf}),
    ("max_restarts", {"max_restarts": True}),
    ("max_restarts", {"max_restarts": "3"}),
    ("max_seconds", {"max_seconds": 0}),
    ("max_seconds", {"max_seconds": -5.0}),
    ("max_seconds", {"max_seconds": NAN}),
    ("auto_shutdown", {"auto_shutdown": "always"}),
    ("significant", {"children": [SIGNIFICANT]}),
    ("significant", {"children": [SIGNIFICANT], "auto_shutdown": "never"}),
]


@pytest.mark.parametrize(("field", "wrong"), WRONG_SUPERVISOR, ids=repr)
def test_wrong_supervisor_spec(field: str, wrong: dict[str, Any]) -> None:
    """A wrong field of a SupervisorSpec, or a fault between children, names the field."""
    # S16 S17 A1
    fields: dict[str, Any] = {"children": [A], **wrong}

    with pytest.raises(SpecError, match=rf"^{field}\b"):
        SupervisorSpec(**fields)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("max_children", {"max_children": -1}),
        ("max_children", {"max_children": 0.5}),
        ("max_children", {"max_children": "many"}),
        ("max_restarts", {"max_restarts": -1}),
        ("max_seconds", {"max_seconds": 0}),
    ],
)
def test_wrong_dynamic_spec(field: str, wrong: dict[str, Any]) -> None:
    """A wrong field of a DynamicSupervisorSpec names the field."""
    # S17
    with pytest.raises(SpecError, match=rf"^{field}\b"):
        DynamicSupervisorSpec(**wrong)


@pytest.mark.parametrize("field", ["auto_shutdown", "strategy", "children"])
def test_dynamic_spec_has_no_such_settings(field: str) -> None:
    """A dynamic supervisor has no automatic shutdown, no strategy and no static children."""
    # A5
    wrong: dict[str, Any] = {field: "any_significant"}

    with pytest.raises(TypeError, match=field):
        DynamicSupervisorSpec(**wrong)


@pytest.mark.parametrize("field", ["base", "factor", "max", "reset_after"])
@pytest.mark.parametrize("value", [0, -1, NAN, "1", None])
def test_wrong_backoff(field: str, value: Any) -> None:
    """Every field of a Backoff is more than 0."""
    wrong: dict[str, Any] = {field: value}

    with pytest.raises(SpecError, match=rf"^{field}\b"):
        Backoff(**wrong)


@pytest.mark.parametrize("name", ["", "a/b"])
async def test_wrong_root_name(name: str) -> None:
    """The root's name obeys the rules of ids, before anything starts."""
    starts: list[str] = []
    spec = SupervisorSpec([ChildSpec("a", starts.append, args=("a",))])

    with pytest.raises(SpecError):
        async with open_supervisor(spec, name=name):
            pytest.fail("opened")

    assert starts == []


def test_message_says_what_to_do() -> None:
    """The error of an unknown choice names the choices."""
    wrong: Any = "sometimes"

    with pytest.raises(SpecError, match=r"sometimes.*'permanent', 'transient', 'temporary'"):
        ChildSpec("a", Child, restart=wrong)


async def _background() -> None:
    """An async-function child."""


def test_defaults() -> None:
    """Permanent; 5 s for workers, no limit for supervisors; 3 restarts in 5 s."""
    # S18
    for start in (Child, _background, functools.partial(Child)):
        spec = ChildSpec("a", start)
        assert spec.restart is Restart.PERMANENT
        assert spec.shutdown == 5.0
        assert spec.cleanup_timeout == 5.0
        assert spec.mailbox_capacity == 1024
        assert spec.start_timeout == math.inf
        assert spec.backoff is None
        assert not spec.significant

    tree = SupervisorSpec([])
    assert (tree.strategy, tree.max_restarts, tree.max_seconds) == (Strategy.ONE_FOR_ONE, 3, 5.0)
    assert tree.auto_shutdown is AutoShutdown.NEVER
    assert ChildSpec("s", tree).shutdown == math.inf
    assert ChildSpec("d", DynamicSupervisorSpec()).shutdown == math.inf
    assert DynamicSupervisorSpec().max_children == math.inf


def test_strings_for_enums() -> None:
    """Enums take their lower-case names, as they are read from TOML."""
    child = ChildSpec(
        "a", Child, restart="transient", shutdown="brutal_kill", significant=True, args=["x"]
    )
    tree = SupervisorSpec([child], strategy="rest_for_one", auto_shutdown="all_significant")

    assert child.restart is Restart.TRANSIENT
    assert child.shutdown is Shutdown.BRUTAL_KILL
    assert child.args == ("x",)
    assert tree.strategy is Strategy.REST_FOR_ONE
    assert tree.auto_shutdown is AutoShutdown.ALL_SIGNIFICANT
    assert tree.children == (child,)


def test_spec_is_not_changed_through_its_arguments() -> None:
    """What was handed in may change afterwards; the spec does not."""
    children = [A]
    kwargs = {"x": 1}

    tree = SupervisorSpec(children)
    child = ChildSpec("b", Child, kwargs=kwargs)
    children.append(A)
    kwargs["x"] = 2

    assert tree.children == (A,)
    assert child.kwargs == {"x": 1}
    with pytest.raises(TypeError):
        child.kwargs["x"] = 2  # type: ignore[index] # pyright: ignore[reportIndexIssue] - refused


def test_specs_are_values() -> None:
    """Equal ones are one key of a dictionary, also when one was copied or pickled."""
    tree = SupervisorSpec(
        [ChildSpec("a", Child, args=("x",), kwargs={"y": 1, "z": 2}, backoff=Backoff())]
    )
    same = SupervisorSpec(
        [ChildSpec("a", Child, args=("x",), kwargs={"z": 2, "y": 1}, backoff=Backoff())]
    )
    other = SupervisorSpec(
        [ChildSpec("a", Child, args=("x",), kwargs={"z": 2, "y": 3}, backoff=Backoff())]
    )

    pickled = pickle.loads(pickle.dumps(tree))  # noqa: S301 - of what this very line has pickled
    copied = copy.deepcopy(tree)

    assert {tree, same, pickled, copied} == {tree}
    assert tree != other
    assert hash(ChildSpec("b", DynamicSupervisorSpec())) == hash(
        ChildSpec("b", DynamicSupervisorSpec())
    )
