"""Plans: pure functions from the observed facts to the next safe step."""
