"""The selection after a search: a race of the best on fresh seeds, its rounds, and the winner's estimate."""
