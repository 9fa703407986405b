"""Figures of an analysis, each drawn from the CSV that lies beside it."""
