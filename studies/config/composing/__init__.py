"""Composes a config: our folder, options of the user's own, and names as YAML wrote them."""
