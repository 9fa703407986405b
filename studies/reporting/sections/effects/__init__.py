"""The section on what matters and what interacts."""
