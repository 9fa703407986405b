"""Workers and devices, on machines that are only told of."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from studies.config.settings import StudySettings
from studies.launch.local.device_slots import DeviceRequest, device_slots, slot_notes, slot_problems
from studies.launch.local.options import device_request
from studies.launch.torch_devices import visible_gpus

MakeSettings = Callable[..., StudySettings]
MakeRequest = Callable[..., DeviceRequest]
FOUR = ["0", "1", "2", "3"]


@pytest.fixture
def digits(make_settings: MakeSettings) -> MakeRequest:
    return lambda *overrides: device_request(make_settings("n_trials=100", *overrides))


@pytest.mark.parametrize(
    ("overrides", "n_cores", "gpus", "devices", "threads"),
    [
        ((), 16, [], [()] * 16, 1),
        (("workers=4",), 16, [], [()] * 4, 4),
        (("n_trials=3",), 16, [], [()] * 3, 5),
        ((), 16, FOUR, [("0",), ("1",), ("2",), ("3",)], 4),
        (("workers=2",), 16, FOUR, [("0",), ("1",)], 8),
        (("launcher.slots_per_device=2",), 16, FOUR[:2], [("0",), ("1",), ("0",), ("1",)], 4),
        (("launcher.slots_per_device=3", "workers=2"), 16, FOUR[:2], [("0",), ("1",)], 8),
        (("launcher.devices_per_trial=2",), 16, FOUR, [("0", "1"), ("2", "3")], 8),
        (("launcher.devices_per_trial=2",), 16, FOUR[:3], [("0", "1")], 16),
        (("launcher.devices_per_trial=2", "workers=3"), 16, FOUR, [("0", "1"), ("2", "3"), ("0", "1")], 5),
        (("launcher.devices_per_trial=4",), 16, [], [()] * 4, 4),
        (("launcher.devices_per_trial=4",), 2, [], [()], 2),
        (("trainer.accelerator=cpu",), 8, FOUR, [()] * 8, 1),
        (("workers=2", "launcher.threads_per_worker=3"), 16, FOUR, [("0",), ("1",)], 3),
        ((), 8, ["GPU-5ebe9d", "MIG-7a"], [("GPU-5ebe9d",), ("MIG-7a",)], 4),
    ],
)
def test_workers_are_spread_over_slots(
    digits: MakeRequest,
    overrides: tuple[str, ...],
    n_cores: int,
    gpus: list[str],
    devices: list[tuple[str, ...]],
    threads: int,
) -> None:
    found = device_slots(digits(*overrides), n_cores=n_cores, gpus=gpus)
    assert [slot.devices for slot in found] == devices
    assert [slot.worker for slot in found] == list(range(len(devices)))
    assert {slot.threads for slot in found} == {threads}


def test_a_slot_is_told_in_words(digits: MakeRequest) -> None:
    def told(*overrides: str, gpus: list[str]) -> str:
        return str(device_slots(digits(*overrides), n_cores=4, gpus=gpus)[0])

    assert told(gpus=[]) == "worker 0: CPU, 1 thread"
    assert told(gpus=["2"]) == "worker 0: GPU 2, 4 threads"
    assert told("launcher.devices_per_trial=2", gpus=FOUR) == "worker 0: GPUs 0, 1, 2 threads, 2 processes a trial"


@pytest.mark.parametrize(
    ("overrides", "n_cores", "gpus", "note"),
    [
        (("launcher.devices_per_trial=2",), 4, FOUR, "a step takes 2 × its batch size"),
        (("launcher.devices_per_trial=2",), 4, FOUR[:3], "GPU 2 stays idle"),
        (("workers=6",), 8, FOUR, "6 workers share 4 slots"),
        (("launcher.slots_per_device=2",), 4, [], "does nothing on a CPU"),
        (("workers=3", "launcher.devices_per_trial=2"), 4, [], "6 training processes share 4 cores"),
    ],
)
def test_what_may_surprise_is_noted(
    digits: MakeRequest, overrides: tuple[str, ...], n_cores: int, gpus: list[str], note: str
) -> None:
    notes = slot_notes(digits(*overrides), n_cores=n_cores, gpus=gpus)
    assert any(note in told for told in notes), notes


def test_nothing_is_noted_where_nothing_surprises(digits: MakeRequest) -> None:
    for overrides, gpus in (((), FOUR), ((), []), (("launcher.slots_per_device=2",), FOUR)):
        assert slot_notes(digits(*overrides), n_cores=4, gpus=gpus) == []


@pytest.mark.parametrize(
    ("n", "gpus", "complaint"),
    [(8, FOUR, "is 8 but this machine shows 4 GPUs (0, 1, 2, 3)"), (2, ["MIG-1", "MIG-2"], "one MIG instance only")],
)
def test_more_devices_a_trial_than_there_are_is_one_clear_problem(
    digits: MakeRequest, n: int, gpus: list[str], complaint: str
) -> None:
    (problem,) = slot_problems(digits(f"launcher.devices_per_trial={n}"), gpus=gpus)
    assert problem.key == "launcher.devices_per_trial"
    assert complaint in problem.complaint
    assert slot_problems(digits(f"launcher.devices_per_trial={n}", "trainer.accelerator=cpu"), gpus=gpus) == []
    assert slot_problems(digits(f"launcher.devices_per_trial={n}"), gpus=[]) == []


@pytest.mark.parametrize(("n_workers", "is_refused"), [("auto", False), (2, False), (3, True)])
def test_groups_of_gpus_are_not_shared(digits: MakeRequest, n_workers: int | str, is_refused: bool) -> None:
    request = digits("launcher.devices_per_trial=2", f"workers={n_workers}")
    told = [str(problem) for problem in slot_problems(request, gpus=FOUR)]
    expected = "workers is 3 but 4 GPUs have room for 2 trials on 2 each: give auto or 2"
    assert [line.partition(": groups")[0] for line in told] == ([expected] if is_refused else [])


@pytest.mark.parametrize(
    ("listed", "n_found", "names"),
    [
        (None, 3, ["0", "1", "2"]),
        (None, 0, []),
        ("2,3", 2, ["2", "3"]),
        (" 3 , 1", 2, ["3", "1"]),
        ("", 0, []),
        ("-1", 0, []),
        ("0,1,-1,2", 2, ["0", "1"]),
        ("GPU-8932f937-d72c,GPU-1", 2, ["GPU-8932f937-d72c", "GPU-1"]),
        ("MIG-aa,MIG-bb,MIG-cc", 1, ["MIG-aa", "MIG-bb", "MIG-cc"]),
        ("MIG-aa", 0, []),
    ],
)
def test_the_users_own_choice_of_gpus_is_respected(listed: str | None, n_found: int, names: list[str]) -> None:
    assert visible_gpus(listed, n_found) == names


WORKER = """
import multiprocessing, os, sys
from pathlib import Path
import numpy, torch
from threadpoolctl import threadpool_info
from studies.errors import StudyError
from studies.launch.torch_devices import limit_threads, use_devices

spoilt = sys.argv[1] == "spoilt"
torch.cuda.is_initialized = lambda: spoilt
try:
    use_devices(("5", "6"))
except StudyError as error:
    sys.exit(str(error))
limit_threads(1)
assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,6"
assert os.environ["OMP_NUM_THREADS"] == "1"
assert torch.get_num_threads() == 1
assert {pool["num_threads"] for pool in threadpool_info()} == {1}, threadpool_info()
"""


def test_a_worker_sees_its_devices_only_and_one_pool_of_threads() -> None:
    many = {f"{name}_NUM_THREADS": "4" for name in ("OMP", "MKL", "OPENBLAS")}
    command = [sys.executable, "-c", WORKER, "clean"]
    done = subprocess.run(command, env={**os.environ, **many}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_worker_refuses_to_choose_its_device_after_cuda_has_chosen() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER, "spoilt"], capture_output=True, text=True, check=False)
    assert "CUDA was initialised before" in done.stderr


def test_the_first_that_a_workers_module_sees_is_its_device(make_settings: MakeSettings, tmp_path: Path) -> None:
    """In a process of the fork server, as the launcher starts it; the place is kept with the trial."""
    from studies import schema
    from studies.launch.local.device_slots import DeviceSlot
    from studies.launch.worker_process import run_worker
    from studies.process.shift import Shift
    from studies.storage.creation import open_study
    from studies.storage.opening import open_storage

    target = "model._target_=user_ranks.NotesItsDevice"
    settings = make_settings(target, f"+model.notes={tmp_path}/seen", "n_trials=1", "budget.amount=1", study="plain")
    study = open_study(settings, open_storage(settings.storage.address))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["studies.launch.processes.preload"])
    _, theirs = context.Pipe(duplex=False)
    slot = DeviceSlot(0, ("GPU-7",), 1)
    arguments = (settings, slot, Shift(datetime.now(), None), tmp_path / "worker.log", theirs)
    process = context.Process(target=run_worker, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert (tmp_path / "seen").read_text() == "GPU-7 False"
    (trial,) = study.get_trials()
    assert trial.user_attrs[schema.DEVICE_SLOT] == "worker 0: GPU GPU-7, 1 thread"
