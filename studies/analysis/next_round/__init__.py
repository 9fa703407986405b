"""What a finished study says of the next one: limits, failures, whether the trials were enough, and the next space."""
