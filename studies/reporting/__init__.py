"""Reports: a view of a study, sections that conclude, findings, and renderers."""
