"""What this process is told from outside, how long it may go on, and how it ends."""
