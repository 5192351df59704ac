"""Control planes to run controllers against: a real one on this machine, and what it lacks."""
