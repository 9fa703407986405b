from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from reports import printed_report
from rich.console import Console

from studies import schema
from studies.analysis.choice import best_of
from studies.cli.reports import report_study
from studies.config.budget import Budget
from studies.config.parsing.configuration import KEYS as RETRAIN_KEYS
from studies.config.settings import FIXED_KEYS, StudySettings
from studies.errors import BadInput
from studies.reporting.ending_notes import ending_notes
from studies.reporting.sections.endings import COLUMNS, ORIGIN, RECORDED, epochs_at, trials_csv
from studies.search.designs import random_design
from studies.storage.slots import Rules
from studies.text.wording import shown
from studies.trial.point_config import PointConfig

MakeSettings = Callable[..., StudySettings]
ENDED_WELL = TrialState.COMPLETE
STOPPED = TrialState.PRUNED
FAILED = TrialState.FAIL
N_TRIALS = 6
SEARCH = Rules(N_TRIALS, max_retries=2, redraws=True)
GRID = Rules(N_TRIALS, max_retries=0, redraws=False)


def attributes(slot: int, **more: Any) -> dict[str, Any]:
    """What a worker records of a trial that trained."""
    return {
        schema.SLOT: slot,
        schema.REPLICATE: slot,
        schema.SEED: 100 + slot,
        schema.SOURCE: "tpe",
        schema.STEPS: 33,
        schema.SECONDS: 1.5,
        schema.SAMPLES_SEEN: [1000, 2000, 3000],
        schema.CONVERGENCE: 2,
        schema.DEVICE: "cpu",
        schema.PROCESSOR: "2 cores of X",
        schema.WORKER: "here:1:2",
        schema.PEAK_MEMORY_MB: 99.5,
        **more,
    }


def trial(
    settings: StudySettings,
    number: int,
    state: TrialState,
    *rungs: float,
    unit: Sequence[float] | None = None,
    **recorded: Any,
) -> FrozenTrial:
    point = settings.space.from_unit(unit or [(number + 0.5) / 10] * len(settings.space))
    made = create_trial(
        state=state,
        value=rungs[-1] if state == ENDED_WELL else None,
        params=point,
        distributions={name: settings.space[name].distribution() for name in point},
        intermediate_values=dict(enumerate(rungs, 1)),
        user_attrs=recorded,
    )
    made.number = number
    return made


def every_ending(settings: StudySettings) -> list[FrozenTrial]:
    """Six slots: two complete, one pruned, one diverged, one retried to completion, one complete; and a surplus row."""
    diverged = attributes(3, failure="diverged", failure_message="loss is nan", samples_seen=[])
    return [
        trial(settings, 0, ENDED_WELL, 0.5, 0.7, 0.8, **attributes(0)),
        trial(settings, 1, ENDED_WELL, 0.5, 0.8, 0.9, **attributes(1)),
        trial(settings, 2, STOPPED, 0.1, **attributes(2, samples_seen=[1000])),
        trial(settings, 3, STOPPED, **diverged),
        trial(settings, 4, FAILED, slot=4, failure="error", failure_message="ValueError: no"),
        trial(settings, 5, ENDED_WELL, 0.4, 0.6, 0.7, **attributes(5)),
        trial(settings, 6, ENDED_WELL, 0.5, 0.8, 0.9, **attributes(4, retry_of=4, attempt=1)),
        trial(settings, 7, FAILED, void=True),
    ]


def written(settings: StudySettings, trials: list[FrozenTrial], rules: Rules = SEARCH) -> str:
    """What the report prints."""
    study = optuna.create_study(direction=settings.objective.direction)
    study.add_trials(trials)
    return printed_report(study, settings, rules=rules)


def six(make_settings: MakeSettings, *overrides: str) -> StudySettings:
    return make_settings(f"n_trials={N_TRIALS}", *overrides)


def test_the_headline_and_the_paths_are_printed(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    lines = written(settings, every_ending(settings)).splitlines()
    assert lines[0] == "Best val/accuracy 0.9000 (trial 1); 6 of 6 trials finished."
    assert f"lr={shown(settings.space.from_unit([0.15] * 6)['lr'])}" in lines[1]
    labels = ["best configuration", "all trials", "effects", "report"]
    assert lines[2].startswith("lr × batch_size: whether they interact is open. A designed study costs ")
    assert lines[2].endswith(": python -m studies.run +study=digits 'question=[lr,batch_size]'")
    assert [line.split(": ")[0].strip() for line in lines[3:]] == labels
    for line in lines[3:]:
        assert Path(line.split(": ")[1]).is_file()


def test_the_report_tells_the_best_configuration_and_how_trials_ended(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    written(settings, every_ending(settings))
    text = (settings.output_dir / "report.md").read_text()
    assert text.startswith("# Study digits\n\nBest val/accuracy 0.9000 (trial 1); 6 of 6 trials finished.")
    for name, value in settings.space.from_unit([0.15] * 6).items():
        assert f"| {name} | {shown(value)} |" in text
    assert "one training with seed 101" in text
    for row in ("| complete | 4 |", "| pruned | 1 |", "| diverged | 1 |"):
        assert row in text
    assert "1 retry after an error, an interruption or a lost worker." in text
    assert "## What matters, and what interacts\n\n**Verdict: unreliable**" in text
    assert "1 of 6 trials were pruned, so all are compared at rung 1" in text
    assert "1 trial gave no value (1 diverged or" in text


def test_a_study_without_a_value_has_no_best_configuration(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    printed = written(settings, [trial(settings, 0, STOPPED, failure="diverged")])
    assert printed.splitlines()[0] == "1 of 6 trials finished, none of them with a value; studies.run goes on."
    assert not (settings.output_dir / "best.yaml").exists()
    assert "## Best configuration" not in (settings.output_dir / "report.md").read_text()


def test_a_study_without_a_trial_has_a_report_all_the_same(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    assert written(settings, []).startswith("0 of 6 trials finished, none of them with a value; studies.run goes on.")


def test_points_that_failed_for_good_are_told(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    printed = written(settings, every_ending(settings)[:6], GRID)
    assert printed.splitlines()[0] == (
        "Best val/accuracy 0.9000 (trial 1); 6 of 6 trials finished; "
        "1 point failed for good (error or killed), with no result."
    )
    text = (settings.output_dir / "report.md").read_text()
    for row in ("| complete | 3 |", "| pruned | 1 |", "| diverged | 1 |", "| error | 1 |"):
        assert row in text


def test_what_ended_without_a_full_result_is_told_with_why(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    trials = [
        *every_ending(settings)[:4],
        trial(settings, 4, ENDED_WELL, 0.5, **attributes(4)),
        trial(settings, 5, STOPPED, **attributes(5, failure="diverged", failure_message="loss is inf")),
    ]
    expected = [
        "2 trials ended as diverged: loss is nan, 1 of them so",
        "1 complete trial has its value from an earlier rung than the last: a callback ended the training there, or "
        "the metric was not logged later",
    ]
    assert ending_notes(trials, n_rungs=3) == expected
    written(settings, trials)
    report = (settings.output_dir / "report.md").read_text()
    assert "- 2 trials ended as diverged: loss is nan, 1 of them so" in report


def test_a_failure_that_is_still_to_be_retried_is_not_finished(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    assert "; 5 of 6 trials finished; studies.run goes on" in written(settings, every_ending(settings)[:6])
    assert "after an error, an interruption" not in (settings.output_dir / "report.md").read_text()


def random_trials(settings: StudySettings, n: int, *, pruned: int = 0) -> list[FrozenTrial]:
    """Trials of the digits study at random points, the value growing with the learning rate and the width; the
    first `pruned` of them stopped at the first rung."""
    made = []
    for number, unit in enumerate(np.random.default_rng(0).uniform(size=(n, len(settings.space))).tolist()):
        value = 0.5 + 0.2 * unit[0] + 0.2 * unit[0] * unit[1]
        rungs = [value] if number < pruned else [value] * 3
        state = STOPPED if number < pruned else ENDED_WELL
        made.append(trial(settings, number, state, *rungs, unit=unit, **attributes(number, source="random")))
    return made


def test_effects_and_figures_are_written_and_told(make_settings: MakeSettings) -> None:
    settings = make_settings("n_trials=60", "analysis.params=[lr,batch_size]", "analysis.law=[]")
    printed = written(settings, random_trials(settings, 60))
    assert printed.startswith("analysing 60 trials, 2 parameters …\nBest val/accuracy ")
    folder = settings.output_dir
    assert f"  effects: {folder / 'effects.csv'}\n  figures: {folder / 'figures'}\n" in printed
    text = (folder / "report.md").read_text()
    assert text.index("## How trials ended") < text.index("## What matters") < text.index("## Files")
    assert "![interactions](figures/interactions.png)" in text
    assert (folder / "figures" / "main_lr.png").is_file()
    with (folder / "effects.csv").open(newline="") as file:
        found = {row["params"]: row for row in csv.DictReader(file)}
    assert list(found)[:3] == ["lr", "batch_size", "lr*batch_size"]
    headline_clause = "] of the variance)" in printed
    assert headline_clause == (found["lr"]["verdict"] == "ok")
    assert found["lr"]["seed"] == str(settings.seed)


def test_a_study_without_an_analysis_says_so(make_settings: MakeSettings) -> None:
    settings = six(make_settings, "analysis=none")
    printed = written(settings, every_ending(settings))
    assert "effects" not in printed
    assert not (settings.output_dir / "effects.csv").exists()
    assert "Not analysed: analysis=none was asked for." in (settings.output_dir / "report.md").read_text()


def test_an_analysis_that_cannot_be_had_loses_no_report(make_settings: MakeSettings) -> None:
    settings = six(make_settings, "analysis.value_policy=final")
    study = optuna.create_study(direction="maximize")
    study.add_trials(random_trials(settings, N_TRIALS, pruned=3))
    out = StringIO()
    with pytest.raises(BadInput, match="the survivors alone mislead"):
        report_study(study, settings, rules=SEARCH, console=Console(file=out, soft_wrap=True, width=400))
    assert out.getvalue().startswith("Best val/accuracy ")
    text = (settings.output_dir / "report.md").read_text()
    assert "## Best configuration" in text
    assert "Not analysed: an error or an interruption ended the analysis" in text
    assert (settings.output_dir / "best.yaml").is_file()


def test_a_parameter_that_no_trial_had_is_no_mistake(make_settings: MakeSettings) -> None:
    settings = make_settings("analysis.params=[lr,momentum]", "analysis.law=[[lr,momentum]]", study="digits_optimizers")
    trials = [trial(settings, number, ENDED_WELL, 0.5, **attributes(number)) for number in (8, 9)]
    assert all("momentum" not in made.params for made in trials)
    written(settings, trials)
    written(settings, [])
    assert "**Verdict: unreliable**" in (settings.output_dir / "report.md").read_text()


def test_many_pruned_trials_are_compared_at_a_common_rung(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    written(settings, random_trials(settings, N_TRIALS, pruned=3))
    told = "3 of 6 trials were pruned, so all are compared at rung 1"
    assert told in (settings.output_dir / "report.md").read_text()


def rows_of(settings: StudySettings) -> list[dict[str, str]]:
    with (settings.output_dir / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_trials_csv_has_a_row_for_every_trial_and_says_how_it_ended(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    written(settings, every_ending(settings))
    rows = rows_of(settings)
    assert list(rows[0]) == [*COLUMNS, *RECORDED, *ORIGIN, *(f"params_{name}" for name in settings.space.names)]
    shown_columns = ("number", "slot", "state", "failure", "value", "rungs", "attempt", "retry_of")
    assert [tuple(row[column] for column in shown_columns) for row in rows] == [
        ("0", "0", "COMPLETE", "", "0.8", "3", "0", ""),
        ("1", "1", "COMPLETE", "", "0.9", "3", "0", ""),
        ("2", "2", "PRUNED", "", "", "1", "0", ""),
        ("3", "3", "PRUNED", "diverged", "", "0", "0", ""),
        ("4", "4", "FAIL", "error", "", "0", "0", ""),
        ("5", "5", "COMPLETE", "", "0.7", "3", "0", ""),
        ("6", "4", "COMPLETE", "", "0.9", "3", "1", "4"),
        ("7", "", "VOID", "", "", "0", "0", ""),
    ]
    assert rows[3]["failure_message"] == "loss is nan"
    assert all(float(row["device_seconds"]) >= 0 for row in rows)


def test_trials_csv_keeps_what_was_recorded(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    written(settings, every_ending(settings))
    row = rows_of(settings)[1]
    recorded = {
        "seconds": "1.5",
        "steps": "33",
        "samples_seen": "3000",
        "convergence": "3",  # by the tolerance of now, from its rungs; 2 was recorded
        "epochs_to_convergence": "3.0",
        "replicate": "1",
        "seed": "101",
        "source": "tpe",
        "device": "cpu",
        "processor": "2 cores of X",
        "worker": "here:1:2",
        "peak_memory_mb": "99.5",
    }
    assert {key: row[key] for key in recorded} == recorded
    assert float(row["params_lr"]) == settings.space.from_unit([0.15] * 6)["lr"]


def test_a_parameter_that_was_not_active_has_an_empty_cell(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(study="digits_optimizers")
    trials = [trial(settings, number, ENDED_WELL, 0.5) for number in (0, 9)]  # sgd, adagrad
    (tmp_path / "t.csv").write_text(trials_csv(trials, budget=settings.budget), newline="")
    with (tmp_path / "t.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["params_optimizer"], second["params_optimizer"]) == ("sgd", "adagrad")
    assert (first["params_momentum"], second["params_momentum"]) == ("0.5245", "")


def test_trials_csv_tells_where_a_retry_went_on_and_why_it_did_not(tmp_path: Path) -> None:
    resumed = {
        schema.RESUMED_FROM: {"trial": 3, "rung": 2, "steps": 40, "exact": True},
        schema.DEVICE_SLOT: "worker 1: CPU",
    }
    trials = [
        create_trial(value=1.0, user_attrs=resumed),
        create_trial(value=1.0, user_attrs={schema.RESTARTED: "the file is damaged"}),
    ]
    (tmp_path / "t.csv").write_text(trials_csv(trials), newline="")
    with (tmp_path / "t.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["resumed_from"], first["restarted"], first["place"]) == ("trial 3, rung 2", "", "worker 1: CPU")
    assert (second["resumed_from"], second["restarted"]) == ("", "the file is damaged")


@pytest.mark.parametrize(
    ("budget", "epochs"),
    [(Budget("epochs", 8, 8), 2.0), (Budget("steps", 100, 10), None), (Budget("seconds", 4.0, 2), None)],
)
def test_epochs_to_convergence_are_known_where_the_budget_is_in_epochs(budget: Budget, epochs: float | None) -> None:
    assert epochs_at(2, budget) == epochs
    assert epochs_at(None, budget) is None


@pytest.mark.parametrize(("tolerance", "rung"), [(0.2, "1"), (0.1, "3"), (None, "2")])
def test_convergence_is_told_by_the_tolerance_that_is_asked_for_now(
    tolerance: float | None, rung: str, tmp_path: Path
) -> None:
    values = {1: 0.4, 2: 0.75, 3: 0.5, 4: 0.55}
    trial = create_trial(value=0.55, intermediate_values=values, user_attrs={schema.CONVERGENCE: 2})
    (tmp_path / "t.csv").write_text(trials_csv([trial], tolerance=tolerance), newline="")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["convergence"] == rung


def test_what_an_earlier_benchmark_left_is_removed_and_nothing_else(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    folder = settings.output_dir / "sampler_benchmark"
    folder.mkdir(parents=True)
    ours = [folder / "curves.csv", folder / "comparisons.csv", folder / "best_so_far_x.png"]
    for path in (*ours, folder / "mine.txt"):
        path.touch()
    written(settings, every_ending(settings))
    assert not any(path.exists() for path in ours)
    assert (folder / "mine.txt").exists()


def test_best_yaml_is_a_whole_config_with_the_point_in_it(make_settings: MakeSettings) -> None:
    settings = six(make_settings, "+datamodule.api_key=abc123")
    written(settings, every_ending(settings))
    text = (settings.output_dir / "best.yaml").read_text()
    best = yaml.safe_load(text)
    point = settings.space.from_unit([0.15] * 6)
    origin = {"study", "trial", "value", "n_seeds", "training_seed", "point", "objective", "budget", "threads"}
    assert set(best) == {*origin, *FIXED_KEYS}
    assert set(RETRAIN_KEYS) <= set(best)
    assert best["point"] == point
    assert (best["study"], best["trial"], best["value"], best["training_seed"]) == ("digits", 1, 0.9, 101)
    assert best["budget"] == {"unit": "epochs", "amount": 3, "rungs": 3}
    assert best["model"]["optimizer"]["lr"] == point["lr"]
    assert best["datamodule"]["batch_size"] == point["batch_size"]
    assert best["model"]["network"]["input_shape"] == [1, 8, 8]
    assert "${" not in text
    assert text.count("???") == 1  # the secret, which is left out
    assert "# Left out, being named or formed like a secret: datamodule.api_key. Give its value there.\n" in text
    assert "abc123" not in text
    wanted = {key: value for key, value in PointConfig(settings, point).resolved().items() if key in FIXED_KEYS}
    wanted["datamodule"]["api_key"] = "???"
    assert {key: best[key] for key in wanted} == wanted


def test_best_yaml_says_how_it_is_run(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    written(settings, every_ending(settings))
    path = settings.output_dir / "best.yaml"
    assert f"python -m studies.retrain config={path}" in path.read_text().splitlines()[1]


def test_the_best_is_the_largest_or_smallest_value_and_the_earliest_of_equals() -> None:
    trials = [create_trial(value=value) for value in (0.5, 0.9, 0.1, 0.9, 0.1)]
    for number, made in enumerate(trials):
        made.number = number
    assert best_of(trials, maximize=True) is trials[1]
    assert best_of(trials[::-1], maximize=True) is trials[1]
    assert best_of(trials, maximize=False) is trials[2]


def test_only_a_completed_trial_can_be_the_best() -> None:
    distributions = {"x": FloatDistribution(0.0, 1.0)}
    stopped = create_trial(state=STOPPED, params={"x": 0.5}, distributions=distributions, intermediate_values={1: 9.0})
    assert best_of([stopped], maximize=True) is None
    assert best_of([], maximize=True) is None
    zero = create_trial(value=0.0)
    assert best_of([stopped, zero], maximize=False) is zero


@pytest.mark.parametrize(
    ("value", "text"), [(0.00012345678, "0.0001235"), (64, "64"), ("relu", "relu"), (True, "True"), (None, "None")]
)
def test_a_value_is_shown_with_four_digits(value: object, text: str) -> None:
    assert shown(value) == text


def test_fewer_trials_than_there_are_hide_none_of_them(make_settings: MakeSettings) -> None:
    settings = six(make_settings)
    everything = every_ending(settings)
    fewer = replace(settings, n_trials=1)
    printed = written(settings, everything, GRID)
    assert "; 6 of 6 trials finished" in printed
    assert written(fewer, everything, GRID) == printed


def test_the_cells_of_a_design_are_told_by_their_means(make_settings: MakeSettings) -> None:
    """The first cell has the luckiest seed (.99), the second the better mean."""
    settings = make_settings(study="digits_grid")
    values = [0.99, 0.80, 0.91, 0.91]
    trials = [trial(settings, number, ENDED_WELL, value, **attributes(number)) for number, value in enumerate(values)]
    first, second = settings.space.grid()[:2]
    for made, point in zip(trials, [first, first, second, second], strict=True):
        made.params = point
    printed = written(settings, trials)
    assert printed.startswith("Best val/accuracy 0.9100 (mean of 2 seeds, all equal)")
    text = (settings.output_dir / "report.md").read_text()
    assert "## Cells" in text
    assert "| 0.8950 |" in text
    assert "pruned: the means" not in text
    assert yaml.safe_load((settings.output_dir / "best.yaml").read_text())["point"] == second


def test_the_means_of_cells_with_pruned_trainings_are_told_to_be_too_good(make_settings: MakeSettings) -> None:
    settings = make_settings(study="digits_grid")
    trials = [trial(settings, 0, ENDED_WELL, 0.9, **attributes(0))]
    trials += [trial(settings, number, STOPPED, 0.1, **attributes(number)) for number in (1, 2)]
    for made in trials:
        made.params = settings.space.grid()[0]
    written(settings, trials)
    assert (
        "2 trainings of these cells were pruned. The means are over the others, so they are too good for cells where "
        "some were."
    ) in (settings.output_dir / "report.md").read_text()


def test_a_search_tells_what_each_scientific_value_gives_at_its_best(make_settings: MakeSettings) -> None:
    """Batch size is scientific here: the fitted function, at its best over the learning rate."""
    settings = make_settings("search_space=lr_batch_size", "sampler=random", "pruner=none", "n_trials=60")
    study = optuna.create_study(direction="maximize")
    rng = np.random.default_rng(0)
    for slot in range(60):
        point = random_design(settings.space, seed=settings.seed)(slot)
        value = 0.9 - 0.05 * (np.log10(point["lr"]) + 3 - 0.2 * np.log2(point["batch_size"])) ** 2
        attributes = {schema.SLOT: slot, schema.SOURCE: "random", schema.SEED: 1, schema.REPLICATE: slot % 8}
        study.add_trial(
            create_trial(
                params=point,
                distributions={p.name: p.distribution() for p in settings.space},
                value=value + rng.normal(0, 0.002),
                user_attrs=attributes,
            )
        )
    report_study(study, settings, console=Console(file=StringIO()))
    report = (settings.output_dir / "report.md").read_text()
    assert "## batch_size, value by value" in report
    rows = list(csv.DictReader(StringIO((settings.output_dir / "isolation.csv").read_text())))
    assert [row["value"] for row in rows] == ["16", "32", "64", "128", "256"]
    assert all(abs(float(row["best"]) - 0.9) < 0.02 for row in rows)
