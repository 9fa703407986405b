"""What a storage holds, read as input: the attributes of studies and trials, checked, and which may be best."""
