"""The content of a storage, read as input: checked attributes of studies and trials, and the eligible trials."""
