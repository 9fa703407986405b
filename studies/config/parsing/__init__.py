"""Parses the composed config into typed settings: one file a section, all problems collected on the way."""
