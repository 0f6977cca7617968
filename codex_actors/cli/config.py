"""The verb `config show`: every setting, and where its value comes from."""

import math
from pathlib import Path
from typing import cast

from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json
from codex_actors.cli.settings import SETTINGS
from codex_actors.cli.tables import print_table
from codex_actors.cli.units import format_bytes, format_seconds


def show(*, common: Common = NO_OPTIONS) -> int:
    """Show the settings; none of them is secret."""
    settings = common.load()
    values = {
        setting.key: _plain(setting.key, getattr(settings, setting.key)) for setting in SETTINGS
    }
    if common.as_json:
        file = settings.config_file
        print_json(
            {
                "config_file": None if file is None else str(file),
                "settings": {
                    key: {"value": value, "source": settings.sources[key]}
                    for key, value in values.items()
                },
            }
        )
        return 0
    print_table(
        ("KEY", "VALUE", "SOURCE"),
        [(key, _shown(key, value), settings.sources[key]) for key, value in values.items()],
    )
    return 0


def _plain(key: str, value: object) -> object:
    """A value as JSON has it; what is without end is the text "infinity"."""
    if isinstance(value, Path):
        return str(value)
    unlimited = value is None and key.startswith("max_")
    return "infinity" if unlimited or value == math.inf else value


def _shown(key: str, value: object) -> str:
    """A value as one would set it."""
    match value:
        case None:
            return "-"
        case "infinity":
            return "inf"
        case float():
            return format_seconds(value)
        case int() if key == "max_bytes":
            return format_bytes(value)
        case tuple():
            return " ".join(cast("tuple[str, ...]", value))
        case _:
            return str(value)
