"""The section on the next round of a study."""
