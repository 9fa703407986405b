"""What decides whether a configuration trains, and what decides how well among those that do."""
