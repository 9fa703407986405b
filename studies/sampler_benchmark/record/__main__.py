"""`python -m studies.sampler_benchmark.record +study=NAME`: write a finished grid's
trainings as a table that samplers can be compared on.

The table that is shipped was made by `+study=recorded_table`; a benchmark runs on another one
with `model.problem.path=FILE`.
"""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.command import command
from studies.errors import BadInput, Problem


def record(config: DictConfig) -> int:
    """Write `table.npz` into the study's output folder, and say what it holds."""
    from studies.cli.validation import validate_and_open
    from studies.sampler_benchmark.record import table_of
    from studies.sampler_benchmark.table import write_table
    from studies.storage.identity import find_study

    settings, storage = validate_and_open(config)
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


main = command(record)

if __name__ == "__main__":
    main()
