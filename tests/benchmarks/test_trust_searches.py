from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import optuna
import pytest
import trust_surfaces
from optuna.trial import TrialState
from trust_searches import SEARCHES, study_of

from studies import schema
from studies.analysis.table import TrialsTable, trials_table
from studies.config.space import Point
from studies.sampler_benchmark.problem import Observation


def table(surface: str, search: str, n: int = 40, seed: int = 0, cache: Path | None = None) -> TrialsTable:
    return trials_table(study_of(surface, search, n, seed, cache))


def same(first: TrialsTable, second: TrialsTable) -> bool:
    return bool(np.array_equal(first.x, second.x, equal_nan=True) and np.array_equal(first.y, second.y))


def test_trials_know_who_proposed_them() -> None:
    assert table("cliff", "random").space_filling_share == 1.0
    assert table("cliff", "tpe").space_filling_share == 0.25
    assert set(table("cliff", "tpe").sources) == {"tpe", "explore"}


def test_the_analysis_sees_powers_of_two_and_logs() -> None:
    scales = {axis.name: axis.scale for axis in table("cliff", "random").axes}
    assert scales["lr"] == "log10"
    assert scales["batch_size"] == scales["width"] == "log2"


def test_only_the_pruned_search_prunes() -> None:
    assert {search: table("benign", search).n_pruned > 0 for search in SEARCHES} == {
        "random": False,
        "tpe": False,
        "pruned": True,
    }


def test_a_pruned_trial_has_its_reports_up_to_there() -> None:
    pruned = study_of("benign", "pruned", 40, 0).get_trials(states=[TrialState.PRUNED])
    assert {max(trial.intermediate_values) for trial in pruned} <= {4, 5, 6, 7}
    assert all(schema.FAILURE not in trial.user_attrs for trial in pruned)


def test_a_search_is_a_function_of_its_name_size_and_seed() -> None:
    assert same(table("tails", "tpe"), table("tails", "tpe"))
    assert not same(table("tails", "tpe"), table("tails", "tpe", seed=1))
    longer = table("tails", "random", n=41)
    assert not np.array_equal(longer.x[:40], table("tails", "random").x)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_kept_search_is_the_same(search: str, tmp_path: Path) -> None:
    first = study_of("conditional", search, 30, 0, tmp_path)
    again = study_of("conditional", search, 30, 0, tmp_path)
    assert [(t.params, t.state, t.value, t.intermediate_values, t.user_attrs) for t in first.trials] == [
        (t.params, t.state, t.value, t.intermediate_values, t.user_attrs) for t in again.trials
    ]
    assert same(trials_table(again), table("conditional", search, n=30))


def test_trials_of_another_surface_are_searched_again(tmp_path: Path) -> None:
    fresh = table("benign", "random", n=30, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    kept = json.loads(file.read_text())
    kept[-1]["reports"]["8"] += 0.1
    kept[-1]["value"] += 0.1
    file.write_text(json.dumps(kept))
    assert same(table("benign", "random", n=30, cache=tmp_path), fresh)


class Diverging(trust_surfaces.Benign):
    search_space: ClassVar = trust_surfaces.Benign.search_space

    def observe(self, point: Point, *, replicate: int, random: np.random.Generator) -> Observation:
        curve = super().observe(point, replicate=replicate, random=random)
        return Observation(curve.values[:3]) if point["norm"] == "none" else curve


def test_a_diverged_training_is_stored_as_a_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trust_surfaces.SURFACES, "diverging", Diverging)  # type: ignore[arg-type]
    study = study_of("diverging", "random", 30, 0)
    diverged = [trial for trial in study.trials if trial.params["norm"] == "none"]
    assert {trial.state for trial in diverged} == {TrialState.PRUNED}
    assert {trial.user_attrs[schema.FAILURE] for trial in diverged} == {"diverged"}
    assert trials_table(study).n_diverged == len(diverged) > 0


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
