"""The selection after a search, planned from the storage and run by the framework's own worker on known values."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from itertools import cycle
from typing import Any

import optuna
import pytest
import yaml
from landscapes import Landscape, Point, run_selection, run_study
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from studies import schema
from studies.errors import BadInput
from studies.report.best_yaml import selected
from studies.report.report import write_report
from studies.schema import Failure
from studies.search.rounds import Lane, announcement, describe_round, round_of
from studies.search.seeds import training_seed
from studies.search.select import Selection, next_step, reader
from studies.selection import selection_of as concluded
from studies.settings import SelectSettings, StudySettings
from studies.signals import StopSignals
from studies.storage.slots import rules_of

MakeSettings = Callable[..., StudySettings]
RACE = ("select=race", "select.k=4", "select.seeds=4", "select.estimate_seeds=5", "launcher=serial")
CHEAP = ("sampler=random", "pruner=none", "analysis=none")
LOOKS = (3, 4)


@pytest.fixture
def storage() -> BaseStorage:
    return InMemoryStorage()


@pytest.fixture
def digits(make_settings: MakeSettings) -> MakeSettings:
    return lambda *more, study="digits": make_settings(*CHEAP, *RACE, *more, study=study)


def by_dropout(point: Point) -> float:
    """The less dropout the better, from .8 to .9."""
    return 0.9 - 0.2 * float(point["dropout"])


def trials_of(name: str, storage: BaseStorage) -> list[FrozenTrial]:
    return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)


def selection_of(
    settings: StudySettings, storage: BaseStorage, landscape: Landscape
) -> tuple[Selection, list[StudySettings]]:
    selection, rounds = run_selection(settings, storage, landscape)
    assert selection is not None
    return selection, rounds


def best_points(settings: StudySettings, storage: BaseStorage, k: int) -> list[dict[str, Any]]:
    complete = [t for t in trials_of(settings.study_name, storage) if t.state == TrialState.COMPLETE]
    return [t.params for t in sorted(complete, key=lambda t: -(t.value or 0))[:k]]


def test_the_best_of_the_search_race_on_common_fresh_seeds_and_the_winner_trains_on_others(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=20")
    selection, rounds = selection_of(settings, storage, Landscape(by_dropout, noise=0.0001))
    first = trials_of(rounds[0].study_name, storage)
    points = best_points(settings, storage, 4)
    assert Counter(str(t.params) for t in first) == {str(point): LOOKS[0] for point in points}
    for point in points:
        seeds = [t.user_attrs[schema.SEED] for t in first if t.params == point]
        assert seeds == [training_seed(settings.seed, r, stream="race") for r in range(LOOKS[0])]
    last = trials_of(rounds[-1].study_name, storage)
    assert selection.best is not None
    assert selection.best.champion is not None
    assert [t.params for t in last] == [selection.best.champion.trial.params] * 5
    assert [t.user_attrs[schema.SEED] for t in last] == [
        training_seed(settings.seed, r, stream="estimate") for r in range(5)
    ]
    assert selection.best.champion.trial.params == points[0]
    assert selection.n_trainings == sum(r.n_trials for r in rounds)


def test_each_stage_has_seeds_of_its_own() -> None:
    for study_seed in range(20):
        streams = [{training_seed(study_seed, r, stream=s) for r in range(64)} for s in ("search", "race", "estimate")]
        assert len(set.union(*streams)) == 3 * 64


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
    assert [c.race for c in found.contests] == [c.race for c in wanted.contests]
    assert [c.estimate for c in found.contests] == [c.estimate for c in wanted.contests]
    assert len(interrupted.get_all_studies()) == len(whole.get_all_studies())
    for study in interrupted.get_all_studies():
        n_trials = study.user_attrs[schema.STUDY_N_TRIALS]
        assert rules_of(step).max_retries == 2
        assert len(trials_of(study.study_name, interrupted)) == n_trials


def test_a_round_says_in_the_storage_of_what_it_is_one(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=10")
    _, rounds = selection_of(settings, storage, Landscape(by_dropout))
    told = optuna.load_study(study_name=rounds[0].study_name, storage=storage).user_attrs[schema.STUDY_SELECT]
    assert (told["of"], told["stage"], told["round"]) == (settings.study_name, "race", 1)
    searched = {trial.number: trial.params for trial in trials_of(settings.study_name, storage)}
    first = trials_of(rounds[0].study_name, storage)
    assert [searched[number] for number in told["trials"]] == [trial.params for trial in first]
    assert {trial.user_attrs[schema.SOURCE] for trial in first} == {"points"}


def test_who_is_surely_worse_leaves_and_is_not_trained_on(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=8", "select.k=8", "select.seeds=8")
    selection, rounds = selection_of(settings, storage, Landscape(by_dropout, noise=0.0001))
    assert rounds[0].n_trials == 8 * 4
    assert len(rounds) == 2, "the race was decided at its first look"
    (contest,) = selection.contests
    assert contest.race is not None
    assert contest.staying == (contest.winner,)


def test_a_candidate_that_diverges_leaves_and_is_told(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=10")

    def fails(point: Point, seed: int, now: StudySettings) -> Failure | None:
        best = best_points(settings, storage, 1)[0] if now.study_name != settings.study_name else None
        return Failure.DIVERGED if point == best and seed == training_seed(0, 1, stream="race") else None

    selection, _ = selection_of(settings, storage, Landscape(by_dropout, noise=0.0001, fails=fails))
    (contest,) = selection.contests
    assert contest.failures == {0: "diverged: as was asked for"}
    assert contest.winner == 1
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
    (contest,) = selection.contests
    assert contest.race is not None
    assert set(contest.failures) == {0}
    assert 2 in contest.staying, "only the failed one was better than it"
    assert contest.race.standings[2].n == 8
    trainings = [t for r in rounds for t in trials_of(r.study_name, storage)]
    trained = Counter((str(t.params), t.user_attrs[schema.SEED]) for t in trainings)
    assert set(trained.values()) == {1}, "no seed is trained twice"
    assert "failed ones aside" in report_of(settings, storage, selection)[1]


def test_a_fresh_seed_without_a_value_is_left_out_of_the_estimate_and_told(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=10")

    def fails(point: Point, seed: int, now: StudySettings) -> Failure | None:
        return Failure.OUT_OF_MEMORY if seed == training_seed(0, 2, stream="estimate") else None

    selection, _ = selection_of(settings, storage, Landscape(by_dropout, fails=fails))
    assert selection.best is not None
    assert selection.best.estimate is not None
    assert selection.best.estimate.n == 4
    report = report_of(settings, storage, selection)[1]
    assert "4 fresh seeds that decided nothing (1 of 5 gave no value and are left out: out_of_memory" in report


def test_where_all_candidates_fail_the_best_of_the_search_is_told_as_such(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=6", "max_retries=0", "max_failures=100")

    def fails(point: Point, seed: int, now: StudySettings) -> Failure | None:
        return Failure.ERROR if now.study_name != settings.study_name else None

    selection, rounds = selection_of(settings, storage, Landscape(by_dropout, fails=fails))
    assert len(rounds) == 1
    assert (selection.best, selected(settings, selection)) == (None, None)
    printed, report = report_of(settings, storage, selection)
    assert printed.startswith("Best val/accuracy ")
    assert "Nothing could be selected" in report
    assert "optimistic" in report


def test_fewer_completed_points_than_were_asked_for_all_race_and_it_is_told(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = replace(digits(), n_trials=3)
    selection, rounds = selection_of(settings, storage, Landscape(by_dropout))
    assert rounds[0].n_trials == 3 * LOOKS[0]
    told = "All 3 completed points (fewer than the 4 that were asked for)"
    assert told in report_of(settings, storage, selection)[1]


def test_a_single_candidate_needs_no_race(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = replace(digits(), n_trials=1)
    selection, rounds = selection_of(settings, storage, Landscape(by_dropout))
    assert [r.n_trials for r in rounds] == [5]
    assert "There was one candidate, and no race." in report_of(settings, storage, selection)[1]


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
    numbers = step.sampler.options["round"]["trials"]
    assert set(numbers) >= {6}
    assert not {best.number, 7} & set(numbers)


def test_of_a_grid_with_replicates_the_best_cells_race(digits: MakeSettings, storage: BaseStorage) -> None:
    """The mean over a cell's seeds counts, never its luckiest."""
    settings = digits("sampler=grid", study="digits_grid")

    def worth(point: Point) -> float:
        return 0.5 + 0.001 * float(point["batch_size"])

    selection, _ = selection_of(settings, storage, Landscape(worth, noise=0.001))
    (contest,) = selection.contests
    assert {candidate.trial.params["batch_size"] for candidate in contest.candidates} == {256}
    assert len({str(candidate.trial.params) for candidate in contest.candidates}) == 4


def test_the_cheapest_within_one_standard_error_wins_under_that_rule(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    def worth(_: Point) -> float:
        return 0.9

    settings = digits("n_trials=12", "seed=1", "select.rule=one_standard_error", "select.k=8", "select.seeds=8")
    landscape = Landscape(worth, noise=0.05, seconds=lambda point: float(point["dropout"]))
    selection, _ = selection_of(settings, storage, landscape)
    (contest,) = selection.contests
    assert contest.race is not None
    assert contest.race.leader is not None
    leader = contest.race.standings[contest.race.leader]
    near = [i for i in contest.staying if leader.mean - contest.race.standings[i].mean <= leader.sd / 8**0.5]
    assert len(near) > 1
    assert contest.winner == min(near, key=lambda i: contest.candidates[i].trial.params["dropout"])
    told = "the cheapest (seconds"
    assert told in report_of(settings, storage, selection)[1]


def test_each_scientific_value_has_a_race_and_an_estimate_of_its_own(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    asked = ("n_trials=40", "select.per_value=true", "select.k=2", "select.seeds=3")
    settings = digits(*asked, study="digits_optimizers")
    good = {"adam": 0.9, "adamw": 0.88, "sgd": 0.86, "rmsprop": 0.84, "adagrad": 0.82}
    selection, rounds = selection_of(settings, storage, Landscape(lambda p: good[p["optimizer"]], noise=0.001))
    assert [c.scientific["optimizer"] for c in selection.contests] == ["sgd", "adam", "adamw", "rmsprop", "adagrad"]
    for contest in selection.contests:
        assert {c.trial.params["optimizer"] for c in contest.candidates} == {contest.scientific["optimizer"]}
        assert contest.estimate is not None
        assert contest.estimate.estimate == pytest.approx(good[str(contest.scientific["optimizer"])], abs=0.005)
    assert selection.best is not None
    assert selection.best.scientific == {"optimizer": "adam"}
    assert rounds[-1].n_trials == 5 * 5
    report = report_of(settings, storage, selection)[1]
    assert "### By value" in report
    assert "### The race: optimizer = sgd" in report
    assert "for each of 5 values of optimizer: at most 55 trainings" in announcement(settings)


def test_each_round_trains_the_seeds_that_the_one_before_did_not(digits: MakeSettings, storage: BaseStorage) -> None:
    """Equals all stay: 4 on 3 seeds, then on the fourth alone, and 5 fresh trainings of the winner."""
    selection, rounds = selection_of(digits("n_trials=8"), storage, Landscape(lambda _: 0.5, noise=0.0))
    assert len(selection.contests[0].staying) == 4
    assert [r.n_trials for r in rounds] == [4 * 3, 4 * 1, 5]
    assert selection.n_trainings == 21


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_of_several_races_the_best_is_the_one_whose_winner_did_best(
    direction: str, digits: MakeSettings, storage: BaseStorage
) -> None:
    """Whether it is a gain or a loss; and the search's best is the best of all that it found."""
    asked = ("n_trials=40", "select.per_value=true", "select.k=2", "select.seeds=3", f"objective.direction={direction}")
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
    assert [r.n_trials for r in rounds] == [5 * LOOKS[0], 5 * 5]
    assert selection.best is not None
    assert selection.best.scientific == {"optimizer": "adamw"}


def test_more_trials_later_make_a_new_selection_beside_the_old_one(digits: MakeSettings, storage: BaseStorage) -> None:
    landscape = Landscape(by_dropout, noise=0.001)
    first, old = selection_of(digits("n_trials=10"), storage, landscape)
    before = landscape.n_run
    second, new = selection_of(digits("n_trials=60"), storage, landscape)
    assert {r.study_name for r in old}.isdisjoint(r.study_name for r in new)
    assert len(second.contests[0].candidates) == 4
    assert landscape.n_run > before + 50
    assert first.best is not None
    again, none = selection_of(digits("n_trials=60"), storage, landscape)
    assert none == []
    assert again.contests[0].estimate == second.contests[0].estimate


def test_the_test_part_is_looked_at_in_the_estimate_alone(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=10", "objective.test=true")
    selection, rounds = selection_of(settings, storage, Landscape(by_dropout))
    assert [r.objective.test for r in rounds] == [False] * (len(rounds) - 1) + [True]
    assert all(schema.TEST not in t.user_attrs for r in rounds[:-1] for t in trials_of(r.study_name, storage))
    assert selection.best is not None
    assert selection.best.estimate is not None
    test = selection.best.tests["test/accuracy"]
    assert test.estimate == pytest.approx(selection.best.estimate.estimate - 0.02)
    assert (test.n, test.n_samples) == (5, 500)
    assert selection.best.tests["test/loss"].n_samples is None
    assert test.ci_hi - test.ci_lo > selection.best.estimate.ci_hi - selection.best.estimate.ci_lo


def test_without_a_test_part_the_metric_on_fresh_seeds_is_all_that_is_known(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=10")
    selection, _ = selection_of(settings, storage, Landscape(by_dropout, has_test_part=False))
    assert selection.best is not None
    assert selection.best.tests == {}
    assert "It was not tested: the module has no test part." in report_of(settings, storage, selection)[1]


@pytest.mark.parametrize("end", ["stop_at=0.0", "device_seconds=1e-9"])
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


def test_no_training_of_a_round_is_pruned_and_none_is_the_last(digits: MakeSettings, storage: BaseStorage) -> None:
    """What ends a search early would make the race one of survivors."""
    settings = digits(
        "n_trials=6",
        "pruner=median",
        "stop_at=0.99",
        "device_seconds=1e6",
        "enqueue=[{lr: 1e-3}]",
        "checkpoint.keep_best=2",
    )
    step = next_step(settings, run_study(settings, storage, Landscape(by_dropout)), reader(storage))
    assert isinstance(step, StudySettings)
    assert step.device_seconds is None, "it bounds the search"
    assert (step.pruner.name, step.stop_at, step.enqueue, step.checkpoint.keep_best) == ("none", None, (), 0)


def test_a_loss_is_selected_by_its_smallest(make_settings: MakeSettings, storage: BaseStorage) -> None:
    settings = make_settings(*RACE, "n_trials=8", study="plain")
    selection, _ = selection_of(settings, storage, Landscape(lambda point: float(point["lr"]), noise=1e-6))
    assert selection.best is not None
    assert selection.best.champion is not None
    complete = trials_of(settings.study_name, storage)
    assert selection.best.champion.trial.params["lr"] == min(t.params["lr"] for t in complete)


def report_of(settings: StudySettings, storage: BaseStorage, selection: Selection | None) -> tuple[str, str]:
    """What the report prints, and report.md."""
    study = optuna.load_study(study_name=settings.study_name, storage=storage)
    out = StringIO()
    console = Console(file=out, soft_wrap=True, width=600)
    write_report(study, settings, rules_of(settings), console=console, selection=selection)
    return out.getvalue(), (settings.output_dir / "report.md").read_text()


def test_the_report_tells_the_selected_one_and_what_it_is_worth(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=20")
    selection, _ = selection_of(settings, storage, Landscape(by_dropout))
    contest = selection.best
    assert contest is not None
    assert contest.estimate is not None
    assert contest.champion is not None
    found, number = contest.estimate, contest.champion.trial.number
    printed, report = report_of(settings, storage, selection)
    assert printed.startswith(f"Selected val/accuracy {found.estimate:.4f} ± ")
    assert f"(trial {number}, 5 fresh seeds), test/accuracy {contest.tests['test/accuracy'].estimate:.4f} [" in printed
    assert f"the search's best value was {selection.searched.value:.4f}" in printed
    assert "20 of 20 trials finished" in printed
    assert "optimistic" not in report
    assert "over seeds and 500 test samples" in report
    best = yaml.safe_load((settings.output_dir / "best.yaml").read_text())
    assert (best["value"], best["n_seeds"], best["trial"]) == (found.estimate, 5, number)
    assert best["point"] == contest.champion.trial.params
    assert best["training_seed"] in {training_seed(0, r, stream="estimate") for r in range(5)}
    assert best["selection"]["ties"] == [contest.candidates[i].trial.number for i in contest.staying]
    with (settings.output_dir / "select.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    (winner,) = [row for row in rows if row["selected"] == "True"]
    assert (winner["trial"], float(winner["estimate"]), winner["n_test_samples"]) == (
        str(number),
        found.estimate,
        "500",
    )
    assert all(row["estimate"] == "" for row in rows if row is not winner)


def test_before_the_selection_has_come_to_its_end_the_best_of_the_search_is_told_as_such(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=10")
    selection, _ = selection_of(settings, storage, Landscape(by_dropout))
    report_of(settings, storage, selection)
    printed, report = report_of(settings, storage, None)
    assert "nothing is selected yet; the same command goes on." in printed
    assert "optimistic" in report
    assert not (settings.output_dir / "select.csv").exists()


def test_the_budget_is_stated_before_it_is_spent(digits: MakeSettings) -> None:
    assert announcement(digits()) == (
        "select: 4 configurations × up to 4 seeds, then 5 fresh seeds of the winner: at most 21 trainings"
    )


def test_one_of_a_thing_is_told_as_one(digits: MakeSettings) -> None:
    """A value's race may have one candidate, of one seed where the others' rounds need no more."""
    lane = Lane(0, 0, create_trial(value=1.0))
    assert describe_round(round_of(digits(), "race", [(lane, 0)], number=1)).endswith("1 configuration on 1 seed")
    two = [(lane, 0), (lane, 1)]
    assert describe_round(round_of(digits(), "race", two, number=1)).endswith("1 configuration on 2 seeds")
    assert describe_round(round_of(digits(), "estimate", two)).endswith("the winner on 2 fresh seeds")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("select.seeds=2",), "select.seeds is 2: give a whole number of at least 3"),
        (("select.k=0",), "select.k is 0: give a whole number of at least 2"),
        (("select.k=1",), "select.k is 1: give a whole number of at least 2"),
        (("select.k=13",), "select.k is 13 but the search has 12 trials: give no more than 12, or more n_trials"),
        (
            ("sampler=grid", "n_trials=null", "search_space=lr_batch_size", "replicates=2", "select.k=13"),
            "select.k is 13 but the grid has 12 cells: give no more than 12, or more levels",
        ),
        (
            ("select.cost=steps",),
            "select.cost is steps but select.rule is best, which looks at no cost: set select.rule=one_standard_error",
        ),
        (("select.rule=luck",), "select.rule is 'luck'"),
        (("select.per_value=true",), "select.per_value is true but no parameter of the search space is scientific"),
        (
            ("select.per_value=true", "+search_space.lr.role=scientific"),
            "select.per_value is true, and lr has a continuum of values: give it a step",
        ),
        (
            ("objective.second={metric: seconds}",),
            "select is race, which looks for one winner, and there are two objectives",
        ),
        (("sampler.name=points",), "sampler.name is 'points'"),
    ],
)
def test_what_makes_no_sense_is_told(digits: MakeSettings, overrides: Sequence[str], told: str) -> None:
    with pytest.raises(BadInput) as caught:
        digits(*overrides)
    assert told in str(caught.value)


def test_as_many_race_as_there_are(digits: MakeSettings) -> None:
    grid = ("sampler=grid", "n_trials=null", "search_space=lr_batch_size", "replicates=2")
    assert digits("select.k=12").select.k == digits(*grid, "select.k=12").select.k == 12
    assert digits("select.cost=steps", "select.rule=one_standard_error").select.cost == "steps"
    assert digits("select.cost=seconds").select.rule == "best"


def test_the_size_of_a_race_is_not_told_where_the_number_of_trials_is_wrong(digits: MakeSettings) -> None:
    with pytest.raises(BadInput) as caught:
        digits("n_trials=0")
    assert [problem.key for problem in caught.value.problems] == ["n_trials"]


def test_a_selection_that_a_study_asks_for_is_turned_off_by_the_command_line(make_settings: MakeSettings) -> None:
    assert make_settings(study="mnist").select.k == 6
    assert make_settings("select=none", study="mnist").select == SelectSettings()
    with pytest.raises(BadInput, match=r"^1 problem .*\n.* select\.k is set but nothing is selected: add select=race"):
        make_settings("select=none", "select.k=4", study="mnist")


def test_options_of_a_selection_that_is_not_asked_for_are_told(make_settings: MakeSettings) -> None:
    with pytest.raises(BadInput, match=r"select\.k is set but nothing is selected: add select=race"):
        make_settings("+select.k=3")
