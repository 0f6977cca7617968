"""`python -m codex_actors`: the command line."""

from codex_actors.cli.app import main

if __name__ == "__main__":
    raise SystemExit(main())
