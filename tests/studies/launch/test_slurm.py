"""What is SLURM's own: options, secrets, tasks that come back, tasks that somebody cancels. On a real SLURM."""

from __future__ import annotations

import os
import pickle
import platform
import re
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from services.slurm import SlurmCluster
from shell import PLAIN, TIMEOUT_S, Shell, running, trained

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import BadInput, Problems, StudyError
from studies.launch.context import LaunchContext
from studies.launch.remote import is_file, refuse_file_of_another_machine, refuse_missing_address, storage_notes
from studies.launch.slurm.launcher import SlurmLauncher
from studies.launch.slurm.options import parse_slurm
from studies.launch.slurm.task import SlurmTask, _trials_of, hide_gpus_of_others
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.storage.opening import open_existing
from studies.storage.slots import read_slots

MakeSettings = Callable[..., StudySettings]
TASKS = (*PLAIN, "launcher=slurm", "workers=2")


@pytest.fixture
def submitting(shell: Shell, slurm: SlurmCluster) -> Shell:
    """A shell on a machine that submits jobs."""
    shell.environment.update(slurm.environment)
    return shell


def problems_of(make_settings: MakeSettings, *overrides: str) -> str:
    with pytest.raises(BadInput) as caught:
        make_settings("launcher=slurm", *overrides, study="plain")
    return str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ((), "workers is auto but launcher is slurm: give the number of tasks"),
        (
            ("workers=2", "+launcher.gpu_per_task=1"),
            "launcher.gpu_per_task is not a known key: did you mean gpus_per_task?",
        ),
        (("workers=2", "launcher.cpus_per_task=0"), "launcher.cpus_per_task is 0: give a whole number of at least 1"),
        (("workers=2", "launcher.timeout_min=1"), "launcher.grace_s is 90, which leaves nothing of 1 minutes"),
        (
            ("workers=2", "launcher.setup=module load cuda"),
            "launcher.setup is 'module load cuda': give a list of lines",
        ),
        (
            ("workers=2", "+launcher.additional_parameters.cpus_per_task=3"),
            "launcher.additional_parameters.cpus-per-task is 3: use launcher.cpus_per_task",
        ),
        (
            ("workers=2", "storage.url=postgresql://me:hunter2@db/studies"),
            "storage.url holds a password, which would be written into the jobs' files: export the URL in an environ",
        ),
        (("workers=2", "launcher.gpus_per_task=2"), "launcher.gpus_per_task is 2 but devices_per_trial is 1"),
        (("workers=2", "storage.url=memory"), "storage.url is memory but launcher is slurm"),
        (
            ("workers=2", "trainer.accelerator=gpu"),
            "launcher.gpus_per_task is 0 but trainer.accelerator is gpu: give 1",
        ),
        (("workers=2", "trainer.devices=[1]"), "trainer.devices is [1] but launcher is slurm: give 1"),
    ],
)
def test_what_is_wrong_with_the_options_is_told(
    make_settings: MakeSettings, overrides: tuple[str, ...], problem: str
) -> None:
    told = problems_of(make_settings, *overrides)
    assert problem in told
    assert "hunter2" not in told


def test_sbatch_gets_the_options_and_further_parameters(make_settings: MakeSettings) -> None:
    more = (
        "launcher.partition=gpu",
        "launcher.gpus_per_task=2",
        "launcher.devices_per_trial=2",
        "+launcher.additional_parameters.account=lab",
    )
    settings = make_settings("launcher=slurm", "workers=2", *more, study="plain")
    options = parse_slurm(settings.launcher.options, Problems())
    assert (options.partition, options.gpus_per_task, options.timeout_min) == ("gpu", 2, 60)
    assert options.additional_parameters == {"account": "lab"}


@pytest.mark.parametrize(
    ("override", "brings_gpus"),
    [
        ("+launcher.additional_parameters.gres='gpu:a100:1'", True),
        ("+launcher.additional_parameters.tres_per_task='gres/gpu:1'", True),
        ("+launcher.additional_parameters.gpus_per_socket=1", True),
        ("launcher.setup=['export CUDA_VISIBLE_DEVICES=0']", True),
        ("+launcher.additional_parameters.gres='scratch:10'", False),
        ("+launcher.additional_parameters.qos=gpu", False),
    ],
)
def test_gpus_may_be_asked_for_in_other_ways(make_settings: MakeSettings, override: str, brings_gpus: bool) -> None:
    asked = ("workers=2", "trainer.accelerator=gpu", override)
    if brings_gpus:
        make_settings("launcher=slurm", *asked, study="plain")
    else:
        assert "launcher.gpus_per_task is 0 but trainer.accelerator is gpu" in problems_of(make_settings, *asked)


def test_a_task_is_told_of_the_gpus_it_asked_for(make_settings: MakeSettings, tmp_path: Path) -> None:
    for asked in (0, 1):
        gpus = f"launcher.gpus_per_task={asked}"
        settings = make_settings("launcher=slurm", "workers=2", gpus, study="plain")
        launcher = SlurmLauncher(LaunchContext(settings, StopSignals(), print))
        assert launcher._task(0, Deadline(datetime.now())).gpus == asked


@pytest.mark.slow
def test_the_module_of_a_task_that_asked_for_no_gpu_sees_none(submitting: Shell) -> None:
    noting = ("model._target_=user_ranks.NotesItsDevice", f"+model.notes={submitting.folder}/seen", "n_trials=1")
    submitting.run("run", *TASKS, "workers=1", *noting)
    assert (submitting.folder / "seen").read_text() == " False"


def test_a_task_has_no_time_to_wait_for_the_storage(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is called off during an outage comes back."""
    monkeypatch.setenv("STUDIES_STORAGE_URL", "postgresql://127.0.0.1:9/studies")
    by_name = ("storage.url=null", "storage.url_env=STUDIES_STORAGE_URL")
    settings = make_settings("launcher=slurm", "workers=2", *by_name, study="plain")
    assert _trials_of(settings.storage, "plain") is None


@pytest.mark.parametrize(("asked", "named", "seen"), [(0, None, ""), (0, "1", "1"), (1, "2,3", "2,3"), (1, None, None)])
def test_a_task_sees_no_gpu_that_it_did_not_ask_for(
    monkeypatch: pytest.MonkeyPatch, asked: int, named: str | None, seen: str | None
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named or "")
    if named is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    hide_gpus_of_others(asked)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == seen


def test_a_task_carries_the_name_of_the_variable_and_not_the_address(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIES_STORAGE_URL", "postgresql://me:hunter2@db/studies")
    by_name = ("storage.url=null", "storage.url_env=STUDIES_STORAGE_URL")
    settings = make_settings("launcher=slurm", "workers=2", *by_name, study="plain")
    written = pickle.dumps(SlurmTask(settings, Deadline(datetime.now()), 0, 1, 0, "here", tmp_path / "called-off"))
    assert b"STUDIES_STORAGE_URL" in written
    assert b"hunter2" not in written
    monkeypatch.delenv("STUDIES_STORAGE_URL")
    with pytest.raises(StudyError, match=r"storage\.url_env is STUDIES_STORAGE_URL, which is not set on"):
        refuse_missing_address(settings.storage)


def test_a_file_is_refused_on_another_machine_than_the_commands(make_settings: MakeSettings) -> None:
    settings = make_settings("launcher=slurm", "workers=2", study="plain")
    assert "note: the storage is a file" in storage_notes(settings.storage.address)[0]
    refuse_file_of_another_machine(settings.storage.address, home=platform.node())
    with pytest.raises(StudyError, match="cannot safely share the storage, a file that login1 has open"):
        refuse_file_of_another_machine(settings.storage.address, home="login1")
    assert not is_file("postgresql+psycopg://db/studies")


@pytest.mark.slow
def test_a_partition_that_does_not_exist_ends_in_slurms_own_words(submitting: Shell) -> None:
    output = submitting.run("run", *TASKS, "launcher.partition=nonsense", code=1)
    assert "error: SLURM refuses the job: " in output
    assert "invalid partition specified: nonsense" in output
    assert "Traceback" not in output


def test_without_slurm_the_command_says_so(shell: Shell) -> None:
    shell.environment["PATH"] = ""
    output = shell.run("run", *TASKS, code=2)
    assert "launcher.name is slurm, and this machine has no sbatch, srun, squeue, scancel" in output


@pytest.mark.slow
def test_a_task_that_is_asked_to_end_frees_its_trial_and_comes_back_without_the_command(
    submitting: Shell, slurm: SlurmCluster
) -> None:
    """The storage's address comes by the environment, and lies in none of the files."""
    address = f"sqlite:///{submitting.folder}/outputs/studies.db?timeout=119"
    submitting.environment["STUDIES_STORAGE_URL"] = address
    by_name = ("storage.url=null", "storage.url_env=STUDIES_STORAGE_URL")
    process = submitting.start("run", *TASKS, *by_name, "workers=1", "n_trials=6", "model.sleep_s=0.1")
    before = running(submitting.wait_for("plain", lambda trials: bool(running(trials))))
    process.kill()
    process.wait()
    (folder,) = (submitting.folder / "outputs/plain/slurm").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert not [path for path in folder.iterdir() if path.is_file() and b"timeout=119" in path.read_bytes()]
    (task,) = slurm.jobs()
    slurm.run("scancel", "--signal=USR2", task.split()[0])
    deadline = time.monotonic() + TIMEOUT_S
    while slurm.jobs() and time.monotonic() < deadline:
        time.sleep(0.5)
    trials = submitting.trials("plain")
    assert trials[before[0].number].user_attrs[schema.FAILURE_MESSAGE] == "interrupted (SIGUSR2)"
    assert [slot.last.state for slot in read_slots(trials, 6)] == [TrialState.COMPLETE] * 6
    assert len({trial.user_attrs[schema.WORKER] for trial in trained(trials)}) == 2
    (log,) = (submitting.folder / "outputs/plain/logs").glob("slurm-*/worker-0.log")
    assert "this task goes back into the queue" in log.read_text()


@pytest.mark.slow
def test_a_task_at_its_time_limit_comes_back(submitting: Shell) -> None:
    limits = ("launcher.timeout_min=1", "launcher.grace_s=10")
    output = submitting.run("run", *TASKS, *limits, "workers=1", "n_trials=30", "model.sleep_s=0.1")
    assert "30 of 30 trials finished" in output
    assert "died" not in output
    trials = submitting.trials("plain")
    assert len({trial.user_attrs[schema.WORKER] for trial in trials}) >= 2
    freed = [t for t in trials if t.state == TrialState.FAIL]
    assert freed
    assert {t.user_attrs[schema.FAILURE_MESSAGE] for t in freed} == {"interrupted (SIGUSR2)"}


@pytest.mark.slow
def test_a_pre_empted_task_comes_back_once_there_is_room(submitting: Shell, slurm: SlurmCluster) -> None:
    process = submitting.start("run", *TASKS, "launcher.partition=main", "n_trials=16", "model.sleep_s=0.1")
    submitting.wait_for("plain", lambda trials: bool(running(trials)))
    urgent = ("srun", "--partition=urgent", "--ntasks=1", "--cpus-per-task=4", "sleep", "5")
    environment = {**os.environ, **slurm.environment}
    subprocess.run(urgent, env=environment, check=True, timeout=120, capture_output=True)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    trials = submitting.trials("plain")
    assert [slot.last.state for slot in read_slots(trials, 16)] == [TrialState.COMPLETE] * 16
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) == 16
    assert [trial for trial in trials if trial.state == TrialState.FAIL]


@pytest.mark.slow
def test_tasks_that_somebody_cancels_are_not_replaced(submitting: Shell, slurm: SlurmCluster) -> None:
    process = submitting.start("run", *TASKS, "n_trials=50", "model.sleep_s=0.1")
    submitting.wait_for("plain", lambda trials: bool(running(trials)))
    for job in {task.split("_")[0] for task in slurm.jobs()}:
        slurm.run("scancel", job)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1, output
    assert re.search(r"worker 0 was called off \(SLURM job \d+_0: cancelled; see .*worker-0.log\)", output)
    assert "error: every worker was called off before the study was finished" in output
    trials = submitting.trials("plain")
    assert not [trial for trial in trials if trial.state == TrialState.RUNNING]


@pytest.mark.slow
def test_tasks_that_die_before_they_begin_stop_the_study(submitting: Shell) -> None:
    output = submitting.run("run", *TASKS, "launcher.setup=[exit 3]", "max_failures=2", code=1)
    died = r"error: workers died 3 times without beginning a trial \(last SLURM job \S+: failed; see \S+log.err\)"
    assert re.search(died, output)


@pytest.mark.slow
def test_check_counts_the_tasks_and_tasks_in_the_queue_are_cancelled_when_the_study_is_done(
    submitting: Shell, slurm: SlurmCluster
) -> None:
    many = ("workers=4", "launcher.array_parallelism=1", "n_trials=4")
    assert "4 trials on 4 workers" in submitting.run("check", *TASKS, *many)
    output = submitting.run("run", *TASKS, *many)
    assert "4 of 4 trials finished" in output
    assert slurm.jobs() == []
    assert len(list((submitting.folder / "outputs/plain/logs").glob("slurm-*/worker-*.log"))) == 1


@pytest.mark.slow
def test_sigterm_of_the_command_cancels_the_job(submitting: Shell, slurm: SlurmCluster) -> None:
    process = submitting.start("run", *TASKS, "n_trials=50", "model.sleep_s=0.1")
    submitting.wait_for("plain", lambda trials: bool(running(trials)))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert slurm.jobs() == []
    assert not list((submitting.folder / "outputs/plain/slurm").rglob("*.pkl"))


@pytest.mark.slow
def test_a_task_that_began_no_trial_does_not_come_back_by_itself(submitting: Shell, slurm: SlurmCluster) -> None:
    """It waits for the trial of a worker elsewhere, and is replaced by the command, which counts such tasks."""
    submitting.run("run", *PLAIN, "n_trials=1", "launcher=serial")
    storage = open_existing(f"sqlite:///{submitting.folder}/outputs/studies.db")
    study = optuna.load_study(study_name="plain", storage=storage)
    foreign = study.ask({"lr": FloatDistribution(1e-3, 1e-1, log=True)})
    foreign.set_user_attr(schema.WORKER, "another:0:1")
    process = submitting.start("run", *TASKS, "n_trials=2", "workers=1")
    log = submitting.wait_for_log("plain", "slurm-*/worker-0.log", "process")
    (task,) = slurm.jobs()
    slurm.run("scancel", "--signal=USR2", task.split()[0])
    submitting.wait_for_log("plain", "slurm-*/worker-0.log", "this task does not come back by itself")
    study.tell(foreign, 1e6)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    assert re.search(r"worker 0 died \(SLURM job \d+: failed; see .*worker-0.log\); a new one takes its place", output)
    assert "goes back into the queue" not in log.read_text()
