"""The report of a study whose selection ran on known values."""

from __future__ import annotations

import csv
from dataclasses import replace

import yaml
from landscapes import Landscape, Point
from optuna.storages import BaseStorage
from selections import ANALYSES, MakeSettings, by_dropout, report_of, selection_of

from studies.config.settings import StudySettings
from studies.schema import Failure
from studies.search.seeds import training_seed
from studies.selection.chosen import selected


def test_the_report_tells_the_selected_one_and_what_it_is_worth(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = digits("n_trials=20")
    selection, _ = selection_of(settings, storage, Landscape(by_dropout))
    race = selection.best
    assert race is not None
    assert race.estimate is not None
    assert race.champion is not None
    found, number = race.estimate, race.champion.trial.number
    printed, report = report_of(settings, storage, selection)
    assert printed.startswith(f"Selected val/accuracy {found.value:.4f} [")
    assert (
        f"(trial {number}, 5 fresh seeds), test/accuracy {race.tests['test/accuracy'].estimate.value:.4f} [" in printed
    )
    assert f"the search's best value was {selection.searched.value:.4f}" in printed
    assert "20 of 20 trials finished" in printed
    assert "optimistic" not in report
    assert "over seeds and 500 test samples" in report
    best = yaml.safe_load((settings.output_dir / "best.yaml").read_text())
    assert (best["value"], best["n_seeds"], best["trial"]) == (found.value, 5, number)
    assert best["point"] == race.champion.trial.params
    assert best["training_seed"] in {training_seed(0, r, stream="estimate") for r in range(5)}
    assert best["selection"]["ties"] == [race.candidates[i].trial.number for i in race.survivors]
    with (settings.output_dir / "select.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    (winner,) = [row for row in rows if row["selected"] == "True"]
    assert (winner["trial"], float(winner["estimate"]), winner["n_test_samples"]) == (
        str(number),
        found.value,
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
    assert "nothing is selected yet; studies.run goes on." in printed
    assert "optimistic" in report
    assert not (settings.output_dir / "select.csv").exists()
    assert f"removed, of an earlier report: {settings.output_dir / 'select.csv'}" in printed
    assert "is removed" not in report_of(settings, storage, None)[0]


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
    assert rounds[0].n_trials == 3 * ANALYSES[0]
    told = "All 3 completed points (fewer than the 4 that were asked for)"
    assert told in report_of(settings, storage, selection)[1]


def test_a_single_candidate_needs_no_race(digits: MakeSettings, storage: BaseStorage) -> None:
    settings = replace(digits(), n_trials=1)
    selection, rounds = selection_of(settings, storage, Landscape(by_dropout))
    assert [r.n_trials for r in rounds] == [5]
    assert "There was one candidate, and no race." in report_of(settings, storage, selection)[1]


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


def test_without_a_test_part_the_metric_on_fresh_seeds_is_all_that_is_known(
    digits: MakeSettings, storage: BaseStorage
) -> None:
    settings = digits("n_trials=10")
    selection, _ = selection_of(settings, storage, Landscape(by_dropout, has_test_part=False))
    assert selection.best is not None
    assert selection.best.tests == {}
    assert "It was not tested: the module has no test part." in report_of(settings, storage, selection)[1]
