"""Where the rungs of a training are, and what is measured at them."""
