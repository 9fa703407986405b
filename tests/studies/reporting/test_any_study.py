from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState, create_trial
from reports import printed_stored_report

from studies.config.budget import Budget
from studies.config.settings import AnalysisSettings
from studies.errors import BadInput
from studies.storage.described_study import budget_of, metric_of

MakeStudy = Callable[..., optuna.Study]
FULL = AnalysisSettings("full", None, "auto", None)
SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}


def written(study: optuna.Study, folder: Path, wanted: AnalysisSettings = FULL, **more: Any) -> str:
    """What the report prints."""
    return printed_stored_report(study, folder, wanted, **more)


def small_study(n: int = 4, **more: Any) -> optuna.Study:
    """A study that another tool made: no attribute of ours, and one that only looks like ours."""
    study = optuna.create_study(study_name="foreign", **more)
    for i in range(n):
        point = {"x": i / n, "y": (i * i) % n / n}
        values = [point["x"], 1.0][: len(study.directions)]
        study.add_trial(
            create_trial(
                params=point, distributions=SPACE, values=values, user_attrs={"samples_seen": 9, "convergence": 2}
            )
        )
    return study


def stopped(state: TrialState) -> Any:
    """A pruned, failed or running trial."""
    return create_trial(state=state, params={"x": 0.5, "y": 0.5}, distributions=SPACE)


def test_a_study_of_another_tool_gets_its_report(known_study: optuna.Study, tmp_path: Path) -> None:
    lines = written(known_study, tmp_path).splitlines()
    best = known_study.best_trial
    assert lines[0] == "analysing 60 trials, 2 parameters …"
    assert lines[1].startswith(f"Best val/loss {best.value:.4f} (trial {best.number}); 60 trials finished")
    assert lines[2].startswith("Best configuration: model.lr=")
    assert [line.split(": ")[0].strip() for line in lines[5:]] == ["all trials", "effects", "figures", "report"]
    assert lines[3].startswith("Tune model.lr first: at a value taken blindly the best val/loss is worse by ")
    assert lines[4].startswith("model.lr × batch_size interact (")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for part in ("# Study known", "## Best configuration", "| complete | 60 |", "**Verdict: ", "### Effects"):
        assert part in text
    assert "at equal epochs" in text
    assert "![interactions](figures/interactions.png)" in text
    for file in ("effects.csv", "interactions.csv", "ridge.csv", "screen.csv", "analysis.json", "trials.csv"):
        assert (tmp_path / file).is_file()
        assert f"{tmp_path / file}`" in text
    assert json.loads((tmp_path / "analysis.json").read_text())["metric"] == "val/loss"


def test_all_trials_are_listed_without_a_budget(tmp_path: Path) -> None:
    study = small_study()
    study.add_trials([stopped(TrialState.PRUNED), stopped(TrialState.FAIL), stopped(TrialState.RUNNING)])
    printed = written(study, tmp_path)
    assert printed.startswith("Best value 0.0000 (trial 0); 6 trials finished.")
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["COMPLETE"] * 4 + ["PRUNED", "FAIL", "RUNNING"]
    assert [row["value"] for row in rows[:5]] == ["0.0", "0.25", "0.5", "0.75", ""]
    assert rows[0]["samples_seen"] == rows[0]["epochs_to_convergence"] == ""
    assert rows[5]["failure"] == "failed"
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for row in ("| complete | 4 |", "| pruned | 1 |", "| failed | 1 |", "| running | 1 |"):
        assert row in text


def test_few_trials_give_a_verdict_and_no_figure(tmp_path: Path) -> None:
    printed = written(small_study(), tmp_path)
    assert "figures" not in printed
    assert not (tmp_path / "figures").exists()
    assert "**Verdict: unreliable**" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_an_empty_study_has_a_report_all_the_same(tmp_path: Path) -> None:
    assert written(small_study(0), tmp_path).startswith("0 trials finished, none of them with a value.")
    assert "**Verdict: unreliable**" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_what_is_asked_reaches_the_analysis(tmp_path: Path) -> None:
    study = small_study(8)
    with pytest.warns(ExperimentalWarning):
        study.set_metric_names(["error"])
    wanted = AnalysisSettings("full", ("x", "y"), "auto", (("x", "y"),))
    written(study, tmp_path, wanted)
    document = json.loads((tmp_path / "analysis.json").read_text())
    assert document["metric"] == "error"
    assert document["ridges"][0]["params"] == ["x", "y"]
    only = AnalysisSettings("full", ("x",), "auto", ())
    written(study, tmp_path, only)
    document = json.loads((tmp_path / "analysis.json").read_text())
    assert [parameter["name"] for parameter in document["parameters"]] == ["x"]
    assert document["ridges"] == []


def test_an_unknown_parameter_is_told_and_the_rest_is_written(tmp_path: Path) -> None:
    study = small_study()
    with pytest.raises(BadInput, match="z"):
        written(study, tmp_path, AnalysisSettings("full", ("z",), "auto", None))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Best value 0.0000 (trial 0); 4 trials finished." in text
    assert "an error or an interruption ended the analysis" in text
    assert (tmp_path / "trials.csv").is_file()


def test_of_several_objectives_the_first_is_analysed_which_is_told(tmp_path: Path) -> None:
    study = small_study(directions=["minimize", "maximize"])
    assert "4 trials finished, with 2 objectives: there is no single best one." in written(study, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "The study has 2 objectives. What follows is about the first alone, value 1." in text
    with (tmp_path / "trials.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["value"] == "0.0;1.0"
    assert written(study, tmp_path, AnalysisSettings("none", None, "auto", None)).startswith("4 trials finished, ")


def test_a_study_that_is_not_analysed_says_so(tmp_path: Path) -> None:
    written(small_study(), tmp_path, AnalysisSettings("none", None, "auto", None))
    assert "Not analysed: analysis=none was asked for." in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert not (tmp_path / "effects.csv").exists()


def test_metric_and_budget_are_read_off_the_study() -> None:
    study = optuna.create_study()
    assert (metric_of(study), budget_of(study)) == ("value", None)
    with pytest.warns(ExperimentalWarning):
        study.set_metric_names(["accuracy"])
    assert metric_of(study) == "accuracy"
    for key, value in {"fingerprint": "0" * 16, "schema": 1}.items():
        study.set_user_attr(key, value)
    study.set_user_attr("metric", {"name": "val/accuracy"})
    study.set_user_attr("budget", {"unit": "steps", "amount": 100, "rungs": 4})
    assert (metric_of(study), budget_of(study)) == ("val/accuracy", Budget("steps", 100, 4))
    for other in ({"unit": "dollars", "amount": 1, "rungs": 1}, {"unit": "steps"}, 7):
        study.set_user_attr("budget", other)
        assert budget_of(study) is None


GRID = "x: {paths: [model.x], type: float, role: nuisance, low: 0.0, high: 1.0, log: false, step: null, levels: [0, 1]}"


def replicated(name: str = "ours", **attributes: object) -> optuna.Study:
    """Two cells on two seeds, made by this framework: the luckiest seed, 0.9, is of the worse cell."""
    study = optuna.create_study(study_name=name, direction="maximize")
    for key, value in {"fingerprint": "0" * 16, "space": GRID, **attributes}.items():
        study.set_user_attr(key, value)
    for x, value in ((0.0, 0.9), (0.0, 0.1), (1.0, 0.6), (1.0, 0.8)):
        study.add_trial(create_trial(params={"x": x}, distributions={"x": SPACE["x"]}, value=value))
    return study


def test_a_replicated_grid_is_ranked_by_its_cells_from_the_storage_alone(tmp_path: Path) -> None:
    wanted = AnalysisSettings("none", None, "auto", None)
    printed = written(replicated(), tmp_path, wanted)
    assert printed.startswith("Best value 0.7000 [-0.5706, 1.9706] (mean of 2 seeds); 4 trials finished.")  # t = 12.706
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| x | 1 |" in text
    assert "Value: the mean of 2 trainings with different seeds. Points are compared by their means" in text
    searched = replicated(space=GRID.replace(", levels: [0, 1]", ""))
    assert written(searched, tmp_path, wanted).startswith("Best value 0.9000 (trial 0); 4 trials finished.")


def test_the_round_of_a_selection_is_ranked_by_its_candidates(tmp_path: Path) -> None:
    searched = GRID.replace(", levels: [0, 1]", ", levels: []")
    study = replicated(space=searched, select={"of": "ours", "stage": "race", "round": 1, "trials": [0, 0, 1, 1]})
    printed = written(study, tmp_path, AnalysisSettings("none", None, "auto", None))
    assert printed.startswith("Best value 0.7000 [-0.5706, 1.9706] (mean of 2 seeds)")


def test_that_a_selection_followed_is_told_where_its_winner_is_not_known(tmp_path: Path) -> None:
    printed = written(small_study(), tmp_path, rounds=("foreign.select-1-a", "foreign.select-estimate-b"))
    assert printed.startswith("Best value of the search alone 0.0000 (trial 0); 4 trials finished; a selection among")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "(2 rounds in the storage: foreign.select-1-a, foreign.select-estimate-b)" in text
    assert "This is the best of the search alone." in text
    assert "studies.report +study=… with the overrides that the study was run with tells what was selected." in text
