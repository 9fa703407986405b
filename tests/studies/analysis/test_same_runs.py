"""Trials that their seeds do not tell apart: one observation, from which nothing claims an interval."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console
from selections import report_of
from trainings import run

from studies import schema
from studies.analysis.choice import ranked
from studies.analysis.racing import run_race
from studies.analysis.same_runs import distinct, same_runs, same_runs_note
from studies.analysis.table import table_of
from studies.cli.progress import Progress
from studies.config.settings import StudySettings
from studies.selection.race import Candidate, Race, estimated
from studies.selection.steps import Selection, next_step, reader
from studies.storage.slots import rules_of
from studies.storage.stopping import stopping_of
from studies.trial.point_config import PointConfig
from studies.trial.preflight.dry_run import SAME_UNDER_SEEDS, compare_seeds
from studies.trial.preflight.preflight import Preflight, preflight

MakeSettings = Callable[..., StudySettings]
SEEDS_ITSELF = "model._target_=user_modules.SeedsItself"
INTERVAL = re.compile(r"\d \[-?\d")
QUICK = ("budget.amount=1", "model.n_samples=20")
GRID = ("sampler=grid", "n_trials=null", "replicates=2", "search_space.lr.levels=[0.01,0.1]", *QUICK)
TOLD = "the trials of this point under different seeds are identical"


def trial(
    x: float, replicate: int, value: float, *, trajectory: str = "", rungs: tuple[float, ...] = ()
) -> FrozenTrial:
    """A trial as it is stored, of the point `x`."""
    attributes = {schema.REPLICATE: replicate, schema.SEED: 100 + replicate}
    attributes |= {schema.TRAJECTORY: trajectory} if trajectory else {}
    return create_trial(
        state=TrialState.COMPLETE,
        value=value,
        params={"x": x},
        distributions={"x": FloatDistribution(0.0, 1.0)},
        user_attrs=attributes,
        intermediate_values=dict(enumerate(rungs, 1)),
    )


def numbered(*trials: FrozenTrial) -> list[FrozenTrial]:
    for number, found in enumerate(trials):
        found.number = number
    return list(trials)


def selected(settings: StudySettings, storage: BaseStorage) -> tuple[Selection, list[StudySettings]]:
    trials, rounds = run(settings, storage=storage), []
    while isinstance(step := next_step(settings, trials, reader(storage)), StudySettings):
        rounds.append(step)
        run(step, storage=storage)
    assert step is not None
    return step, rounds


def test_the_same_training_under_two_seeds_is_one() -> None:
    trials = numbered(trial(0.1, 1, 0.5, trajectory="a"), trial(0.1, 0, 0.5, trajectory="a"), trial(0.2, 0, 0.5))
    assert [[t.number for t in group] for group in same_runs(trials)] == [[1, 0]]
    assert [t.number for t in distinct(trials)] == [1, 2]
    (best, _) = ranked(trials, maximize=True, by_point=True)
    assert (best.n, best.estimate.half_width) == (1, None)
    assert table_of(trials, maximize=True).y.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "other",
    [
        trial(0.1, 1, 1.0, trajectory="b", rungs=(1.0, 1.0)),  # a saturated accuracy
        trial(0.1, 1, 1.0, trajectory="a", rungs=(0.9, 1.0)),
        trial(0.2, 1, 1.0, trajectory="a", rungs=(1.0, 1.0)),
        trial(0.1, 0, 1.0, trajectory="a", rungs=(1.0, 1.0)),  # the same seed, tried again
        trial(0.1, 1, 1.0, rungs=(1.0, 1.0)),  # a procedure
    ],
)
def test_equal_values_alone_accuse_nobody(other: FrozenTrial) -> None:
    trials = numbered(trial(0.1, 0, 1.0, trajectory="a", rungs=(1.0, 1.0)), other)
    assert same_runs_note(trials) is None
    assert distinct(trials) == trials


def test_trainings_tell_themselves_apart_by_more_than_their_metric(plain: MakeSettings) -> None:
    alike, honest = (run(plain(*GRID, *more)) for more in ((SEEDS_ITSELF,), ("study_name=honest",)))
    assert [len(group) for group in same_runs(alike)] == [2, 2]
    assert same_runs(honest) == []
    assert len({t.user_attrs[schema.TRAJECTORY] for t in honest}) == 4


@pytest.mark.slow
def test_a_module_without_losses_is_told_by_its_weights(plain: MakeSettings) -> None:
    trials = run(plain("model._target_=user_modules.TellsNoLoss", *GRID))
    assert len({t.user_attrs[schema.TRAJECTORY] for t in trials}) == 4


def test_a_run_says_so_once_as_soon_as_two_trials_show_it(plain: MakeSettings) -> None:
    settings = plain(*GRID, SEEDS_ITSELF)
    run(settings)
    study = optuna.load_study(study_name="plain", storage=settings.storage.address)
    out = StringIO()
    with Progress(study, rules_of(settings), stopping_of(settings).device_time, console=Console(file=out)) as progress:
        progress.tick()
        progress.tick()
    assert out.getvalue().count(f"note: {TOLD} (trials 0 and 2, say): the module seeds itself (seed_everything?)") == 1


@pytest.mark.slow
def test_a_report_of_them_has_no_interval(plain: MakeSettings, storage: BaseStorage) -> None:
    settings = plain(*GRID, SEEDS_ITSELF, "+search_space.lr.role=scientific")
    run(settings, storage=storage)
    printed, report = report_of(settings, storage, None)
    for text in (printed, report):
        assert TOLD in text
        assert "${training_seed}" in text
        assert not INTERVAL.search(text)
        assert "2 seeds" not in text
    assert "tie," not in report
    honest = plain(*GRID, "study_name=honest")
    run(honest, storage=storage)
    assert TOLD not in report_of(honest, storage, None)[1]


@pytest.mark.slow
def test_a_selection_of_them_compares_nothing(plain: MakeSettings, storage: BaseStorage) -> None:
    asked = ("select=race", "select.k=2", "select.seeds=6", "select.estimate_seeds=8", "n_trials=2")
    settings = plain(SEEDS_ITSELF, *QUICK, *asked, "analysis=none")
    selection, rounds = selected(settings, storage)
    assert [step.n_trials for step in rounds] == [2 * 3, 1]  # no further seeds than showed it
    (race,) = selection.races
    assert race.seedless == {0, 1}
    assert race.survivors == (0, 1)
    printed, report = report_of(settings, storage, selection)
    for text in (printed, report):
        assert not any(word in text for word in ("fresh seeds, test", "tied", "confidence", "surely"))
        assert not INTERVAL.search(text)
    assert "one training, which no seed changes" in printed
    assert "No p: the trainings of trials" in report
    assert "not compared" in report


def test_a_race_with_a_candidate_that_no_seed_changes_sends_nobody_home() -> None:
    values = np.array([[0.9] * 8, [0.5] * 8])
    assert run_race(values, analyses=(8,), n_analyses=1, maximize=True).survivors == (0,)
    elimination = run_race(values, analyses=(8,), n_analyses=1, maximize=True, seedless=(1,))
    assert (elimination.leader, elimination.survivors) == (0, (0, 1))
    assert [standing.n for standing in elimination.standings] == [8, 1]
    assert all(np.isnan(standing.p_value) for standing in elimination.standings)


def test_a_single_candidate_is_noticed_by_its_fresh_seeds() -> None:
    (searched, *fresh) = numbered(*(trial(0.1, r, 0.5, trajectory="a") for r in range(4)))
    alone = Race({}, (Candidate(searched, 0.5),), np.full((1, 4), np.nan), ((),), winner=0)
    found = estimated(alone, fresh, metric="val_loss")
    assert found.is_seedless
    assert found.estimate is not None
    assert found.estimate.n == 1
    assert not estimated(alone, [trial(0.1, r, 0.5) for r in range(3)], metric="val_loss").is_seedless


@pytest.mark.slow
def test_a_check_finds_it_by_a_batch_under_two_seeds(plain: MakeSettings) -> None:
    for model, expected in ((SEEDS_ITSELF, (SAME_UNDER_SEEDS,)), ("model.batch_size=5", ())):
        found = dict(Preflight(plain(model, *QUICK)).dry_runs(corners=(), typical=(), until=None))
        assert found["seeds"].notes == expected
    seeded = plain(SEEDS_ITSELF, "+model.seed=${training_seed}", *QUICK)
    assert compare_seeds(PointConfig(seeded, {"lr": 0.1})).notes == ()


def test_loaders_that_a_data_module_replaces_are_told(plain: MakeSettings) -> None:
    told: list[str] = []
    assert preflight(plain("+datamodule._target_=user_data.Line", *QUICK), tell=told.append) == []
    assert told == [
        "note: datamodule is Line, so train_dataloader and val_dataloader of Plain are not used: "
        "datamodule=none uses the module's own"
    ]
