"""Benchmarks: plain scripts, run by hand, never timed tests.

`python -m tests.benchmarks` lists them, `python -m tests.benchmarks NAME [--json]` runs one. Every
figure is measured beside its floor, in turns in the same run: ratios count, absolute numbers drift.
"""
