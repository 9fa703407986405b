"""The search: seeds, designs, exploration, samplers and pruners."""
