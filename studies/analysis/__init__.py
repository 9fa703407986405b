"""What is known after a study: tables and measures computed from any Optuna study. Needs no torch."""
