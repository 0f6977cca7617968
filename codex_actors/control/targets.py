"""Owns the way from what a client chose to a target of uploads.

Invariant: an option that the chosen target does not have is refused, not left out. What the client
left open the target takes from the environment of this process. Must not know how anything is sent.
"""

from typing import Any

from attrs import fields

from codex_actors.control.errors import InvalidParams
from codex_actors.control.messages import TargetChoice
from codex_actors.files import CodexTarget, DirectoryTarget, OpenAITarget

__all__ = ["KINDS", "target_of", "wrong_options"]

# What each kind of target can be told, by the names of `TargetChoice`.
KINDS = {
    "directory": frozenset({"path"}),
    "openai": frozenset(
        {
            *("base_url", "secret", "organization", "project"),
            *("purpose", "part_size", "parallel", "expires_after"),
        }
    ),
    "codex": frozenset({"base_url", "secret", "account_id"}),
}
# Left open, the target's own defaults hold.
_OPENAI_DEFAULTS = ("purpose", "part_size", "parallel", "expires_after")


def target_of(choice: TargetChoice) -> DirectoryTarget | OpenAITarget | CodexTarget:
    """Return the target that was chosen.

    Raises:
        InvalidParams: There is none of that kind, or it has no such option.
        TargetLimitExceeded, InvalidConfig: An option is outside of what it takes.
    """
    wrong = wrong_options(choice)
    if wrong:
        raise InvalidParams(f"a target {choice.kind!r} has no {', '.join(wrong)}")
    match choice.kind:
        case "openai":
            return _openai(choice)
        case "codex":
            return CodexTarget(choice.base_url, choice.secret, choice.account_id)
        case "directory" if choice.path is not None:
            return DirectoryTarget(choice.path)
        case "directory":
            raise InvalidParams("params.target.path: say which directory")
        case _:
            kinds = ", ".join(sorted(KINDS))
            raise InvalidParams(f"params.target.kind: give one of {kinds}, not {choice.kind!r}")


def wrong_options(choice: TargetChoice) -> tuple[str, ...]:
    """Return the names of the options that a target of this kind does not have."""
    known = KINDS.get(choice.kind)
    if known is None:
        return ()
    names = (each.name for each in fields(TargetChoice) if each.name != "kind")
    return tuple(name for name in names if getattr(choice, name) is not None and name not in known)


def _openai(choice: TargetChoice) -> OpenAITarget:
    chosen: dict[str, Any] = {
        name: getattr(choice, name)
        for name in _OPENAI_DEFAULTS
        if getattr(choice, name) is not None
    }
    return OpenAITarget(
        choice.base_url,
        choice.secret,
        organization=choice.organization,
        project=choice.project,
        **chosen,
    )
