"""Learning curves: what is known of a pruned training, and how it would have ended."""
