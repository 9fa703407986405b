"""`${training_seed}` in a config: each trial's own seed, for modules and data that take one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from optuna.storages import BaseStorage
from selections import report_of
from trainings import run

from studies import schema
from studies.config.budget import Budget
from studies.config.settings import StudySettings
from studies.errors import BadInput, StudyChanged
from studies.search.seeds import replicate_of, training_seed
from studies.selection.steps import next_step, reader
from studies.storage.creation import open_study
from studies.storage.identity import find_study, identity
from studies.storage.opening import open_storage
from studies.trial.point_config import PointConfig
from studies.trial.retraining import train_and_test

MakeSettings = Callable[..., StudySettings]
SEEDED = ("model._target_=user_modules.SeedsItself", "+model.seed=${training_seed}")
DRAWS = ("model._target_=user_procedures.Draws", "+model.seed=${training_seed}")
GRID = ("sampler=grid", "n_trials=null", "replicates=3")


@pytest.fixture
def bowl(make_settings: MakeSettings) -> MakeSettings:
    return lambda *overrides: make_settings("launcher=serial", *overrides, study="bowl")


def test_each_trial_of_a_search_has_its_own(plain: MakeSettings) -> None:
    settings = plain(*SEEDED, "search_space.lr.low=0.01", "search_space.lr.high=0.010001", "n_trials=2")
    first, second = run(settings)
    assert first.value != second.value
    seeds = [trial.user_attrs[schema.SEED] for trial in (first, second)]
    assert [PointConfig(settings, first.params, seed).resolved()["model"]["seed"] for seed in seeds] == seeds


def test_the_cells_of_a_grid_share_it_by_replicate(bowl: MakeSettings) -> None:
    trials = run(bowl(*DRAWS, *GRID, "search_space.x.levels=[1.0,2.0]"))
    given = {(t.params["x"], t.user_attrs[schema.RESULT]["given"]) for t in trials}
    assert given == {(x, training_seed(0, r)) for x in (1.0, 2.0) for r in range(3)}
    assert all(trial.user_attrs[schema.RESULT]["trained"] == trial.user_attrs[schema.SEED] for trial in trials)


def test_it_may_stand_inside_a_choice_of_the_search_space(bowl: MakeSettings) -> None:
    kind = "kind={path: model.kind, type: categorical, choices: {a: {seed: '${training_seed}', of: '${study_name}'}}}"
    settings = bowl("model._target_=user_procedures.Draws", "+model.kind=null", f"+search_space.{kind}", "n_trials=2")
    first, second = run(settings)
    seeds = [training_seed(0, replicate_of(settings, slot)) for slot in range(2)]
    assert [t.user_attrs[schema.RESULT]["given"] for t in (first, second)] == seeds
    assert PointConfig(settings, first.params, 5).resolved()["model"]["kind"] == {"seed": 5, "of": "bowl"}


def test_without_a_trial_it_is_the_seed_of_the_study(bowl: MakeSettings) -> None:
    assert PointConfig(bowl(*DRAWS, "seed=7"), {"x": 1.0}).resolved()["model"]["seed"] == 7


@pytest.mark.slow
def test_the_rounds_of_a_selection_give_their_fresh_seeds(bowl: MakeSettings, storage: BaseStorage) -> None:
    race = ("select=race", "select.k=2", "select.seeds=3", "select.estimate_seeds=2")
    settings = bowl(*DRAWS, *race, "n_trials=3")
    trials, given = run(settings, storage=storage), {}
    while isinstance(step := next_step(settings, trials, reader(storage)), StudySettings):
        own = [trial.user_attrs[schema.RESULT]["given"] for trial in run(step, storage=storage)]
        assert step.round is not None
        given[step.round.recorded.stage] = set(own)
    for stage, n_seeds in (("race", 3), ("estimate", 2)):
        assert given[stage] == {training_seed(0, r, stream=stage) for r in range(n_seeds)}


def test_best_yaml_holds_the_number_and_is_trained_again_with_it(plain: MakeSettings, tmp_path: Path) -> None:
    settings = plain(*SEEDED, "n_trials=1")
    (trial,) = run(settings)
    report_of(settings, open_storage(settings.storage.address), None)
    text = (settings.output_dir / "best.yaml").read_text()
    best = yaml.safe_load(text)
    assert "${" not in text
    assert best["model"]["seed"] == best["training_seed"] == trial.user_attrs[schema.SEED]
    tested = train_and_test(best, budget=Budget(**best["budget"]), folder=tmp_path)
    assert tested.value == trial.value


def test_a_config_that_sets_it_is_refused(bowl: MakeSettings) -> None:
    with pytest.raises(BadInput, match=r"training_seed is 3, but each trial has .* own: set seed instead, and write"):
        bowl("training_seed=3")


def test_it_is_no_path_to_search(bowl: MakeSettings) -> None:
    with pytest.raises(BadInput, match=r"1 problem .*\n.*search_space.x.path is training_seed: vary another key"):
        bowl("search_space.x.path=training_seed")


def test_a_study_with_it_is_another_one_than_with_a_number(bowl: MakeSettings, storage: BaseStorage) -> None:
    with_it, with_number = bowl(*DRAWS), bowl(*DRAWS[:1], "+model.seed=0")
    assert identity(with_it)["interpolated.model.seed"] == "${training_seed}"
    open_study(with_it, storage).ask()
    with pytest.raises(StudyChanged, match=r"interpolated.model.seed is absent but '\$\{training_seed\}'"):
        find_study(with_number, storage)
    assert find_study(bowl(*DRAWS), storage)[0] is not None
