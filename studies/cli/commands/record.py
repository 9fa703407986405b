"""`studies.sampler_benchmark.record`: write the trainings of a finished grid as a recorded table."""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.admission import admit
from studies.errors import BadInput, Problem
from studies.sampler_benchmark.record import table_of
from studies.sampler_benchmark.table import write_table
from studies.storage.identity import find_study


def record_table(config: DictConfig) -> int:
    """Write `table.npz` into the study's output folder, and say what it holds. Return the exit code."""
    settings, storage = admit(config)
    study, settings = find_study(settings, storage)
    if study is None:
        complaint = f"is {settings.study_name}, which the storage does not hold"
        raise BadInput([Problem("study_name", complaint, "run it first: python -m studies.run, with the same words")])
    table = table_of(study, settings)
    path = write_table(settings.output_dir / "table.npz", table)
    cells = " × ".join(f"{len(axis.levels)} {axis.name}" for axis in table.axes)
    print(f"{cells}, {table.n_seeds} seeds, {table.n_rungs} rungs: {table.values.size:,} values of {table.metric}")
    print(f"  {path} ({path.stat().st_size:,} bytes)")
    return 0
