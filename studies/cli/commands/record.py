"""`studies.sampler_benchmark.record`: write the trainings of a finished grid as a recorded table."""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.experiment import stored
from studies.sampler_benchmark.record import table_of
from studies.sampler_benchmark.table import write_table


def record_table(config: DictConfig) -> int:
    """Write `table.npz` into the study's output folder, and say what it holds. Return the exit code."""
    settings, study = stored(config)
    table = table_of(study, settings)
    path = write_table(settings.output_dir / "table.npz", table)
    cells = " × ".join(f"{len(axis.levels)} {axis.name}" for axis in table.axes)
    print(f"{cells}, {table.n_seeds} seeds, {table.n_rungs} rungs: {table.values.size:,} values of {table.metric}")
    print(f"  {path} ({path.stat().st_size:,} bytes)")
    return 0
