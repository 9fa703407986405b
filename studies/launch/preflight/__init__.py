"""What is tried before any worker starts: a first batch, or all the points of a check."""
