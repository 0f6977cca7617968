"""What others say by `logging` and `warnings` comes out with the rest."""

import json
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager

from codex_actors.telemetry.levels import Level
from codex_actors.telemetry.log import Log
from codex_actors.telemetry.stdlib import capturing


@contextmanager
def _bare() -> Generator[None]:
    """No handlers, as in a fresh process: pytest has put its own there."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers


def test_records_and_warnings_are_lines() -> None:
    """With their level, their logger, and the traceback of an error."""
    lines: list[str] = []
    level = logging.getLogger().level

    with _bare(), capturing(Log(lines.append, form="json"), Level.INFO):
        logging.getLogger("shop").info("sold %d", 3)
        logging.getLogger("shop").debug("unseen")
        logging.getLogger("httpx2").info("unseen")
        logging.getLogger("shop").log(45, "%d", "no number")
        try:
            assert float("one")
        except ValueError:
            logging.getLogger("shop.till").exception("cannot count")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("mind the step", UserWarning, stacklevel=1)

    told = [json.loads(line) for line in lines]
    assert [(each["level"], each["logger"]) for each in told] == [
        ("info", "shop"),
        ("error", "shop"),
        ("error", "shop.till"),
        ("warning", "py.warnings"),
    ]
    assert told[0]["message"] == "shop: sold 3"
    assert "TypeError in its arguments" in told[1]["message"]
    assert "ValueError" in told[2]["traceback"]
    assert "mind the step" in told[3]["message"]
    assert logging.getLogger().level == level
    assert logging.getLogger("httpx2").level == logging.NOTSET


def test_who_has_configured_logging_keeps_it() -> None:
    """Nothing is captured then."""
    lines: list[str] = []
    mine = logging.NullHandler()
    root = logging.getLogger()

    with _bare():
        root.addHandler(mine)
        with capturing(Log(lines.append), Level.INFO):
            logging.getLogger("shop").error("mine")
        handlers = [*root.handlers]

    assert lines == []
    assert handlers == [mine]
