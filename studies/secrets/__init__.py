"""Secrets: which names, sources and forms tell that a text is one, and how it is masked."""
