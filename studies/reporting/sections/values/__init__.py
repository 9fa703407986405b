"""The section on a scientific parameter of a designed study."""
