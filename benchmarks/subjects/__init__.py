"""The programs that are compared; each runs in a process of its own (`benchmarks.subject`)."""
