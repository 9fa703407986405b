"""`python -m studies.dashboard [dashboard.port=N]`: optuna-dashboard on the storage.

On this machine only, unless `dashboard.host` says otherwise.
"""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.command import command


def dashboard(config: DictConfig) -> int:
    """Serve the studies of a storage until Ctrl-C. Return 0, or 1 if the server ends by itself."""
    from studies.cli.commands.dashboard import serve  # late, so that --help answers at once

    return serve(config)


main = command(dashboard)

if __name__ == "__main__":
    main()
