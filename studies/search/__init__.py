"""What is tried: seeds, designed points, samplers and pruners."""
