"""The table of verbs: what each does, as help says it, and where it lives.

The functions are named, not imported: `--help` should not wait for what it does not use.
"""

from attrs import frozen

_SUPERVISOR = "Supervisor"
_FILES = "Files"
_PROGRAM = "This program"
GROUPS = (_SUPERVISOR, _FILES, _PROGRAM)


@frozen
class Verb:
    """One verb.

    Attributes:
        name: as it is typed; two words for a verb of a group of verbs.
        function: "module:name" of what runs it.
        group: the heading that `--help` shows it under.
        help: a first line for the list of verbs, and what else its own help says.
        usage: its arguments, where the options' own help does not say it all.
    """

    name: str
    function: str
    group: str
    help: str
    usage: str = "[OPTIONS]"


VERBS = (
    Verb(
        "run",
        "codex_actors.cli.run:run",
        _SUPERVISOR,
        """Run the supervisor: trees that other commands ask, until it is told to end.

        TREE is files (the default), package.module:TREE, or name=package.module:TREE; several run
        side by side. One line on stdout says when all is up, what happens is logged on stderr:
        with -q only warnings and errors, with -v everything.

        SIGINT, SIGTERM and SIGHUP let it finish what is under way, and a second one cancels that;
        SIGUSR1 logs the tree. The exit code is 130, 143 or 129 after a signal, 0 at an end without
        one, 1 when it could not start, 70 when a tree gave up restarting, 75 when another
        supervisor is there already.
        """,
        "[OPTIONS] [TREE...]",
    ),
    Verb(
        "status",
        "codex_actors.cli.status:status",
        _SUPERVISOR,
        """Show how the supervisor is, or one of its actors.

        The exit code is 0 when it runs, 3 when it does not, 4 when it does not answer.
        """,
        "[OPTIONS] [NAME]",
    ),
    Verb(
        "ps",
        "codex_actors.cli.ps:ps",
        _SUPERVISOR,
        """List actors: state, restarts, mailbox, message in hand, last error.

        On a terminal what does not fit is cut off; in a pipe it is whole.
        """,
        "[OPTIONS] [NAME]",
    ),
    Verb(
        "pstree",
        "codex_actors.cli.pstree:pstree",
        _SUPERVISOR,
        "Draw the tree of actors.",
        "[OPTIONS] [NAME]",
    ),
    Verb(
        "top",
        "codex_actors.cli.top:top",
        _SUPERVISOR,
        """Watch actors as they work, the busiest first; q ends it.

        It goes on when the supervisor is started again. In a pipe it prints one picture after the
        other, with --json one document a line.
        """,
    ),
    Verb(
        "events",
        "codex_actors.cli.events:events",
        _SUPERVISOR,
        """Show what has happened in the supervisor, and follow it.

        With --follow --json prints one document a line. The exit code is 0 then when the
        supervisor was asked to end and did, 4 when it went otherwise.
        """,
    ),
    Verb(
        "restart",
        "codex_actors.cli.restart:restart",
        _SUPERVISOR,
        """Stop an actor and start it again, in its place.

        That counts towards no restart intensity, and starts an actor that was stopped, too. Once
        begun it goes on, whether somebody waits or not.
        """,
        "[OPTIONS] NAME",
    ),
    Verb(
        "stop",
        "codex_actors.cli.stop:stop",
        _SUPERVISOR,
        """Stop an actor, and keep it stopped.

        It finishes the message in hand. One that is stopped already is left so. A child of a
        dynamic supervisor, and a temporary one, is forgotten.
        """,
        "[OPTIONS] NAME",
    ),
    Verb(
        "start",
        "codex_actors.cli.start:start",
        _SUPERVISOR,
        "Start an actor that was stopped.",
        "[OPTIONS] NAME",
    ),
    Verb(
        "cancel",
        "codex_actors.cli.cancel:cancel",
        _SUPERVISOR,
        """Give an operation up: an upload, a staging, a turn.

        `status` shows the operations and their numbers.
        """,
        "[OPTIONS] OPERATION",
    ),
    Verb(
        "drain",
        "codex_actors.cli.drain:drain",
        _SUPERVISOR,
        """End the supervisor when what is under way is finished.

        New work is refused meanwhile. When the time is over what is left is cancelled.
        """,
    ),
    Verb(
        "shutdown",
        "codex_actors.cli.shutdown:shutdown",
        _SUPERVISOR,
        """End the supervisor: operations are cancelled, actors finish the message in hand.

        With --now actors are cancelled, too; a terminal asks before. Cleanup runs all the same.
        """,
    ),
    Verb(
        "dump",
        "codex_actors.cli.dump:dump",
        _SUPERVISOR,
        """Show where every task of the supervisor stands: functions and lines, no values.

        It is answered while the supervisor starts or drains, too.
        """,
        "[OPTIONS] [NAME]",
    ),
    Verb(
        "stage",
        "codex_actors.cli.stage:stage",
        _FILES,
        """Stage files: copy them, checksummed, once each, for a limited time.

        A file that cannot be staged is named on stderr, and the others are staged all the same;
        the exit code is 5 then, and 1 when none could be.
        """,
        "[OPTIONS] FILE...",
    ),
    Verb("list", "codex_actors.cli.list_:list_", _FILES, "List what is staged, oldest first."),
    Verb(
        "show",
        "codex_actors.cli.show:show",
        _FILES,
        """Show one attachment: its size, type, checksum, end and path.

        What is called several things, or like others, is CHECKSUM/NAME, where a few digits of the
        checksum will do.
        """,
        "[OPTIONS] WHAT",
    ),
    Verb(
        "upload",
        "codex_actors.cli.upload:upload",
        _FILES,
        """Upload files, or what is staged: to OpenAI, the codex backend or a directory.

        The same content is uploaded once, and its file id given out again. What failed is tried
        again, and an upload that was killed goes on where it was. Credentials are read from
        OPENAI_API_KEY, or from CODEX_ACCESS_TOKEN and CODEX_ACCOUNT_ID.

        The exit code is 5 when some could not be uploaded, and 1 when none could be.
        """,
        "[OPTIONS] FILE...",
    ),
    Verb(
        "exec",
        "codex_actors.cli.exec:exec_",
        _FILES,
        """Run one codex turn with files attached.

        Images are sent as images. Any other file is named in the prompt, with a path that the
        agent can read while the turn runs. A file that would not arrive refuses the turn.
        """,
        "PROMPT [OPTIONS]",
    ),
    Verb(
        "rm",
        "codex_actors.cli.rm:rm",
        _FILES,
        """Remove attachments, unless they are in use.

        What is called like others is CHECKSUM/NAME, where a few digits of the checksum will do.
        The exit code is 5 when some could not be removed, and 1 when none could be.
        """,
        "[OPTIONS] WHAT...",
    ),
    Verb(
        "cleanup",
        "codex_actors.cli.cleanup:cleanup",
        _FILES,
        """Remove what has expired, and what dead processes left.

        What is in use stays until nobody uses it. A supervisor does this by itself. The exit code
        is 5 when something could not be deleted.
        """,
    ),
    Verb(
        "verify",
        "codex_actors.cli.verify:verify",
        _FILES,
        """Read everything that is staged again, and set aside what is wrong.

        The exit code is 1 when something was wrong; what it was is named on stderr.
        """,
    ),
    Verb(
        "reset",
        "codex_actors.cli.reset:reset",
        _FILES,
        """Remove everything that is staged.

        It asks before, and where there is no terminal to answer at it needs --yes.
        """,
    ),
    Verb(
        "metrics",
        "codex_actors.cli.metrics:metrics",
        _FILES,
        "Show counts and sizes of what is staged and under way.",
    ),
    Verb(
        "config show",
        "codex_actors.cli.config:show",
        _PROGRAM,
        """Show every setting, and where its value comes from.

        A flag comes before the environment (CODEX_ACTORS_MAX_BYTES for max_bytes), that before
        codex_actors.toml in the working directory, that before the default. Times are 90s, 5m,
        12h, 7d or inf, sizes 500K, 10MiB, 2G or inf.
        """,
    ),
    Verb(
        "doctor",
        "codex_actors.cli.doctor:doctor",
        _PROGRAM,
        """Check codex, the staging directory, the disk and the supervisor.

        Looks only: nothing is created or changed. The exit code is 1 when something fails, and
        each finding that is not ok says what to do.
        """,
    ),
    Verb(
        "completion",
        "codex_actors.cli.completion:completion",
        _PROGRAM,
        """Print a script that completes verbs and options in a shell.

        bash, in ~/.bashrc: eval "$(codex-actors completion bash)"

        zsh, in ~/.zshrc after compinit: eval "$(codex-actors completion zsh)"

        fish, once: codex-actors completion fish >~/.config/fish/completions/codex-actors.fish
        """,
        "bash|zsh|fish",
    ),
    Verb(
        "version",
        "codex_actors.cli.version:version",
        _PROGRAM,
        "Show the versions of this program and of what it runs on.",
    ),
)
# Verbs of two words, by the first one.
FAMILIES = {"config": (_PROGRAM, "Show the settings.")}
