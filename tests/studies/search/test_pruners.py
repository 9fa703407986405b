from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import optuna
import pytest
from composing import composed
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from optuna.trial import TrialState

from studies.cli.validation import CHECKS
from studies.config.budget import Budget
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.search.pruners import WholeStudy, make_pruner, pruner_notes

RUNGS = 8
Curve = Callable[[int], float]


def settings(name: str, **options: object) -> StudySettings:
    """The digits study with the pruner `name` as its file has it, but for `options`."""
    changed = [f"pruner.{key}={value}" for key, value in options.items()]
    return parse_settings(
        composed("+study=digits", f"pruner={name}", f"budget.amount={RUNGS}", *changed), checks=CHECKS
    )


def pruner_of(of: StudySettings) -> BasePruner:
    return make_pruner(of.pruner, of.objective, rungs=of.budget.rungs)


def notes_of(of: StudySettings) -> list[str]:
    return pruner_notes(of.pruner, of.objective, rungs=of.budget.rungs)


def refused(name: str, **options: object) -> str:
    with pytest.raises(BadInput) as caught:
        settings(name, **options)
    (problem,) = caught.value.problems
    return str(problem)


def stops(of: StudySettings, curves: Sequence[Curve]) -> list[int | None]:
    """The rung at which each of the trials, one after the other, is stopped; None for those that reach the end."""
    study = optuna.create_study(study_name="s", direction="maximize", pruner=pruner_of(of))
    stopped: list[int | None] = []
    for curve in curves:
        trial, last = study.ask(), None
        for rung in range(1, RUNGS + 1):
            trial.report(curve(rung), rung)
            if rung < RUNGS and trial.should_prune():
                last = rung
                break
        study.tell(trial, None if last else curve(RUNGS), state=TrialState.PRUNED if last else TrialState.COMPLETE)
        stopped.append(last)
    return stopped


def rising_to(top: float) -> Curve:
    return lambda rung: top * rung / RUNGS


GOOD, FAIR, BAD = rising_to(0.9), rising_to(0.6), rising_to(0.1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("none", NopPruner),
        ("median", MedianPruner),
        ("percentile", PercentilePruner),
        ("asha", SuccessiveHalvingPruner),
        ("hyperband", HyperbandPruner),
        ("patient", PatientPruner),
    ],
)
def test_each_word_makes_its_pruner(name: str, kind: type[BasePruner]) -> None:
    pruner = pruner_of(settings(name))
    assert type(pruner.pruner if isinstance(pruner, WholeStudy) else pruner) is kind


def test_threshold_is_made_once_a_bound_is_given() -> None:
    assert type(pruner_of(settings("threshold", lower=0.2))) is ThresholdPruner


def test_none_lets_every_trial_reach_its_end() -> None:
    assert stops(settings("none"), [GOOD, GOOD, BAD, BAD]) == [None] * 4


def test_median_stops_the_worse_half_once_enough_trials_are_finished() -> None:
    assert stops(settings("median"), [GOOD] * 5 + [BAD, GOOD]) == [None] * 5 + [4, None]
    assert stops(settings("median"), [GOOD] * 4 + [BAD, GOOD]) == [None] * 6
    assert stops(settings("median", n_startup_trials=2), [GOOD, BAD, FAIR]) == [None, None, None]


@pytest.mark.parametrize("n_warmup_steps", [1, 2, 5])
def test_every_trial_reaches_the_last_rung_of_the_warm_up(n_warmup_steps: int) -> None:
    for name in ("median", "percentile"):
        of = settings(name, n_startup_trials=2, n_warmup_steps=n_warmup_steps)
        assert stops(of, [GOOD, GOOD, BAD]) == [None, None, n_warmup_steps]


def test_percentile_keeps_the_share_that_it_is_given() -> None:
    four = [rising_to(top) for top in (0.9, 0.8, 0.7, 0.6)]
    startup = [None] * 4
    assert stops(settings("percentile", percentile=25.0, n_startup_trials=4), [*four, rising_to(0.75)]) == [*startup, 4]
    assert stops(settings("percentile", percentile=75.0, n_startup_trials=4), [*four, rising_to(0.75)]) == [
        *startup,
        None,
    ]


def test_asha_lets_the_best_third_go_on_at_each_of_its_rungs() -> None:
    assert stops(settings("asha"), [GOOD, GOOD, GOOD, BAD, FAIR, GOOD]) == [None, None, None, 1, 1, None]
    late = [GOOD, GOOD, GOOD, lambda rung: 0.9 * rung / RUNGS if rung < 3 else 0.0]
    assert stops(settings("asha"), late) == [None, None, None, 3]
    assert stops(settings("asha", min_resource=2), [GOOD, GOOD, GOOD, BAD]) == [None, None, None, 2]


def test_hyperband_begins_to_stop_later_in_some_of_its_brackets() -> None:
    worse_and_worse = [GOOD] * 4 + [rising_to(0.5 - 0.01 * i) for i in range(20)]
    assert {rung for rung in stops(settings("asha"), worse_and_worse) if rung} == {1}
    stopped = stops(settings("hyperband"), worse_and_worse)
    assert stopped[:4] == [None] * 4
    assert {rung for rung in stopped if rung} == {1, 3}


def test_patient_stops_a_trial_that_gets_worse_whatever_the_others_do() -> None:
    def peaks_at_three(rung: int) -> float:
        return 0.5 - 0.1 * abs(rung - 3)

    assert stops(settings("patient"), [GOOD, BAD, peaks_at_three]) == [None, None, 6]
    assert stops(settings("patient", patience=4), [peaks_at_three]) == [None]
    assert stops(settings("patient", min_delta=0.25), [peaks_at_three]) == [None]


def test_threshold_stops_a_trial_that_leaves_the_band() -> None:
    def falls(rung: int) -> float:
        return 0.9 - 0.1 * rung

    assert stops(settings("threshold", lower=0.25), [falls]) == [7]
    assert stops(settings("threshold", upper=0.75), [GOOD, FAIR]) == [7, None]
    assert stops(settings("threshold", lower=0.95, n_warmup_steps=3), [falls]) == [3]


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("median", {"n_startup_trials": -1}, "cannot be negative"),
        ("median", {"n_startup_trials": "many"}, "pruner.n_startup_trials is 'many': give a whole number"),
        ("percentile", {"percentile": 120}, "must be between 0 and 100"),
        ("asha", {"min_resource": 0}, "min_resource"),
        ("asha", {"min_resource": 9}, "pruner.min_resource is 9 for 8 rungs"),
        ("hyperband", {"min_resource": 9}, "pruner.min_resource is 9 for 8 rungs"),
        ("patient", {"patience": -1}, "patience"),
        ("threshold", {}, "lower"),
        ("threshold", {"lower": 0.5, "upper": 0.2}, "lower"),
    ],
)
def test_options_that_a_pruner_refuses_are_told(name: str, options: dict[str, object], told: str) -> None:
    assert told in refused(name, **options)


def test_an_option_that_the_shipped_file_leaves_out_is_refused_by_the_pruner() -> None:
    with pytest.raises(BadInput, match="pruner is median, which refuses its options"):
        parse_settings(compose(["+study=digits", "pruner=median", "+pruner.interval_steps=0"]), checks=CHECKS)


def test_a_pruner_that_will_never_stop_a_trial_is_told() -> None:
    assert notes_of(settings("median")) == []
    assert notes_of(replace(settings("none"), budget=Budget("epochs", 1, 1))) == []
    (note,) = notes_of(replace(settings("median"), budget=Budget("epochs", 1, 1)))
    assert "median never stops a trial: it has 1 rungs" in note
