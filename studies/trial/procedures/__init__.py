"""Trials that are no Lightning training."""
