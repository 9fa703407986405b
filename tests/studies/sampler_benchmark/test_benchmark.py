"""A whole sampler benchmark: searches as trials of one study, resumed, and what it says in the end."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from shell import Shell, trained

from studies import schema
from studies.cli.reports import report_study
from studies.config.settings import StudySettings
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.storage.creation import open_study
from studies.storage.opening import open_storage
from studies.trial.objective import run_trial
from studies.trial.preflight.preflight import preflight
from studies.worker import WorkerContext, work

MakeSettings = Callable[..., StudySettings]
CHOICES = "search_space.sampler.choices"
TINY = (
    *("replicates=3", "budget.amount=24", "budget.rungs=4", "~search_space.problem.choices.hartmann6"),
    *("~search_space.problem.choices.ackley_log", f"~{CHOICES}.gp", f"~{CHOICES}.cmaes", f"~{CHOICES}.qmc"),
    *(f"~{CHOICES}.tpe", "search_space.pruner.when.sampler=[random]", "~search_space.pruner.choices.asha"),
)
N_TRIALS = 3 * (2 + 1 + 1 + 1 + 1 + 1)  # seeds × (random with two pruners, grid, reinforce; and without on branin)


@pytest.fixture
def tiny(make_settings: MakeSettings) -> MakeSettings:
    return lambda *overrides: make_settings("launcher=serial", *TINY, *overrides, study="sampler_benchmark")


def run(settings: StudySettings) -> list[FrozenTrial]:
    storage = open_storage(settings.storage.address)
    study = open_study(settings, storage)
    work(
        storage,
        context=WorkerContext(settings, "here", Deadline(datetime.now(), None), StopSignals()),
        run_trial=run_trial,
    )
    report_study(study, settings, console=Console(quiet=True))
    return study.get_trials()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("pictures")
@pytest.mark.slow
def test_a_tiny_benchmark_from_search_to_sentences(tiny: MakeSettings) -> None:
    settings = tiny()
    trials = run(settings)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * N_TRIALS
    for trial in trials:
        result = trial.user_attrs[schema.RESULT]
        assert trial.value == pytest.approx(result["regret"][-1], rel=1e-5)
        assert len(result["regret"]) == 24

    folder = settings.output_dir
    text = (folder / "report.md").read_text()
    for name in ("branin", "digits_table"):
        assert f"### {name}" in text
        assert f"(sampler_benchmark/best_so_far_{name}.png)" in text
        assert (folder / "sampler_benchmark" / f"best_so_far_{name}.png").stat().st_size > 5000
    assert "random + median" in text
    assert "reinforce" in text
    assert "(sampler_benchmark/best_so_far_digits_table_by_epochs.png)" in text
    assert "best_so_far_branin_by_epochs" not in text

    pooled = [row for row in rows(folder / "sampler_benchmark" / "comparisons.csv") if not row["problem"]]
    assert {(row["a"], row["b"]) for row in pooled} >= {("grid", "random"), ("random", "reinforce")}
    (comparison,) = (row for row in pooled if (row["a"], row["b"]) == ("grid", "random"))
    assert (comparison["n"], comparison["at"]) == ("6", "24")
    drawn = rows(folder / "sampler_benchmark" / "best_so_far_branin.csv")
    last = [float(row["median"]) for row in drawn if row["series"] == "random"][-1]
    ends = sorted(t.value or 0.0 for t in trials if t.params == {"problem": "branin", "sampler": "random"})
    assert last == pytest.approx(ends[1], rel=1e-5)

    report = (folder / "report.md").read_text()
    assert f"{N_TRIALS} of {N_TRIALS} trials finished. " in report
    assert not (folder / "best.yaml").exists()


def test_a_benchmark_is_told_before_it_begins_what_it_cannot_be_made_of(tiny: MakeSettings) -> None:
    (problem,) = preflight(tiny(f"+{CHOICES}.mine={{name: tpe, n_startup: 3}}"))
    assert "model cannot be built at problem=" in str(problem)
    assert "sampler.n_startup is not an option of tpe" in str(problem)


@pytest.mark.slow
def test_a_benchmark_that_was_cut_off_goes_on_where_it_was(shell: Shell) -> None:
    words = ("+study=sampler_benchmark", *TINY, "workers=2")
    first = shell.run("run", *words, "device_seconds=0.01")  # less than one search takes
    assert "of device time are used" in first
    begun = shell.trials("sampler_benchmark")
    assert 0 < len(begun) < N_TRIALS
    output = shell.run("run", *words)
    assert f"{N_TRIALS} of {N_TRIALS} trials finished.\n" in output
    assert "reinforce beats random" in output or "reinforce against random is undecided" in output
    trials = trained(shell.trials("sampler_benchmark"))
    assert len({(*sorted(t.params.items()), t.user_attrs[schema.REPLICATE]) for t in trials}) == len(trials) == N_TRIALS
