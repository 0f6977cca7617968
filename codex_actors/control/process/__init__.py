"""The supervisor process: trees in, an exit code out.

`trees` finds what to run, `root` makes one tree of it, `leaving` decides what a signal or a request
to end means, `departure` carries it out, `countdown` tells of it, `service_manager` speaks to
systemd, `locking` keeps a second one from the same staging directory, `program` runs it all.
"""
