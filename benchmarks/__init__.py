"""Performance of the runtime beside that of others, as ratios of one interleaved run.

`python -m benchmarks` runs everything; docs/reference/performance.md says what it means and what
not.
"""
