"""Which codex is run, when the settings name one."""

from pathlib import Path

from codex_actors.cli.settings import Settings
from codex_actors.codex import CodexNotFound, find_codex


def codex_executable(settings: Settings) -> Path:
    """Return the codex executable that the settings name, or that is found without; looks only.

    Raises:
        CodexNotFound: there is none, or what was named cannot be executed.
    """
    try:
        return find_codex(settings.codex)
    except CodexNotFound:
        if settings.codex is not None:
            raise CodexNotFound(
                f"{settings.sources['codex']} names the codex executable {settings.codex!r}, which"
                " is not an executable file: correct it"
            ) from None
        raise CodexNotFound(
            "the codex executable was not found: install it (pip install 'codex-actors[codex]'),"
            " put it on PATH, or name it (--codex, CODEX_ACTORS_CODEX, codex in codex_actors.toml)"
        ) from None
