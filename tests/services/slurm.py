"""A SLURM cluster of one node on this machine: its own munged, slurmctld and slurmd, on loopback ports."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from services.required import skip_or_fail

DAEMONS = {"munged": "munge", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "srun": "slurm-wlm"}  # Debian's packages
START_S = 30.0
# The lines that make SLURM 22.05 run with both daemons on one host, more CPUs than it has, and without accounting.
# A requeued job may start again once its old credential has expired: after 2 minutes, or cred_expire, at least 5 s.
CONFIG = """
ClusterName=studies
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=10
MinJobAge=300
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 NodeHostname={host} CPUs=4 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=9
"""
GRES = "NodeName={host} Name=gpu File=/dev/tty[0-1]\n"  # any two device files stand for GPUs that nobody opens


class SlurmCluster:
    """The cluster. `environment` is what its clients need: SLURM_CONF."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "slurm.conf"
        self.environment: Mapping[str, str] = {"SLURM_CONF": str(self.config)}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the three daemons and wait until a job can run. Skips the test where something is missing."""
        missing = {package for daemon, package in DAEMONS.items() if _find(daemon) is None}
        if missing:
            skip_or_fail(f"SLURM needs Debian's {' and '.join(sorted(missing))}")
        if os.geteuid() != 0:
            skip_or_fail("slurmd and munged are started as root")
        host = socket.gethostname().partition(".")[0]
        control_port, node_port = _free_ports(2)
        text = CONFIG.format(host=host, folder=self.folder, control_port=control_port, node_port=node_port)
        self.config.write_text(text)
        (self.folder / "gres.conf").write_text(GRES.format(host=host))
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        self._start_munged()
        self._start("slurmctld", "-D", "-f", str(self.config))
        self._wait_until("slurmctld answers", lambda: self.run("scontrol", "ping", check=False).endswith("is UP\n"))
        self._start("slurmd", "-D", "-N", host, "-f", str(self.config))
        self._wait_until("the node is idle", lambda: "idle" in self.run("sinfo", "-h", "-o", "%T", check=False))

    def run(self, *command: str, check: bool = True) -> str:
        """The output of one of SLURM's commands."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self) -> list[str]:
        """The tasks that wait or run, each with its state."""
        return self.run("squeue", "-h", "-r", "-o", "%i %T").splitlines()

    def stop(self) -> None:
        """Cancel what is left and end the daemons."""
        if len(self._processes) > 1:
            self.run("scancel", "--user=root", check=False)
            deadline = time.monotonic() + 15
            while self.run("squeue", "-h", check=False) and time.monotonic() < deadline:
                time.sleep(0.2)
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self._processes):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start_munged(self) -> None:
        """munged refuses to run as root and wants folders that nobody else can write."""
        user = pwd.getpwnam("munge")
        home = self.folder / "munge"
        home.mkdir(mode=0o755)
        key = home / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        for path in (home, key):
            os.chown(path, user.pw_uid, user.pw_gid)
        arguments = [f"--key-file={key}", f"--socket={home}/munge.socket", f"--pid-file={home}/munged.pid"]
        arguments += [f"--log-file={home}/munged.log", f"--seed-file={home}/munge.seed", "--num-threads=2"]
        self._start("munged", "--foreground", "--force", *arguments, user="munge")
        self._wait_until("munged listens", (home / "munge.socket").exists)

    def _start(self, name: str, *arguments: str, user: str | None = None) -> None:
        program = _find(name)
        assert program is not None
        with (self.folder / f"{name}.out").open("wb") as output:
            process = subprocess.Popen(
                [program, *arguments],
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                group=user,
                extra_groups=[] if user is not None else None,
                start_new_session=True,
            )
        self._processes.append(process)

    def _wait_until(self, what: str, condition: object) -> None:
        assert callable(condition)
        deadline = time.monotonic() + START_S
        while not condition():
            ended = [process.args for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                told = "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.out")))
                raise AssertionError(f"waited for: {what}; ended: {ended}\n{told}")
            time.sleep(0.1)


def _find(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
