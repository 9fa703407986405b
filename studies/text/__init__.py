"""Text: names, quoting, counts and intervals in words, foreign text made safe, and YAML of strangers."""
