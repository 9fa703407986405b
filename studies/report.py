"""`python -m studies.report study_name=NAME storage.url=URL`: analyse a stored study again, without any training.

It reads any Optuna study. With the study's own config (`+study=NAME`) it writes everything that `studies.run` leaves.
Without that config it leaves `best.yaml` out. A config other than the study's own is refused, because its report could
name another winner.
"""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.command import command


def report(config: DictConfig) -> int:
    """Write the report and the analysis of a stored study into `output_dir`. Return 0."""
    from studies.cli.commands.report import report_experiment  # late, so that --help answers at once

    return report_experiment(config)


main = command(report)

if __name__ == "__main__":
    main()
