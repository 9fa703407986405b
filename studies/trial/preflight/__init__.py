"""Finds mistakes before a study by training a few batches."""
