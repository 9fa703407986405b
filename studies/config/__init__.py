"""The config: composed by Hydra, parsed into one frozen `StudySettings`; parameters and their space."""
