"""Workers as tasks under SLURM."""
