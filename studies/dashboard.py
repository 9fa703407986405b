"""`python -m studies.dashboard`: optuna-dashboard on the storage, on this machine only by default."""

from __future__ import annotations

import socket

from omegaconf import DictConfig

from studies.command import command
from studies.errors import BadInput, Problem


def dashboard(config: DictConfig) -> int:
    """Serve until Ctrl-C. The next free port is taken where the wanted one is in use."""
    import optuna_dashboard

    from studies.admission import existing_storage

    storage = existing_storage(config)
    host, port = str(config.dashboard.host), free_port(str(config.dashboard.host), int(config.dashboard.port))
    names = [study.study_name for study in storage.get_all_studies()]
    print(f"optuna-dashboard: http://{host}:{port}/  ({len(names)} studies; Ctrl-C ends it)", flush=True)
    optuna_dashboard.run_server(storage, host=host, port=port)
    return 0


def free_port(host: str, wanted: int, *, tries: int = 50) -> int:
    """The first port from `wanted` on that nothing listens on. Raises `BadInput` where there is none."""
    for port in range(wanted, min(wanted + tries, 2**16)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise BadInput(
        [Problem("dashboard.port", f"is {wanted} and no port from there on is free on {host}", "give another")]
    )


main = command(dashboard)

if __name__ == "__main__":
    main()
