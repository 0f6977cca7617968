"""The command line: one file per verb, beside what they share.

`app` knows the verbs and turns errors into exit codes, `common` the options that all
verbs take, `output` how results look.
"""
