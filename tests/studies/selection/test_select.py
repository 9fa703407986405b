"""The selection after a search, planned from the storage and run by the framework's own worker on known values."""

from __future__ import annotations

from collections import Counter
from itertools import cycle

import optuna
import pytest
from landscapes import Landscape, Point, run_selection, run_study
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState
from selections import ANALYSES, RACE, MakeSettings, best_points, by_dropout, report_of, selection_of, trials_of

from studies import schema
from studies.config.settings import StudySettings
from studies.process.signals import StopSignals
from studies.schema import Failure
from studies.search.seeds import training_seed
from studies.selection.rounds import announcement
from studies.selection.run import selection_of as concluded
from studies.selection.steps import next_step, reader
from studies.storage.slots import rules_of


def test_the_best_of_the_search_race_on_common_fresh_seeds_and_the_winner_trains_on_others(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=20")
    selection, rounds = selection_of(settings, storage, Landscape(by_dropout, noise=0.0001))
    first = trials_of(rounds[0].study_name, storage)
    points = best_points(settings, storage, 4)
    assert Counter(str(t.params) for t in first) == {str(point): ANALYSES[0] for point in points}
    for point in points:
        seeds = [t.user_attrs[schema.SEED] for t in first if t.params == point]
        assert seeds == [training_seed(settings.seed, r, stream="race") for r in range(ANALYSES[0])]
    last = trials_of(rounds[-1].study_name, storage)
    assert selection.best is not None
    assert selection.best.champion is not None
    assert [t.params for t in last] == [selection.best.champion.trial.params] * 5
    assert [t.user_attrs[schema.SEED] for t in last] == [
        training_seed(settings.seed, r, stream="estimate") for r in range(5)
    ]
    assert selection.best.champion.trial.params == points[0]
    assert selection.n_trainings == sum(r.n_trials for r in rounds)


def test_the_plan_follows_from_the_storage_alone_and_changes_nothing_in_it(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=10")
    trials = run_study(settings, storage, Landscape(by_dropout))
    first = next_step(settings, trials, reader(storage))
    again = next_step(settings, list(reversed(trials)), reader(storage))
    assert isinstance(first, StudySettings)
    assert first == again
    assert [s.study_name for s in storage.get_all_studies()] == [settings.study_name]


def test_a_selection_that_is_interrupted_goes_on_and_ends_as_if_it_had_not_been(digits: MakeSettings) -> None:
    settings = digits("n_trials=10")
    whole, interrupted = InMemoryStorage(), InMemoryStorage()
    wanted, _ = selection_of(settings, whole, Landscape(by_dropout))
    landscape = Landscape(by_dropout, signals=StopSignals(), n_left=10 + 5)
    assert run_selection(settings, interrupted, landscape)[0] is None
    trials = trials_of(settings.study_name, interrupted)
    step = next_step(settings, trials, reader(interrupted))
    assert isinstance(step, StudySettings)
    assert 0 < len(trials_of(step.study_name, interrupted)) < step.n_trials
    found, _ = selection_of(settings, interrupted, Landscape(by_dropout))
    assert [c.elimination for c in found.races] == [c.elimination for c in wanted.races]
    assert [c.estimate for c in found.races] == [c.estimate for c in wanted.races]
    assert len(interrupted.get_all_studies()) == len(whole.get_all_studies())
    for study in interrupted.get_all_studies():
        n_trials = study.user_attrs[schema.STUDY_N_TRIALS]
        assert rules_of(step).max_retries == 2
        assert len(trials_of(study.study_name, interrupted)) == n_trials


def test_who_is_surely_worse_leaves_and_is_not_trained_on(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=8", "select.k=8", "select.seeds=8")
    selection, rounds = selection_of(settings, storage, Landscape(by_dropout, noise=0.0001))
    assert rounds[0].n_trials == 8 * 4
    assert len(rounds) == 2, "the race was decided at its first interim analysis"
    (race,) = selection.races
    assert race.elimination is not None
    assert race.survivors == (race.winner,)


def test_a_candidate_that_diverges_leaves_and_is_told(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=10")

    def fails(point: Point, seed: int, now: StudySettings) -> Failure | None:
        best = best_points(settings, storage, 1)[0] if now.study_name != settings.study_name else None
        return Failure.DIVERGED if point == best and seed == training_seed(0, 1, stream="race") else None

    selection, _ = selection_of(settings, storage, Landscape(by_dropout, noise=0.0001, fails=fails))
    (race,) = selection.races
    assert race.failures == {0: "diverged: as was asked for"}
    assert race.winner == 1
    assert "| left: diverged: as was asked for |" in report_of(settings, storage, selection)[1]


def test_whom_a_leader_sent_home_that_fails_later_comes_back_and_makes_up_for_its_seeds(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=4", "select.k=4", "select.seeds=8")
    searched = run_study(settings, storage, Landscape(by_dropout, noise=0))
    ranks = {str(sorted(t.params.items())): i for i, t in enumerate(sorted(searched, key=lambda t: -(t.value or 0)))}
    swing = cycle([0.6, 1.1])

    def worth(point: Point) -> float:
        rank = ranks[str(sorted(point.items()))]
        return next(swing) if rank == 1 else 0.95 - 0.05 * rank

    def fails(point: Point, seed: int, now: StudySettings) -> Failure | None:
        is_leader = ranks[str(sorted(point.items()))] == 0
        return Failure.DIVERGED if is_leader and seed == training_seed(0, 5, stream="race") else None

    selection, rounds = selection_of(settings, storage, Landscape(worth, noise=0.001, fails=fails))
    (race,) = selection.races
    assert race.elimination is not None
    assert set(race.failures) == {0}
    assert 2 in race.survivors, "only the failed one was better than it"
    assert race.elimination.standings[2].n == 8
    trainings = [t for r in rounds for t in trials_of(r.study_name, storage)]
    trained = Counter((str(t.params), t.user_attrs[schema.SEED]) for t in trainings)
    assert set(trained.values()) == {1}, "no seed is trained twice"
    assert "failed ones aside" in report_of(settings, storage, selection)[1]


def test_nothing_completed_is_nothing_to_select_from(digits: MakeSettings, storage: BaseStorage) -> None:
    landscape = Landscape(by_dropout, fails=lambda *_: Failure.DIVERGED)
    assert run_selection(digits("n_trials=4"), storage, landscape) == (None, [])


def test_neither_pruned_trials_nor_a_point_twice_are_candidates(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=6")
    trials = run_study(settings, storage, Landscape(by_dropout))
    best = max(trials, key=lambda t: t.value or 0)
    study = optuna.load_study(study_name=settings.study_name, storage=storage)
    twin = optuna.trial.create_trial(params=best.params, distributions=best.distributions, value=0.99)
    pruned = optuna.trial.create_trial(
        state=TrialState.PRUNED, params=trials[0].params, distributions=best.distributions, intermediate_values={1: 1.0}
    )
    study.add_trials([twin, pruned])
    step = next_step(settings, study.get_trials(), reader(storage))
    assert isinstance(step, StudySettings)
    assert step.round is not None
    numbers = step.round.recorded.trials
    assert set(numbers) >= {6}
    assert not {best.number, 7} & set(numbers)


def test_of_a_grid_with_replicates_the_best_cells_race(digits: MakeSettings, storage: BaseStorage) -> None:
    """The mean over a cell's seeds counts, never its luckiest."""
    settings = digits("sampler=grid", study="digits_grid")

    def worth(point: Point) -> float:
        return 0.5 + 0.001 * float(point["batch_size"])

    selection, _ = selection_of(settings, storage, Landscape(worth, noise=0.001))
    (race,) = selection.races
    assert {candidate.trial.params["batch_size"] for candidate in race.candidates} == {256}
    assert len({str(candidate.trial.params) for candidate in race.candidates}) == 4


def test_the_cheapest_within_one_standard_error_wins_under_that_rule(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    def worth(_: Point) -> float:
        return 0.9

    settings = digits("n_trials=12", "seed=1", "select.rule=one_standard_error", "select.k=8", "select.seeds=8")
    landscape = Landscape(worth, noise=0.05, seconds=lambda point: float(point["dropout"]))
    selection, _ = selection_of(settings, storage, landscape)
    (race,) = selection.races
    assert race.elimination is not None
    assert race.elimination.leader is not None
    leader = race.elimination.standings[race.elimination.leader]
    near = [i for i in race.survivors if leader.mean - race.elimination.standings[i].mean <= leader.sd / 8**0.5]
    assert len(near) > 1
    assert race.winner == min(near, key=lambda i: race.candidates[i].trial.params["dropout"])
    told = "the cheapest (seconds"
    assert told in report_of(settings, storage, selection)[1]


def test_each_scientific_value_has_a_race_and_an_estimate_of_its_own(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    asked = ("n_trials=40", "select.per_value=true", "select.k=2", "select.seeds=3")
    settings = digits(*asked, study="digits_optimizers")
    good = {"adam": 0.9, "adamw": 0.88, "sgd": 0.86, "rmsprop": 0.84, "adagrad": 0.82}
    selection, rounds = selection_of(settings, storage, Landscape(lambda p: good[p["optimizer"]], noise=0.001))
    assert [c.scientific["optimizer"] for c in selection.races] == ["sgd", "adam", "adamw", "rmsprop", "adagrad"]
    for race in selection.races:
        assert {c.trial.params["optimizer"] for c in race.candidates} == {race.scientific["optimizer"]}
        assert race.estimate is not None
        assert race.estimate.value == pytest.approx(good[str(race.scientific["optimizer"])], abs=0.005)
    assert selection.best is not None
    assert selection.best.scientific == {"optimizer": "adam"}
    assert rounds[-1].n_trials == 5 * 5
    report = report_of(settings, storage, selection)[1]
    assert "### By value" in report
    assert "### The race: optimizer = sgd" in report
    assert "for each of 5 values of optimizer: at most 55 trainings" in announcement(settings)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_of_several_races_the_best_is_the_one_whose_winner_did_best(
    direction: str, digits: MakeSettings, storage: BaseStorage
) -> None:
    """Whether it is a gain or a loss; and the search's best is the best of all that it found."""
    asked = ("n_trials=40", "select.per_value=true", "select.k=2", "select.seeds=3", f"objective.direction={direction}")
    asked += ("objective.direction_is_meant=true",)
    settings = digits(*asked, study="digits_optimizers")
    worth = {"sgd": 0.86, "adam": 0.9, "adamw": 0.8, "rmsprop": 0.84, "adagrad": 0.88}
    selection, _ = selection_of(settings, storage, Landscape(lambda p: worth[p["optimizer"]], noise=0.001))
    best = "adam" if direction == "maximize" else "adamw"
    found = [trial.value or 0.0 for trial in trials_of(settings.study_name, storage)]
    assert selection.best is not None
    assert selection.best.scientific == {"optimizer": best}
    assert selection.searched.trial.params["optimizer"] == best
    assert selection.searched.value == (max(found) if direction == "maximize" else min(found))


def test_a_value_with_a_single_candidate_runs_the_first_round_to_be_compared(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    """One candidate of each of five values has no race to win, but a mean on the common seeds."""
    asked = ("n_trials=40", "select.per_value=true", "select.k=1")
    settings = digits(*asked, study="digits_optimizers")
    worth = {"sgd": 0.86, "adam": 0.88, "adamw": 0.9, "rmsprop": 0.84, "adagrad": 0.82}
    selection, rounds = selection_of(settings, storage, Landscape(lambda p: worth[p["optimizer"]], noise=0.001))
    assert [r.n_trials for r in rounds] == [5 * ANALYSES[0], 5 * 5]
    assert selection.best is not None
    assert selection.best.scientific == {"optimizer": "adamw"}


def test_more_trials_later_make_a_new_selection_beside_the_old_one(digits: MakeSettings, storage: BaseStorage) -> None:
    landscape = Landscape(by_dropout, noise=0.001)
    first, old = selection_of(digits("n_trials=10"), storage, landscape)
    before = landscape.n_run
    second, new = selection_of(digits("n_trials=60"), storage, landscape)
    assert {r.study_name for r in old}.isdisjoint(r.study_name for r in new)
    assert len(second.races[0].candidates) == 4
    assert landscape.n_run > before + 50
    assert first.best is not None
    again, none = selection_of(digits("n_trials=60"), storage, landscape)
    assert none == []
    assert again.races[0].estimate == second.races[0].estimate


@pytest.mark.parametrize("end", ["stop_at=0.01", "device_seconds=1e-9"])
def test_a_search_that_ended_early_is_selected_from_once_nothing_of_it_runs(
    digits: MakeSettings, storage: BaseStorage, end: str
) -> None:
    settings = digits("n_trials=20", end)
    selection, _ = selection_of(settings, storage, Landscape(by_dropout))
    trials = trials_of(settings.study_name, storage)
    assert len(trials) == 1
    assert concluded(settings, trials, storage) is not None
    assert concluded(digits("n_trials=20"), trials, storage) is None, "it goes on"
    study = optuna.load_study(study_name=settings.study_name, storage=storage)
    study.ask()
    assert concluded(settings, study.get_trials(), storage) is None, "what still runs may be among the best"
    assert selection.n_trainings == 5


def test_a_loss_is_selected_by_its_smallest(make_settings: MakeSettings, storage: BaseStorage) -> None:
    settings = make_settings(*RACE, "n_trials=8", study="plain")
    selection, _ = selection_of(settings, storage, Landscape(lambda point: float(point["lr"]), noise=1e-6))
    assert selection.best is not None
    assert selection.best.champion is not None
    complete = trials_of(settings.study_name, storage)
    assert selection.best.champion.trial.params["lr"] == min(t.params["lr"] for t in complete)
