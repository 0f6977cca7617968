"""The command line: one file per verb, beside what they share.

`verbs` is the table of them, `app` runs one and turns its error into one of `exit_codes`.  `common`
has the options that all take and `settings` what holds; `session` reaches whom they ask, `asking`
asks one thing, `many` several, `following` what goes on.  `output` prints; how things look is told
by `tables`, `views` (actors, operations, events) and `attachments`.
"""
