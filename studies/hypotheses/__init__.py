"""A hypothesis put to the test: a claim, the rule that decides it, the studies that it takes, and its page."""
