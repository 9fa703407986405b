"""The sections of a report: each draws one conclusion about a study."""
