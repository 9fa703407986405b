"""What is Ray's own: options, nodes that are lost, a cluster of one's own. On a real Ray."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from optuna.trial import TrialState
from services.ray_cluster import RayCluster
from shell import PLAIN, TIMEOUT_S, Shell, running, trained, worker_of

from studies.config.settings import StudySettings
from studies.errors import BadInput, Problems
from studies.launch.ray.actor import ActorTask, RayActor
from studies.launch.ray.cluster import Cluster
from studies.launch.ray.options import RayOptions, parse_ray
from studies.process.deadline import Deadline
from studies.secrets.texts import MASK, masked
from studies.storage.slots import read_slots

MakeSettings = Callable[..., StudySettings]


@pytest.fixture
def joining(shell: Shell, ray_cluster: RayCluster) -> Shell:
    """A shell on a machine that belongs to the cluster."""
    shell.environment.update(ray_cluster.environment)
    return shell


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (("+launcher.gpus=1",), "launcher.gpus is not a known key"),
        (("launcher.cpus_per_worker=0",), "launcher.cpus_per_worker is 0: give a number greater than 0"),
        (("launcher.gpus_per_worker=1.5",), "launcher.gpus_per_worker is 1.5: give a whole number, or a fraction"),
        (("launcher.gpus_per_worker=2",), "launcher.gpus_per_worker is 2 but devices_per_trial is 1"),
        (("launcher.gpus_per_worker=1", "launcher.devices_per_trial=2"), "is 1 but devices_per_trial is 2"),
        (("launcher.address=somewhere",), "launcher.address is 'somewhere': give null"),
        (("launcher.address='ray://head:10001'",), "launcher.address is 'ray://head:10001': give null"),
        (("storage.url=memory",), "storage.url is memory but launcher is ray"),
        (("trainer.accelerator=cuda",), "launcher.gpus_per_worker is 0 but trainer.accelerator is cuda: give 1"),
    ],
)
def test_what_is_wrong_with_the_options_is_told(
    make_settings: MakeSettings, overrides: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(BadInput) as caught:
        make_settings("launcher=ray", *overrides, study="plain")
    assert problem in str(caught.value)


def test_the_options_are_read(make_settings: MakeSettings) -> None:
    options = ("launcher.address=head:6379", "launcher.cpus_per_worker=4", "launcher.gpus_per_worker=0.5")
    settings = make_settings("launcher=ray", *options, study="plain")
    assert parse_ray(settings.launcher.options, Problems()) == RayOptions("head:6379", 4.0, 0.5)


@pytest.mark.parametrize(
    ("cpus_per_worker", "gpus_per_worker", "cpus", "gpus", "room"),
    [(1, 0, 8, 0, 8), (3, 0, 8, 0, 2), (1, 1, 8, 2, 2), (4, 0.5, 8, 2, 2), (0.1, 0, 1, 0, 10), (1, 0.3, 16, 1, 3)],
)
def test_a_node_has_room_for_what_its_cpus_and_gpus_allow(
    cpus_per_worker: float, gpus_per_worker: float, cpus: int, gpus: int, room: int
) -> None:
    assert Cluster(RayOptions(None, cpus_per_worker, gpus_per_worker)).room_of(cpus, gpus) == room


def test_an_actor_masks_the_secrets_of_the_command(make_settings: MakeSettings, tmp_path: Path) -> None:
    (no_folder := tmp_path / "file").touch()
    place = {"threads": 1, "gpus": 0.0, "home": "here", "folder": no_folder, "logs": tmp_path}
    task = ActorTask(
        make_settings(study="plain"), Deadline(datetime.now(UTC)), 0, secrets=frozenset({"told-to-actors"}), **place
    )
    with ThreadPoolExecutor(1) as pool:
        assert "cannot work in" in str(pool.submit(lambda: RayActor().run(task)).result())
    assert masked("told-to-actors") == MASK
    assert "told-to-actors" not in repr(task)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_one_problem(shell: Shell) -> None:
    output = shell.run("run", *PLAIN, "launcher=ray", "launcher.address=127.0.0.1:9", code=2)
    assert "launcher.address is 127.0.0.1:9, where no cluster can be joined" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_node_that_is_lost_in_mid_study_loses_nothing(joining: Shell, ray_cluster: RayCluster) -> None:
    extra = ray_cluster.add_node(2)
    arguments = ("launcher=ray", f"launcher.address={ray_cluster.address}", "workers=4", "n_trials=40")
    process = joining.start("run", *PLAIN, *arguments, "model.sleep_s=0.2")
    trials = joining.wait_for("plain", lambda trials: len({worker_of(t) for t in running(trials)}) == 4)
    before = {worker_of(trial) for trial in running(trials)}
    ray_cluster.kill_node(extra)
    ray_cluster.add_node(2)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    trials = joining.trials("plain")
    assert [slot.last.state for slot in read_slots(trials, 40)] == [TrialState.COMPLETE] * 40
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) == 40
    lost = [trial for trial in trained(trials) if trial.state == TrialState.FAIL]
    assert len(lost) == 2
    assert len({worker_of(trial) for trial in trained(trials)} - before) == 2
    assert len(re.findall("a new one takes its place", output)) == 2


@pytest.mark.slow
def test_a_cluster_of_its_own_takes_a_worker_a_core_and_leaves_nothing_behind(shell: Shell) -> None:
    assert re.search(r"8 trials on \d+ workers", shell.run("check", *PLAIN, "launcher=ray", "n_trials=8"))
    shell.environment["CUDA_VISIBLE_DEVICES"] = "0"
    noting = ("model._target_=user_ranks.NotesItsDevice", f"+model.notes={shell.folder}/seen")
    output = shell.run("run", *PLAIN, "launcher=ray", "n_trials=8", "workers=40", *noting)
    assert (shell.folder / "seen").read_text() == " False"  # they asked for no GPU
    assert re.search(r"note: the cluster has room for \d+ of 8 workers; the others wait for theirs", output)
    assert "8 of 8 trials finished" in output
    assert "(raylet)" not in output
    assert "docs.ray.io" not in output
    trials = shell.trials("plain")
    assert [slot.last.state for slot in read_slots(trials, 8)] == [TrialState.COMPLETE] * 8
    wait_until_gone({worker_of(trial) for trial in trials if trial.state == TrialState.COMPLETE})


@pytest.mark.slow
def test_actors_end_when_their_command_is_killed_and_the_same_command_goes_on(
    joining: Shell, ray_cluster: RayCluster
) -> None:
    arguments = (*PLAIN, "launcher=ray", f"launcher.address={ray_cluster.address}", "n_trials=8", "model.sleep_s=0.1")
    process = joining.start("run", *arguments)
    workers = {worker_of(t) for t in running(joining.wait_for("plain", lambda trials: bool(running(trials))))}
    process.kill()
    process.wait()
    wait_until_gone(workers)
    assert "8 of 8 trials finished" in joining.run("run", *arguments)
    assert sum(trial.state == TrialState.COMPLETE for trial in joining.trials("plain")) == 8


@pytest.mark.slow
def test_sigterm_to_an_actor_frees_its_trial_and_a_new_one_takes_its_place(
    joining: Shell, ray_cluster: RayCluster
) -> None:
    address = f"launcher.address={ray_cluster.address}"
    process = joining.start("run", *PLAIN, "launcher=ray", address, "workers=1", "n_trials=6", "model.sleep_s=0.1")
    victim = worker_of(running(joining.wait_for("plain", lambda trials: bool(running(trials))))[0])
    os.kill(victim, signal.SIGTERM)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    freed = [trial for trial in joining.trials("plain") if trial.state == TrialState.FAIL]
    assert [trial.user_attrs["failure_message"] for trial in freed] == ["interrupted (SIGTERM)"]
    assert sum(trial.state == TrialState.COMPLETE for trial in joining.trials("plain")) == 6


def wait_until_gone(workers: set[int]) -> None:
    deadline = time.monotonic() + 60
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "actors outlive the command that asked for them"
        time.sleep(0.2)


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
