"""The section on what decides whether a configuration trains, and how well."""
