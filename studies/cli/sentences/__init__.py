"""What the commands say to a person, a file for each command."""
