"""What a report says of studies that other tools made: constraints, infinite values, steps, endings, and odd ones."""

from __future__ import annotations

import csv
import math
import re
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from reports import printed_stored_report
from strange_studies import strange_study

from studies.analysis.analyse import analyse
from studies.analysis.effects import get_param_interactions
from studies.analysis.next_round.round import next_round
from studies.analysis.table import TrialsTable, trials_table
from studies.config.settings import AnalysisSettings
from studies.records.eligible import can_be_best
from studies.records.stored import trials_of

pytestmark = pytest.mark.usefixtures("pictures")

FULL = AnalysisSettings("full", None, "auto", None)
NONE = AnalysisSettings("none", None, "auto", None)
SPACE: dict[str, BaseDistribution] = {"width": IntDistribution(1, 32), "x": FloatDistribution(0.0, 1.0)}


def reported(study: optuna.Study, folder: Path, wanted: AnalysisSettings = FULL) -> tuple[str, str]:
    """The headline, and the report."""
    printed_stored_report(study, folder, wanted)
    text = (folder / "report.md").read_text(encoding="utf-8")
    return text.split("\n\n")[1].partition(" Best configuration")[0], text


def study_of(*trials: FrozenTrial, direction: str = "maximize") -> optuna.Study:
    study = optuna.create_study(study_name="foreign", direction=direction)
    study.add_trials(trials)
    return study


def trial(
    value: float | None = None, *, i: int = 0, state: TrialState = TrialState.COMPLETE, width: int = 8, **more: Any
) -> FrozenTrial:
    params = {"width": width, "x": (0.37 * i) % 1}
    return create_trial(state=state, value=value, params=params, distributions=SPACE, **more)


def wide(n: int = 8) -> list[FrozenTrial]:
    """Trials that are the better the wider they are, of which those wider than 10 are infeasible."""
    widths = [4 * i % 32 + 1 for i in range(n)]
    return [trial(w / 32, i=i, width=w, constraints={"memory": w - 10.0}) for i, w in enumerate(widths)]


def test_the_best_of_a_constrained_study_is_feasible_and_the_others_are_told(tmp_path: Path) -> None:
    study = study_of(*wide())
    headline, text = reported(study, tmp_path)
    assert headline == f"Best value 0.2812 (trial {study.best_trial.number}); 8 trials finished (5 infeasible)."
    assert "5 complete trials violate a constraint: infeasible, and never the best." in text
    assert "5 trials violate a constraint (infeasible): what follows is about feasible trials alone." in text
    assert "62% of the trials are infeasible and left out: nothing is known of the values there" in text


def test_a_study_without_a_feasible_trial_has_no_best(tmp_path: Path) -> None:
    headline, text = reported(
        study_of(trial(0.5, constraints={"a": 1.0}), trial(0.7, constraints={"a": 2.0})), tmp_path
    )
    assert headline == "2 trials finished (2 infeasible): none of them can be the best."
    assert "no feasible trial has a value" in text
    assert "## Best configuration" not in text


def test_the_next_round_seeks_the_best_among_feasible_trials_and_stays_out_of_where_none_is() -> None:
    study = study_of(*(trial(w / 32, i=w, width=w, constraints={"memory": w - 10.0}) for w in range(2, 33)))
    table = trials_table(study, params=["width"])
    assert (len(table.y), table.n_infeasible, float(table.y.max())) == (9, 22, 10 / 32)
    found = next_round(analyse(table, seed=0), trials_of(study))
    assert [(str(side), region.failure) for region in found.regions for side in region.sides] == [
        ("width ≥ 11", "infeasible")
    ]
    assert [place.best for place in found.places] == [10]
    assert found.next.space["width"].high == 10
    assert found.best_of_m is not None
    assert found.best_of_m.n_lost == 22


def test_no_fitted_function_says_where_the_best_lies_where_trials_are_infeasible() -> None:
    """Its minimum lies at the limit, where every trial violates the constraint."""
    study = study_of(*(trial(w / 32, i=w, width=w, constraints={"memory": w - 26.0}) for w in range(1, 33)))
    analysis = analyse(trials_table(study, params=["width"]), seed=0)
    assert (analysis.whole.sobol is not None, analysis.whole.verdict.level) == (True, "caution")
    assert "19% of the trials are infeasible and left out" in "; ".join(analysis.whole.verdict.reasons)
    assert [(place.basis, place.best) for place in next_round(analysis, trials_of(study)).places] == [("trials", 26)]


def test_with_two_objectives_infeasible_trials_are_told(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="foreign", directions=["minimize", "maximize"])
    study.add_trials([create_trial(values=[1.0, 2.0], constraints={"a": 1.0}), create_trial(values=[2.0, math.inf])])
    headline, _ = reported(study, tmp_path, NONE)
    assert headline == "2 trials finished (1 infeasible, 1 infinite), with 2 objectives: there is no single best one."


def test_the_front_of_several_objectives_holds_feasible_trials_as_optuna_has_it(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="foreign", directions=["minimize", "maximize", "minimize"])
    values = [[1.0, 2.0, 3.0], [1.0, 2.0, 4.0], [0.5, 9.0, 0.0], [2.0, 5.0, 1.0]]
    for i, each in enumerate(values):
        study.add_trial(create_trial(values=each, constraints={"a": 1.0 if i == 2 else -1.0}))
    _, text = reported(study, tmp_path, NONE)
    rows = text.partition("## The front")[2].split("\n\n")[1].splitlines()
    assert rows == [
        "| trial | value 1 | value 2 | value 3 |",
        "| --- | --- | --- | --- |",
        "| 0 | 1 | 2 | 3 |",
        "| 3 | 2 | 5 | 1 |",
    ]
    assert [trial.number for trial in study.best_trials] == [0, 3]
    with (tmp_path / "trials.csv").open(newline="") as file:
        assert [row["feasible"] for row in csv.DictReader(file)] == ["True", "True", "False", "True"]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_infinite_values_are_nobody_s_best_and_reach_no_surrogate(tmp_path: Path, direction: str) -> None:
    study = study_of(*(trial(v, i=i) for i, v in enumerate([math.inf, 0.5, -math.inf])), direction=direction)
    headline, text = reported(study, tmp_path)
    assert headline == "Best value 0.5000 (trial 1); 3 trials finished (2 infinite)."
    assert "2 complete trials have an infinite value: never the best." in text
    assert "2 trials have an infinite value, or one that is no number, which is compared with none." in text
    assert "Evidence: 1 trial, " in text


def at_steps(*steps: int, state: TrialState = TrialState.COMPLETE, i: int = 0) -> FrozenTrial:
    """A trial whose reports fall with each step, to a value that depends on x."""
    reports = {step: (0.37 * i) % 1 + 1 / n for n, step in enumerate(steps, 1)}
    return trial(
        (0.37 * i) % 1 if state == TrialState.COMPLETE else None, i=i, state=state, intermediate_values=reports
    )


def test_pruned_trials_that_share_no_step_with_others_leave_final_values_with_a_true_reason(tmp_path: Path) -> None:
    apart = [at_steps(1000 * i, 2000 * i, i=i) for i in range(1, 7)]
    early = [at_steps(i, 2 * i, i=i, state=TrialState.PRUNED) for i in range(7, 10)]
    _, text = reported(study_of(*apart, *early), tmp_path)
    assert "many trials were pruned and reported at steps that the others do not share: only survivors are seen" in text
    assert "Trials count with their final values, 3 of 9 trials were pruned. 3 without that value are left out." in text
    assert "There is no step at which nine in ten of the trials could be compared." in text
    assert "- let all trials report at the same steps (epochs, say), or run without a pruner" in text
    assert "reported nothing" not in text
    assert "no trial differs" not in text


def test_trials_with_steps_of_their_own_are_compared_by_their_last_report_with_a_caution(tmp_path: Path) -> None:
    kept = [at_steps(10 + i, 20 + i, 30 + i, i=i) for i in range(6)]
    _, text = reported(
        study_of(*kept, *(at_steps(11, 23 + i, i=i, state=TrialState.PRUNED) for i in range(3))), tmp_path
    )
    assert "3 of 9 trials were pruned, so all are compared at step 23 (each by its last report up to there)" in text
    assert "trials report at steps of their own, so values of different steps are compared" in text


def test_pruned_trials_without_a_report_are_still_said_to_have_reported_nothing(tmp_path: Path) -> None:
    silent = [trial(i=i, state=TrialState.PRUNED) for i in range(3)]
    _, text = reported(study_of(*(at_steps(1, 2, i=i) for i in range(5)), *silent), tmp_path)
    assert "many trials were pruned and reported nothing: only survivors are seen" in text


def test_values_that_are_equal_at_a_rung_only_are_told_as_such(tmp_path: Path) -> None:
    stuck = [trial(0.1 * i, i=i, intermediate_values={1: 0.1, 2: 0.1 * i}) for i in range(6)]
    early = [trial(i=i, state=TrialState.PRUNED, intermediate_values={1: 0.1}) for i in range(3)]
    _, text = reported(study_of(*stuck, *early), tmp_path)
    assert "all trials have the same value at rung 1 of 2" in text
    assert "- check the metric: no trial differs from another at rung 1 of 2" in text


def test_one_trial_is_not_said_to_be_like_all_others(tmp_path: Path) -> None:
    _, text = reported(study_of(trial(0.5), trial(i=1, state=TrialState.FAIL)), tmp_path)
    assert "the same value" not in text
    assert "x is left out: only one trial had it." in text
    assert "- run more trials: only one has a value to compare" in text


def test_a_trial_that_failed_where_nobody_said_why_is_failed_and_not_killed(tmp_path: Path) -> None:
    study = study_of(trial(0.5), trial(state=TrialState.FAIL), trial(state=TrialState.RUNNING))
    _, text = reported(study, tmp_path, NONE)
    assert "| failed | 1 |" in text
    assert "| running | 1 |" in text
    with (tmp_path / "trials.csv").open(newline="") as file:
        assert [row["failure"] for row in csv.DictReader(file)] == ["", "failed", ""]


def test_a_queued_point_outside_its_range_is_left_out_of_the_analysis() -> None:
    study = study_of(*(trial(0.1 * i, i=i) for i in range(6)))
    study.enqueue_trial({"width": 3, "x": 9.0})
    queued = study.ask()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna warns of the point, and takes it
        queued.suggest_int("width", 1, 32)
        queued.suggest_float("x", 0.0, 1.0)
    study.tell(queued, 5.0)
    table = trials_table(study)
    assert (len(table.y), table.n_outside, float(table.y.max())) == (6, 1, 0.5)


def test_a_study_that_does_not_say_which_values_are_good_has_no_best(tmp_path: Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    storage.create_new_study([StudyDirection.NOT_SET], "foreign")
    study = optuna.load_study(study_name="foreign", storage=storage)
    study.add_trials([trial(0.1), trial(0.5, i=1)])
    headline, text = reported(study, tmp_path)
    assert headline == "2 trials finished; the study does not say which values are good, so none is the best."
    assert "Not analysed: the study does not say whether a small or a large value is good." in text


def test_a_target_sees_the_attributes_of_another_tool_and_all_its_trials() -> None:
    study = study_of(
        *(trial(0.1 * i, i=i, user_attrs={"seconds": i + 1.0}, constraints={"a": i - 2.0}) for i in range(5))
    )
    found = get_param_interactions(study, target=lambda each: float(each.user_attrs["seconds"]))
    assert [effect.n_used for effect in found if effect.order == 1] == [5]


def levels_of(*choices: Any) -> TrialsTable:
    study = optuna.create_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna warns of lists
        space: dict[str, BaseDistribution] = {"c": CategoricalDistribution(choices)}
        study.add_trials(
            create_trial(value=float(i), params={"c": c}, distributions=space) for i, c in enumerate(choices)
        )
    return trials_table(study)


@pytest.mark.parametrize("choices", [(False, 0, True, 1), ([64], [64, 64]), (1, 1.0, "1"), ({"a": 1}, None)])
def test_choices_that_python_would_merge_or_cannot_hash_are_levels_of_their_own(choices: tuple[Any, ...]) -> None:
    table = levels_of(*choices)
    assert len(table.axes[0].values) == len(choices)
    assert table.x[:, 0].tolist() == [float(i) for i in range(len(choices))]


def best_number(study: optuna.Study) -> int | None:
    """The number of the best trial by a rule of its own; None where there is none."""
    directions = {direction.name for direction in study.directions}
    fit = [t for t in study.trials if can_be_best(t)]
    if len(study.directions) > 1 or "NOT_SET" in directions or not fit:
        return None
    sign = -1.0 if "MAXIMIZE" in directions else 1.0
    return min(fit, key=lambda t: (sign * t.values[0], t.number)).number


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")
@pytest.mark.parametrize("seed", range(40))
def test_no_strange_study_ends_in_a_traceback_or_an_untruth(tmp_path: Path, seed: int) -> None:
    study = strange_study(seed, n_trials=8)  # fewer than any fit takes
    headline, text = reported(study, tmp_path)
    trials = study.get_trials(deepcopy=False)
    told = re.search(r"\(trial (\d+)\)", headline)
    assert (int(told[1]) if told is not None else None) == best_number(study)
    endings = text.partition("## How trials ended")[2].split("\n\n")[1].splitlines()[2:]
    assert sum(int(line.split("|")[-2]) for line in endings) == len(trials)
    assert "killed" not in text
    silent = [t for t in trials if t.state == TrialState.PRUNED and not t.intermediate_values]
    assert "reported nothing" not in text or silent
    if "no trial differs from another\n" in text:
        assert len({t.values[0] for t in trials if can_be_best(t)}) == 1
