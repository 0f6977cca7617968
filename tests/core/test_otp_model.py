"""The model itself, against what was observed on OTP: a wrong model proves nothing."""

import pytest
from otp_model import Model
from otp_world import Group, Strategy, Worker


def _model(strategy: Strategy, names: str = "abcd", max_restarts: int = 3) -> Model:
    model = Model(
        Group("root", tuple(map(Worker, names)), strategy=strategy, max_restarts=max_restarts)
    )
    assert model.root.start_all()
    model.world.log.clear()
    return model


@pytest.mark.parametrize(
    ("strategy", "log"),
    [
        ("one_for_one", "-b! +b"),  # G1
        ("rest_for_one", "-b! -d -c +b +c +d"),  # G2
        ("one_for_all", "-b! -d -c -a +a +b +c +d"),  # G3
    ],
)
def test_strategies(strategy: Strategy, log: str) -> None:
    """The model stops and starts the group that the strategy names."""
    model = _model(strategy)

    model.die(("b", True))

    assert " ".join(model.world.log) == log


@pytest.mark.parametrize(
    ("strategy", "log"),
    [
        ("rest_for_one", "-b! -d -c +b +c✗ +c +d"),  # G4
        ("one_for_all", "-b! -d -c -a +a +b +c✗ -b -a +a +b +c +d"),
    ],
)
def test_failed_group_restart_resumes(strategy: Strategy, log: str) -> None:
    """The model's failed group restart goes on where OTP's does."""
    model = _model(strategy)
    model.world.failing["c"] = 1

    model.die(("b", True))

    assert " ".join(model.world.log) == log


@pytest.mark.parametrize("max_restarts", [0, 1, 3])
def test_attempts_are_limited(max_restarts: int) -> None:
    """A child that always fails to start gets exactly `max_restarts` attempts."""
    # I8
    model = _model("one_for_one", max_restarts=max_restarts)
    model.world.failing["b"] = 99

    model.die(("b", True))

    assert model.world.log == ["-b!", *["+b✗"] * max_restarts, "-d", "-c", "-a"]
    assert model.root.gave_up


@pytest.mark.parametrize(("strategy", "charged"), [("one_for_one", 2), ("one_for_all", 1)])
def test_two_deaths(strategy: Strategy, charged: int) -> None:
    """The second of two deaths is absorbed by a group restart, charged otherwise."""
    # G12
    model = _model(strategy)

    model.die(("b", True), ("c", True))

    assert model.root.in_window() == charged


def test_escalation() -> None:
    """A permanent child supervisor that gave up is restarted with its static children."""
    # I7
    inner = Group("inner", (Worker("x"),), max_restarts=0)
    model = Model(Group("root", (Worker("a"), inner)))
    assert model.root.start_all()
    below = model.supervisor("inner")
    assert below is not None
    assert below.start_child(Worker("y")) == "ok"

    model.die(("x", True))

    assert model.world.log == ["+a", "+x", "+y", "-x!", "-y", "+x"]
    assert list(model.root.picture()) == [
        ("a", "running", 0),
        ("inner", "running", 0),
        ("inner/x", "running", 0),
    ]
