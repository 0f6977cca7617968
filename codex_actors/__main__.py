"""`python -m codex_actors`: the command line."""

import sys


def main() -> int:
    """Run the command line; returns its exit code."""
    try:
        from codex_actors.cli.app import main as run  # noqa: PLC0415 - it takes a while, see below

        return run()
    except KeyboardInterrupt:  # before there was anything to clean up
        sys.stderr.write("codex-actors: interrupted before it began\n")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
