"""The storage: opening it, a study's identity, and claims on its budget."""
