"""What the exit codes of the command line mean: one table for all verbs.

What `run` returns besides, for a supervisor that has run, is `codex_actors.control.process`'s.
"""

OK = 0
# It did not work: stderr says why, and what to do.
FAILED = 1
# It was asked wrongly.
USAGE = 2
# No supervisor runs.
NOT_RUNNING = 3
# One does, but does not answer.
UNREACHABLE = 4
# A part of it worked.
PARTIAL = 5
# Another supervisor lives.
HELD = 75
# And the signal's number, when one ended it; cleanup has run then.
BY_SIGNAL = 128
INTERRUPTED = 130
