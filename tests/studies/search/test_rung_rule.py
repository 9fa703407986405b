"""Our rung rule gives two objectives the answers that Optuna's pruners give to one, on the same curves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import optuna
import pytest
from composing import composed
from optuna import Study, Trial
from optuna.pruners import BasePruner
from optuna.trial import TrialState

from studies import schema
from studies.cli.validation import CHECKS
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.search.pruners import make_pruner, pruner_notes
from studies.trial.reports import reports_of
from studies.trial.rungs.rungs import Rung

RUNGS = 9
SECOND = "objective.second={metric: seconds, direction: minimize}"
RULES: list[tuple[str, dict[str, object]]] = [
    ("median", {}),
    ("median", {"n_startup_trials": 2, "n_warmup_steps": 0, "+interval_steps": 2}),
    ("median", {"n_startup_trials": 0, "n_warmup_steps": 3, "+n_min_trials": 3}),
    ("percentile", {"percentile": 25.0, "n_startup_trials": 4}),
    ("percentile", {"percentile": 80.0, "n_startup_trials": 1, "n_warmup_steps": 0}),
    ("asha", {}),
    ("asha", {"min_resource": 2, "reduction_factor": 2}),
    ("asha", {"min_resource": 1, "reduction_factor": 2, "+bootstrap_count": 3}),
    ("asha", {"min_resource": 1, "reduction_factor": 2, "+min_early_stopping_rate": 1}),
    ("patient", {}),
    ("patient", {"patience": 0, "min_delta": 0.05}),
    ("threshold", {"lower": 0.2, "upper": 0.8, "n_warmup_steps": 2}),
    ("none", {}),
]


def settings(name: str, *more: str, **options: object) -> StudySettings:
    changed = [f"{'+' * key.startswith('+')}pruner.{key.lstrip('+')}={value}" for key, value in options.items()]
    overrides = ["+study=digits", f"pruner={name}", *more, f"budget.amount={RUNGS}", *changed]
    return parse_settings(composed(*overrides), checks=CHECKS)


def curves(seed: int, *, n: int) -> Iterator[list[tuple[int, float]]]:
    """Noisy curves with ties, some of which skip rungs, but no two that follow each other."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        top, skipped = rng.uniform(0.2, 1.0), set(rng.integers(1, RUNGS // 2 + 1, 2) * 2)
        values = np.round(top * np.arange(1, RUNGS + 1) / RUNGS + rng.normal(0, 0.1, RUNGS), 2)
        indices = [i for i in range(1, RUNGS + 1) if i not in skipped]
        yield [(i, float(values[i - 1])) for i in indices]


def study_of(of: StudySettings, pruner: BasePruner) -> Study:
    return optuna.create_study(directions=of.objective.directions, pruner=pruner)


def run_together(of: StudySettings, study: Study, paths: Sequence[list[tuple[int, float]]]) -> list[int | None]:
    """Trains three trials at a time, a rung each in turn; where each was stopped, None: nowhere."""
    stopped: list[int | None] = [None] * len(paths)
    waiting = iter(enumerate(paths))
    n_values = len(of.objective.directions)

    def begin() -> Iterator[tuple[int, Trial, Iterator[Rung], list[float]]]:
        for number, path in itertools.islice(waiting, 1):
            yield number, study.ask(), iter([Rung(i, value, i, i / 10) for i, value in path]), []

    running = [member for _ in range(3) for member in begin()]
    reports = {trial.number: reports_of(trial, of.objective, n_rungs=of.budget.rungs) for _, trial, _, _ in running}
    while running:
        number, trial, rungs, seen = running.pop(0)
        report = reports.setdefault(trial.number, reports_of(trial, of.objective, n_rungs=of.budget.rungs))
        rung = next(rungs, None)
        if rung is None:
            study.tell(trial, [seen[-1], 1.0][:n_values])
        elif report(rung):
            stopped[number] = rung.index
            study.tell(trial, state=TrialState.PRUNED)
        else:
            seen.append(rung.value)
            running.append((number, trial, rungs, seen))
            continue
        running += begin()
    return stopped


def pruner_of(of: StudySettings) -> BasePruner:
    return make_pruner(of.pruner, of.objective, rungs=of.budget.rungs)


def notes_of(of: StudySettings) -> list[str]:
    return pruner_notes(of.pruner, of.objective, rungs=of.budget.rungs)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize(("name", "options"), RULES)
def test_the_rule_gives_the_answers_of_optunas_pruner(name: str, options: dict[str, object], direction: str) -> None:
    asked = (f"objective.direction={direction}", "objective.direction_is_meant=true")
    one = settings(name, *asked, **options)
    two = settings(name, *asked, SECOND, **options)
    n_stopped = 0
    for seed in range(3):
        paths = list(curves(seed, n=24))
        expected = run_together(one, study_of(one, pruner_of(one)), paths)
        assert run_together(two, study_of(two, pruner_of(two)), paths) == expected
        n_stopped += sum(stop is not None for stop in expected)
    assert (n_stopped > 0) == (name != "none")


def test_a_trial_that_goes_on_stands_as_one_that_never_stopped() -> None:
    of = settings("asha", SECOND, reduction_factor=2)
    study = study_of(of, pruner_of(of))
    rungs = tuple(Rung(i, value, i, i / 10) for i, value in enumerate([0.5, 0.6, 0.7, 0.8], start=1))
    whole, resumed = study.ask(), study.ask()
    report = reports_of(whole, of.objective, n_rungs=of.budget.rungs)
    assert not any(report(rung) for rung in rungs)
    again = reports_of(resumed, of.objective, n_rungs=of.budget.rungs)
    again.repeat(rungs[:3])
    assert not again(rungs[2])
    again(rungs[3])
    first, second = (trial.user_attrs[schema.RUNGS] for trial in study.get_trials())
    assert first == second == [[rung.index, rung.value] for rung in rungs]


def test_a_second_go_keeps_the_first_value_of_a_rung() -> None:
    of = settings("none", SECOND)
    study = study_of(of, pruner_of(of))
    report = reports_of(study.ask(), of.objective, n_rungs=of.budget.rungs)
    for rung in (
        Rung(1, 0.1, 1, 1.0),
        Rung(2, 0.2, 2, 2.0),
        Rung(1, 0.9, 1, 1.0),
        Rung(2, 0.9, 2, 2.0),
        Rung(3, 0.3, 3, 3.0),
    ):
        report(rung)
    assert study.get_trials()[0].user_attrs[schema.RUNGS] == [[1, 0.1], [2, 0.2], [3, 0.3]]


def test_a_pruner_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(BadInput, match="pruner is hyperband but there are two objectives: use one of median"):
        settings("hyperband", SECOND)


def test_a_first_halving_that_hangs_on_what_came_before_is_refused() -> None:
    with pytest.raises(BadInput, match=r"pruner\.min_resource is 'auto' but there are two objectives: give a number"):
        settings("asha", SECOND, min_resource="auto")


def test_options_that_the_pruner_refuses_are_told_as_with_one_objective() -> None:
    with pytest.raises(BadInput, match="pruner is median, which refuses its options"):
        settings("median", SECOND, n_startup_trials=-1)


def test_what_pruning_does_to_the_front_is_told() -> None:
    (note,) = notes_of(settings("median", SECOND))
    assert "median compares trials by val/accuracy alone: the front may lack" in note
    assert notes_of(settings("none", SECOND)) == []
