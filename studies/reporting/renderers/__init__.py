"""Each module writes findings in one medium."""
