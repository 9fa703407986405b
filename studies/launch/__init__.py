"""Where workers run: in this process, or in processes of this machine."""
