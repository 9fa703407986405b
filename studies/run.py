"""`python -m studies.run +study=NAME`: search, select, report. The same command again continues an unfinished study."""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.command import command


def run(config: DictConfig) -> int:
    """Run the study that `config` describes to its end. Return 0 when it is finished, 130 when a signal ended it."""
    from studies.cli.commands.run import run_experiment  # late, so that --help answers at once

    return run_experiment(config)


main = command(run)

if __name__ == "__main__":
    main()
