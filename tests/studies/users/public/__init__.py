"""Modules in the styles of public projects. Their imports can be rewritten to the other Lightning package."""
