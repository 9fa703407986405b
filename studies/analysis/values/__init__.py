"""What each value of a scientific parameter gives: at its best over the nuisance parameters, and at the defaults."""
