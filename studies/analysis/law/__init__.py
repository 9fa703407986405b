"""How the best value of one parameter follows another."""
