"""The section on the selection among the best of a search."""
