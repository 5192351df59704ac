"""The four reconcilers: each gathers, plans, applies and reports for its own part."""
