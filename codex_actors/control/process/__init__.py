"""The supervisor process: trees in, an exit code out.

`trees` finds what to run, `root` makes one tree of it, `serving` has clients answered meanwhile,
`ready` says that all is up, `leaving` decides what a signal or a request to end means, `departure`
carries it out, `countdown` tells of it, `service_manager` speaks to systemd, `program` runs it all.
"""
