"""Where workers run: in this process, in processes of this machine, under SLURM, on a Ray cluster."""
