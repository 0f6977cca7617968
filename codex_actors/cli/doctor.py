"""The verb `doctor`: is everything in place, and what to do where it is not."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

from rich.text import Text

from codex_actors.cli.checks import program, staging, supervisor
from codex_actors.cli.checks.finding import Finding, Status, carry_out, fail
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.errors import SettingsError
from codex_actors.cli.output import console, print_json
from codex_actors.telemetry.text import visible

_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


def doctor(*, common: Common = NO_OPTIONS) -> int:
    """Look at everything, and tell."""
    findings = list(_look(common))
    failed = any(each.status is Status.FAIL for each in findings)
    if common.as_json:
        print_json({"ok": not failed, "checks": [each.to_dict() for each in findings]})
    else:
        _print(findings)
    return 1 if failed else 0


def _look(common: Common) -> Iterator[Finding]:
    yield from carry_out(program.INDEPENDENT)
    try:
        settings = common.load()
    except SettingsError as error:
        yield fail("settings", str(error), "correct this first: all else depends on it")
        return
    checks = (*program.CHECKS, *staging.CHECKS, *supervisor.CHECKS)
    yield from carry_out((name, partial(check, settings)) for name, check in checks)


def _print(findings: list[Finding]) -> None:
    out = console()
    width = max(len(each.name) for each in findings)
    for each in findings:
        line = Text(f"{each.status.value:<4}", style=_STYLES[each.status])
        line.append(f"  {each.name:<{width}}  {visible(each.found)}", style="default")
        out.print(line, soft_wrap=True)
        if each.advice:
            out.print(Text(f"{'':<{width + 8}}-> {visible(each.advice)}"), soft_wrap=True)
    counts = Counter(each.status for each in findings)
    out.print(
        Text(f"{counts[Status.OK]} ok, {counts[Status.WARN]} to watch, {counts[Status.FAIL]} wrong")
    )
