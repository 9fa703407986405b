"""`python -m studies.sampler_benchmark.record +study=NAME`: write a finished grid's trainings as a recorded table.

Samplers can be compared on such a table. The shipped one was made by `+study=recorded_table`. A benchmark runs on
another one with `model.problem.path=FILE`.
"""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.command import command


def record(config: DictConfig) -> int:
    """Write `table.npz` into the study's output folder, and say what it holds. Return 0."""
    from studies.cli.commands.record import record_table  # late, so that --help answers at once

    return record_table(config)


main = command(record)

if __name__ == "__main__":
    main()
