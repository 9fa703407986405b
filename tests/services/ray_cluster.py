"""A Ray cluster of several nodes on this machine: real nodes (`ray start`) on loopback, each with its own raylet."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from services.required import skip_or_fail

START_S = 60.0
HOST = "127.0.0.2"  # Ray takes 127.0.0.1 for a wish to use the machine's own address


class RayCluster:
    """The cluster. `address` is its head's, `environment` what those who join it need."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: sockets lie in it
        with socket.socket() as free:
            free.bind((HOST, 0))
            self.address = f"{HOST}:{free.getsockname()[1]}"
        self.environment: Mapping[str, str] = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._nodes: list[subprocess.Popen[bytes]] = []

    def start(self, *, cpus: tuple[int, ...]) -> None:
        """Start a node for each of `cpus`, the first one as the head. Skips the test where Ray is not installed."""
        if shutil.which("ray", path=str(Path(sys.executable).parent)) is None:
            skip_or_fail("Ray is not installed: pip install 'lightning-studies[ray]'")
        self.add_node(cpus[0])
        for n_cpus in cpus[1:]:
            self.add_node(n_cpus)

    def add_node(self, n_cpus: int) -> int:
        """Start one more node and wait until it is up; its number."""
        port = self.address.rpartition(":")[2]
        role = [f"--address={self.address}"] if self._nodes else ["--head", f"--port={port}"]
        role += [] if self._nodes else ["--include-dashboard=false", f"--temp-dir={self._folder}"]
        command = [str(Path(sys.executable).parent / "ray"), "start", "--block", *role, f"--node-ip-address={HOST}"]
        command += [f"--num-cpus={n_cpus}", "--num-gpus=0", "--object-store-memory=80000000", "--disable-usage-stats"]
        number = len(self._nodes)
        log = self._folder / f"node-{number}.out"
        with log.open("wb") as output:
            node = subprocess.Popen(
                command,
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._nodes.append(node)
        deadline = time.monotonic() + START_S
        while "Ray runtime started." not in log.read_text():
            assert node.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        return number

    def kill_node(self, number: int) -> None:
        """End one node with everything that runs on it, as a machine that is switched off."""
        node = self._nodes[number]
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def stop(self) -> None:
        """End all nodes."""
        for node in reversed(self._nodes):
            if node.poll() is None:
                node.send_signal(signal.SIGTERM)
                try:
                    node.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(node.pid, signal.SIGKILL)
                    node.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
