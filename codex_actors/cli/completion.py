"""The verb `completion`: a script for the shell.

What is completed, and with what, cyclopts knows from the verbs themselves.  Its scripts are mended
where a shell would not take them as one uses them: file names with spaces in bash, a script that
is sourced in zsh, files offered for a verb in fish.
"""

from typing import Annotated, Literal

from cyclopts import Parameter

from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json
from codex_actors.cli.verbs import FAMILIES

Shell = Literal["bash", "zsh", "fish"]
_NAME = "codex-actors"


def completion(
    shell: Annotated[Shell, Parameter(name="SHELL")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> int:
    """Print the script; the parameters as `completion --help` shows them.

    Parameters
    ----------
    shell
        Which shell it is for.
    """
    common.apply()
    script = completion_script(shell)
    if common.as_json:
        print_json({"shell": shell, "script": script})
    else:
        print(script, end="")  # noqa: T201 - the script is the output
    return 0


def completion_script(shell: Shell) -> str:
    """Return the script that teaches a shell our verbs, options and values."""
    # Imported here: the application names this module.
    from codex_actors.cli.app import app  # noqa: PLC0415

    script = app.generate_completion(prog_name=_NAME, shell=shell).rstrip() + "\n"
    match shell:
        case "bash":
            # Left alone, readline completes files: quoted, and with the slash of a directory.
            script = script.replace('COMPREPLY=( $(compgen -f -- "${cur}") )', "COMPREPLY=()")
            return script.replace("\ncomplete -F ", "\ncomplete -o default -F ")
        case "zsh":
            function = f"_{_NAME}"
            script = script.replace(f"_cyclopts_{_NAME}", function)
            # Sourced, it registers itself; found by compinit in $fpath, it is called as well.
            return (
                f"{script}\n"
                f"compdef {function} {_NAME}\n"
                f'if [[ "$funcstack[1]" = "{function}" ]]; then {function} "$@"; fi\n'
            )
        case "fish":
            # Where a verb is expected no file is.
            places = ["__fish_use_subcommand"]
            places += [f"'__fish_{_NAME}_using_command {family}'" for family in FAMILIES]
            return script + "".join(f"complete -c {_NAME} -n {place} -f\n" for place in places)
