"""What is wrong with a command line, in our words: one clause that names it.

Owns how errors of the command line's parser read. Imported only when there is one.
"""

from cyclopts import CoercionError, CycloptsError, MissingArgumentError, UnusedCliTokensError


def usage_text(error: CycloptsError) -> str:
    """Say what is wrong, without a full stop: what to do follows."""
    match error:
        case UnusedCliTokensError(unused_tokens=[_, *_] as tokens):
            return f"there is no use for {', '.join(map(repr, tokens))}"
        case MissingArgumentError(argument=argument) if argument is not None:
            name = error.keyword or argument.name
            return f"{name} needs a value" if name.startswith("-") else f"{name} is missing"
        case CoercionError(target_type=type() as wanted, token=token) if (
            wanted is int and token is not None
        ):
            name = token.keyword or (error.argument.name if error.argument is not None else "")
            return f"{name} {token.value!r}: give a whole number"
        case _:
            return str(error).rstrip(".")
