"""What a module sets for its whole process reaches no later trial of the same worker."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from optuna.trial import FixedTrial, TrialState
from selections import MakeSettings
from trainings import run as run_here

from studies import schema
from studies.trial.job import quieten_lightning
from studies.trial.objective import run_trial
from studies.trial.outcome import Outcome
from studies.trial.process_state.setting import ProcessSetting
from studies.trial.process_state.state import SETTINGS, ProcessState, import_targets, kept
from studies.trial.training import never

PUT_BACK = {
    "dtype": "torch's default dtype",
    "no_grad": "whether gradients are taken",
    "deterministic": "torch's deterministic algorithms",
    "anomaly": "torch's detection of anomalies",
    "threads": "the numbers of threads",
    "folder": "the working folder",
    "environment": "the environment",
    "umask": "the umask",
    "path": "sys.path",
    "print": "builtins",
    "modules": "sys.modules",
    "recursion": "the recursion limit",
    "stdout": "the standard streams",
    "closed_stderr": "the standard streams",
    "fast_path": "the fast path of attention",
    "mkldnn": "torch's mkldnn",
    "tf32": "how torch rounds on GPUs",
    "half_sums": "how torch rounds on GPUs",
    "warn_always": "whether torch repeats warnings",
    "temporary": "the folder of temporary files",
    "hook": "hooks of all modules",
    "hook_before": "hooks of all modules",
    "swap": "how modules are converted",
    "safe_globals": "the types that torch.load trusts",
    "buffer": "the size of numpy's buffer",
    "dlopen": "how libraries are loaded",
    "stacks": "the size of threads' stacks",
    "finders": "sys.meta_path",
    "signal": "the handlers of signals",
    "alarm": "timers",
    "warnings": "the filters of warnings",
    "loggers": "loggers and their handlers",
    "logging": "loggers and their handlers",
    "decimal": "the context of decimal",
    "numpy": "numpy's handling of errors",
}
RESET_BY_LIGHTNING = (
    *(("no_grad", "batch"), ("no_grad", "built"), ("deterministic", "built"), ("anomaly", "batch")),
    ("signal", "batch"),
)
STUCK = {
    "random": "random.random",
    "linear": "torch.nn.modules.linear.Linear.forward",
    "mse": "torch.nn.functional.mse_loss",
    "trainer": "pytorch_lightning.trainer.trainer.Trainer.save_checkpoint",
    "own_class": "user_state.Leaves.calls",
}


def run(make_settings: MakeSettings, *overrides: str) -> Outcome:
    settings = make_settings("model._target_=user_state.Leaves", "budget.amount=1", *overrides, study="plain")
    return run_trial(FixedTrial({"lr": 0.1}), settings, seed=0, interrupted=never)


@pytest.fixture
def before(make_settings: MakeSettings) -> Iterator[list[object]]:
    """All settings as a test finds them, which it has to leave so."""
    settings = make_settings("model._target_=user_state.Leaves", study="plain")
    import_targets(settings.template, settings.space)
    quieten_lightning()
    found = [setting.read() for setting in SETTINGS]
    yield found
    changed = [one.name for one, value in zip(SETTINGS, found, strict=True) if one.differs(value, one.read())]
    assert changed in ([], ["the environment"])  # pytest's own


@pytest.mark.parametrize("when", ["batch", "built"])
@pytest.mark.parametrize("how", PUT_BACK)
@pytest.mark.usefixtures("before")
def test_what_a_trial_sets_for_its_process_is_put_back(
    make_settings: MakeSettings, caplog: pytest.LogCaptureFixture, how: str, when: str
) -> None:
    with caplog.at_level("INFO"):
        outcome = run(make_settings, f"+model.how={how}", f"+model.when={when}")
    assert not outcome.taints
    assert schema.LEFT_CHANGED not in outcome.attributes
    assert PUT_BACK[how] in caplog.text or (how, when) in RESET_BY_LIGHTNING


@pytest.mark.parametrize("how", STUCK)
def test_what_cannot_be_put_back_for_sure_is_told(make_settings: MakeSettings, how: str) -> None:
    forward = torch.nn.Linear.forward
    outcome = run(make_settings, f"+model.how={how}")
    assert outcome.state == TrialState.COMPLETE
    assert outcome.taints
    assert outcome.attributes[schema.LEFT_CHANGED] == STUCK[how]
    assert torch.nn.Linear.forward is forward


def test_an_honest_trial_leaves_nothing(make_settings: MakeSettings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        outcome = run(make_settings)
    assert not outcome.taints
    assert "changed settings" not in caplog.text


@pytest.mark.parametrize("how", ["dtype", "hook"])
def test_the_next_trial_has_the_value_that_it_has_alone(make_settings: MakeSettings, how: str) -> None:
    exclusively = run(make_settings)
    run(make_settings, f"+model.how={how}", "+model.when=built")
    assert run(make_settings).value == exclusively.value


def test_the_files_of_a_trial_that_changes_its_folder_lie_where_they_are_looked_for(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("model._target_=user_state.Leaves", "+model.how=folder", "output_dir=out", "launcher=serial")
    (trial, *_) = run_here(make_settings(*asked, "n_trials=1", study="plain"))
    assert Path(trial.user_attrs[schema.CHECKPOINT]["path"]).is_relative_to(tmp_path / "out")


def test_a_mode_that_stays_on_is_stuck() -> None:
    state = ProcessState()
    with torch.inference_mode():
        assert "a mode of torch" in state.put_back().stuck
    state.close()


def test_what_torch_replaces_in_itself_is_no_patch() -> None:
    with kept() as state:
        torch.compile(torch.nn.Linear(1, 1), backend="eager")(torch.ones(1, 1))
    assert state.left.stuck == []


def test_an_entry_that_was_added_to_the_path_stays_behind_the_others() -> None:
    before = [*sys.path]
    with kept():
        sys.path.insert(0, "/nowhere")
    assert sys.path == [*before, "/nowhere"]
    sys.path.remove("/nowhere")


def test_a_log_goes_on_after_a_trial_has_closed_its_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = (tmp_path / "log").open("w")
    handler = logging.StreamHandler(stream)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(logging.getLogger("studies"), "handlers", [handler])
    with kept() as state:
        stream.close()
    assert "the standard streams" in state.left.put_back
    assert handler.stream is sys.stderr
    assert not sys.stderr.closed


def test_a_setting_that_cannot_be_written_is_stuck() -> None:
    values = iter([1, 2, 2])
    state = ProcessState()
    state._before = [(one := ProcessSetting("it", lambda: next(values), lambda _before: None), one.read())]
    assert state.put_back().stuck == ["it"]
    state.close()


@pytest.mark.usefixtures("user_modules")
def test_a_target_that_refers_to_another_key_is_imported_before_the_first_trial(make_settings: MakeSettings) -> None:
    from user_state import Leaves

    named = make_settings("model._target_=${vars.module}", "+vars.module=user_state.Leaves", study="plain")
    assert Leaves in import_targets(named.template, named.space)
    broken = make_settings("model._target_=user_state.Leaves", study="plain")
    OmegaConf.update(broken.template, "vars.other", "${nowhere}", force_add=True)
    assert Leaves in import_targets(broken.template, broken.space)
