"""The rungs of a training: their places in the budget, and the metrics and samples at each of them."""
