"""The saved states of trainings: their files, their record, and how a training resumes."""
