"""`python -m studies.dashboard [dashboard.port=N]`: optuna-dashboard on the storage.

On this machine only, unless `dashboard.host` says otherwise.
"""

from __future__ import annotations

import socket
import threading

from omegaconf import DictConfig, OmegaConf

from studies.cli.command import command
from studies.config.parsing.section import ConfigSection
from studies.errors import BadInput, Problem, Problems


def dashboard(config: DictConfig) -> int:
    """Serve until Ctrl-C. The next free port is taken where the wanted one is in use.

    In a thread of its own: a Ctrl-C that comes while the server answers would be taken for that answer's failure.
    """
    import optuna_dashboard

    from studies.cli.validation import existing_storage
    from studies.process.signals import StopSignals
    from studies.schema import searched_study

    storage = existing_storage(config)
    signals = StopSignals().install()
    host, wanted = place_of(config)
    port = free_port(host, wanted)
    studies = storage.get_all_studies()
    n_rounds = sum(searched_study(study.user_attrs) is not None for study in studies)
    rounds = f" and {n_rounds} rounds of selections" if n_rounds else ""
    n_studies = len(studies) - n_rounds
    print(f"optuna-dashboard: http://{host}:{port}/  ({n_studies} studies{rounds}; Ctrl-C ends it)", flush=True)
    serve = threading.Thread(target=lambda: optuna_dashboard.run_server(storage, host=host, port=port), daemon=True)
    serve.start()
    while serve.is_alive() and not signals.wait(0.5):
        pass
    return 0 if signals.reason() is not None else 1


def place_of(config: DictConfig) -> tuple[str, int]:
    """The host and the port that `config` asks for. Raises `BadInput` where they are none."""
    problems = Problems()
    node = config.dashboard
    values = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    section = ConfigSection(values, prefix="dashboard", problems=problems)
    section.only(("host", "port"))
    host, port = section.text("host", default="127.0.0.1"), section.whole("port", low=1, high=2**16 - 1, default=8080)
    problems.raise_if_any()
    return host, port


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
