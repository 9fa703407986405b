"""Builds the pieces of a training from its config."""
