"""What a designed experiment says: its analysis of variance, and the replicates that a planned one needs."""
