"""`python -m studies.check +study=NAME`: find every mistake before an hour is spent, and tell what the study takes."""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.command import command


def check(config: DictConfig) -> int:
    """Check the study that `config` describes, and estimate its time. Return 0 if it is sound."""
    from studies.cli.commands.check import check_experiment  # late, so that --help answers at once

    return check_experiment(config)


main = command(check)

if __name__ == "__main__":
    main()
