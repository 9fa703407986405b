"""What has to be tuned, and together with what."""
