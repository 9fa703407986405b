"""Figures of an analysis, each drawn from the CSV beside it."""
