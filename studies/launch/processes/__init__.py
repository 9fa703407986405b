"""Processes that a command starts: forked from a server that has torch loaded, watched, and ended."""
