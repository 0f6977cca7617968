"""What `doctor` looks at: one module per part, each a list of checks that give findings.

A check looks and tells; it creates nothing, changes nothing and raises nothing.
"""
