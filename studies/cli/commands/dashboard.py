"""`studies.dashboard`: serve optuna-dashboard, on the wanted port or the next free one."""

from __future__ import annotations

import socket
import threading

import optuna_dashboard
from omegaconf import DictConfig

from studies.cli.validation import existing_storage, section_of
from studies.errors import BadInput, Problem, Problems
from studies.process.signals import StopSignals
from studies.schema import searched_study

N_PORTS = 50  # that are tried


def serve(config: DictConfig) -> int:
    """Serve the studies of the storage of `config` until Ctrl-C. Return the exit code.

    The server has a thread of its own. In the main thread it would take a Ctrl-C for the failure of an answer.
    """
    storage = existing_storage(config)
    signals = StopSignals().install()
    host, wanted = _address_of(config)
    port = _free_port(host, wanted)
    studies = storage.get_all_studies()
    n_rounds = sum(searched_study(study.user_attrs) is not None for study in studies)
    rounds = f" and {n_rounds} rounds of selections" if n_rounds else ""
    n_studies = len(studies) - n_rounds
    print(f"optuna-dashboard: http://{host}:{port}/  ({n_studies} studies{rounds}; Ctrl-C ends it)", flush=True)
    server = threading.Thread(target=lambda: optuna_dashboard.run_server(storage, host=host, port=port), daemon=True)
    server.start()
    while server.is_alive() and not signals.wait(0.5):
        pass
    return 0 if signals.reason() is not None else 1


def _address_of(config: DictConfig) -> tuple[str, int]:
    """Return the wanted host and port. Raises `BadInput`."""
    problems = Problems()
    section = section_of(config.dashboard, "dashboard", problems)
    section.only(("host", "port"))
    host, port = section.text("host", default="127.0.0.1"), section.whole("port", low=1, high=2**16 - 1, default=8080)
    problems.raise_if_any()
    return host, port


def _free_port(host: str, wanted: int) -> int:
    """Return the first free port from `wanted` on. Raises `BadInput` if there is none."""
    for port in range(wanted, min(wanted + N_PORTS, 2**16)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    complaint = f"is {wanted}, and the {N_PORTS} ports from there on are not free on {host}"
    raise BadInput([Problem("dashboard.port", complaint, "give another")])
