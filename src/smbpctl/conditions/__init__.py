"""Conditions: one file per condition type, pure functions from observed facts to a verdict."""
