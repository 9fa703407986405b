"""A hypothesis put to the test: its claim, its rule, its studies and its page."""
