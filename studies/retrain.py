"""`python -m studies.retrain +study=NAME [trial=best|N]`, or `config=best.yaml`: train one point, test it once."""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.command import command


def retrain(config: DictConfig) -> int:
    """Train the chosen configuration, keep its checkpoint, and print its test metrics. Return 0 when it is done."""
    from studies.cli.commands.retrain import retrain_configuration  # late, so that --help answers at once

    return retrain_configuration(config)


main = command(retrain)

if __name__ == "__main__":
    main()
