"""The section on effects and interactions."""
