"""Workers as actors on Ray."""
