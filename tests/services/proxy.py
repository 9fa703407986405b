"""Optuna's gRPC proxy before a storage, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import pytest
from services.server import START_S, free_port

SERVE = """
import sys
from optuna.storages import run_grpc_proxy_server
from studies.storage.opening import open_storage
run_grpc_proxy_server(open_storage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
"""


class Proxy:
    """Serves the storage at `url`; a context manager. `port` stays the same over its restarts."""

    def __init__(self, url: str) -> None:
        pytest.importorskip("grpc", reason="pip install 'lightning-studies[grpc]'")
        self.port = free_port()
        self._command = [sys.executable, "-c", SERVE, url, str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the proxy and wait until it answers."""
        from studies.errors import BadInput
        from studies.storage.opening import open_storage

        self._process = subprocess.Popen(self._command)
        deadline = time.monotonic() + START_S
        while True:
            try:
                open_storage(self.url).get_all_studies()
                return
            except BadInput:
                assert self._process.poll() is None
                assert time.monotonic() < deadline

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
