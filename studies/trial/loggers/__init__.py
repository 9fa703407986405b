"""The loggers of a training."""
