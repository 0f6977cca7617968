"""The actors of the files' tree, one file each, in tree order."""
