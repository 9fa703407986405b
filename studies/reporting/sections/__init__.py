"""The sections of a report: each file concludes one thing about a study."""
