"""What a trial sets for its whole process, put back after it."""
