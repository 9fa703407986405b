"""What `studies.list` says of the studies of a storage: names whole, cells by their means, selections as such."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from composing import composed
from optuna.distributions import FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState, create_trial

from studies import schema
from studies.list import list_studies
from studies.storage.opening import open_storage

LEVELS = (
    "x: {paths: [model.x], type: float, role: nuisance, low: 0.0, high: 1.0, log: false, step: null, levels: [0, 1]}"
)
SEARCHED = LEVELS.replace(", levels: [0, 1]", "")
LUCKY = ((0.0, 0.9), (0.0, 0.1), (1.0, 0.6), (1.0, 0.8))  # the best single value is of the worse point


def add(folder: Path, name: str, *, values: tuple[tuple[float, float], ...] = LUCKY, **attributes: Any) -> None:
    study = optuna.create_study(study_name=name, direction="maximize", storage=open_storage(f"sqlite:///{folder}/s.db"))
    described: Mapping[str, Any] = {
        schema.STUDY_FINGERPRINT: "0" * 16,
        schema.STUDY_METRIC: {"name": "val/accuracy"},
        schema.STUDY_N_TRIALS: len(values),
        **attributes,
    }
    for key, value in described.items():
        study.set_user_attr(key, value)
    for x, value in values:
        study.add_trial(create_trial(params={"x": x}, distributions={"x": FloatDistribution(0.0, 1.0)}, value=value))


def listed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, width: int = 200
) -> list[list[str]]:
    """The table's rows, cell by cell; an empty first cell where a row goes on in another line."""
    monkeypatch.setenv("COLUMNS", str(width))
    assert list_studies(composed(f"storage.url=sqlite:///{folder}/s.db")) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_a_replicated_grid_is_listed_by_its_best_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "grid", space=LEVELS)
    add(tmp_path, "search", space=SEARCHED)
    assert listed(tmp_path, capsys, monkeypatch) == [
        ["grid", "4 of 4", "4 complete", "val/accuracy (maximize)", "0.7 (trial 2, mean of 2 seeds)"],
        ["search", "4 of 4", "4 complete", "val/accuracy (maximize)", "0.9 (trial 0)"],
    ]


def test_a_round_of_itself_or_of_a_round_is_listed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, of in (("own", "own"), ("a", "b"), ("b", "a"), ("search", "nowhere"), ("inner", "a")):
        add(tmp_path, name, space=SEARCHED, select={"of": of, "stage": "race", "round": 1, "trials": [0]})
    assert [row[0] for row in listed(tmp_path, capsys, monkeypatch)] == ["search", "own", "a", "b", "inner"]


def test_what_was_selected_is_told_by_its_fresh_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    race = {"of": "search", "stage": "race", "round": 1, "trials": [0, 0, 2, 2]}
    estimate = {"of": "search", "stage": "estimate", "round": 0, "trials": [2, 2]}
    add(tmp_path, "search", space=SEARCHED)
    add(tmp_path, "search.select-1-a", space=SEARCHED, select=race)
    add(tmp_path, "search.select-estimate-b", space=SEARCHED, select=estimate, values=((1.0, 0.5), (1.0, 0.7)))
    two = {**estimate, "trials": [0, 2]}
    add(tmp_path, "search.select-estimate-c", space=SEARCHED, select=two, values=((0.0, 0.5), (1.0, 0.7)))
    rows = listed(tmp_path, capsys, monkeypatch)
    assert [(row[0], row[-1]) for row in rows] == [
        ("search", "0.9 (trial 0) before its selection"),
        ("search.select-1-a", "–"),
        ("search.select-estimate-b", "0.6 (trial 2, mean of 2 fresh seeds)"),
        ("search.select-estimate-c", "–"),
    ]


def printed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, width: int
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    assert list_studies(composed(f"storage.url=sqlite:///{folder}/s.db")) == 0
    return capsys.readouterr().out.splitlines()


def test_a_screen_that_is_too_narrow_for_the_table_gets_each_study_in_lines_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a_study_with_a_long_name.select-estimate-71ec83"
    add(tmp_path, name, space=LEVELS)
    assert printed(tmp_path, capsys, monkeypatch, width=30) == [
        name,
        "    slots: 4 of 4",
        "    trials: 4 complete",
        "    metric: val/accuracy",
        "        (maximize)",
        "    best: 0.7 (trial 2, mean",
        "        of 2 seeds)",
    ]
    assert max(map(len, printed(tmp_path, capsys, monkeypatch, width=80))) <= 80


@pytest.mark.parametrize("width", range(56, 130, 3))
def test_no_word_is_cut_on_a_screen_of_any_width(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    add(tmp_path, "searched", space=SEARCHED)
    lines = printed(tmp_path, capsys, monkeypatch, width=width)
    words = {word for line in lines for word in line.replace("│", " ").split()}
    assert max(map(len, lines)) <= width
    assert {"searched", "complete", "val/accuracy", "(maximize)", "(trial", "0.9"} <= words


@pytest.mark.parametrize(
    "name", ["ablation[v2]", "bert[/base]", "[red]", ":smile:", "étude 研究 😀", "a|b*c_d`e", "x" * 300]
)
@pytest.mark.parametrize("width", [80, 1000])
def test_a_name_is_printed_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, width: int
) -> None:
    add(tmp_path, name, space=SEARCHED, metric={"name": f"val{name}"})
    lines = printed(tmp_path, capsys, monkeypatch, width=width)
    assert any(name in line for line in lines)
    assert any(f"val{name}" in line for line in lines)


def test_a_study_of_another_tool_with_two_objectives_has_no_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(
        study_name="foreign", directions=["minimize", "minimize"], storage=open_storage(f"sqlite:///{tmp_path}/s.db")
    )
    study.add_trial(create_trial(values=[1.0, 2.0]))
    assert listed(tmp_path, capsys, monkeypatch) == [["foreign", "–", "1 complete", "–", "–"]]


def test_the_database_is_closed_when_the_command_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite keeps a second file beside the database until the last connection to it is closed."""
    add(tmp_path, "grid", space=LEVELS)
    assert listed(tmp_path, capsys, monkeypatch)[0][0] == "grid"
    assert [path.name for path in tmp_path.iterdir()] == ["s.db"]


def test_a_damaged_study_is_told_and_takes_no_other_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "whole", space=SEARCHED)
    add(tmp_path, "damaged", space=SEARCHED, n_trials="four")
    add(tmp_path, "worse", space=SEARCHED, metric="accuracy", select=["whole"])
    assert listed(tmp_path, capsys, monkeypatch) == [
        ["whole", "4 of 4", "4 complete", "val/accuracy (maximize)", "0.9 (trial 0)"],
        ["damaged", "–", "damaged: n_trials is 'four', no whole number from 0 on", "–", "–"],
        [
            "worse",
            "–",
            "damaged: metric is 'accuracy', no mapping with the metric's name, and 1 more of this kind",
            "–",
            "–",
        ],
    ]


def test_attributes_of_another_tool_are_not_read_as_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(study_name="foreign", storage=open_storage(f"sqlite:///{tmp_path}/s.db"))
    others = {"n_trials": 99, "metric": "acc", "select": {"of": "foreign"}, "space": [1], "fingerprint": "0" * 16}
    for key, value in others.items():
        study.set_user_attr(key, value)
    junk = {"attempt": "first", "rungs": 3, "retry_of": [1], "void": True, "imported_from": "elsewhere"}
    study.add_trial(create_trial(value=1.0, user_attrs=junk))
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"failure": {"code": 1}}))
    assert listed(tmp_path, capsys, monkeypatch) == [["foreign", "–", "1 complete, 1 failed", "–", "1 (trial 0)"]]


def test_an_interrupted_trial_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "stopped", space=SEARCHED, n_trials=6)
    study = optuna.load_study(study_name="stopped", storage=open_storage(f"sqlite:///{tmp_path}/s.db"))
    for failure, message in (("killed", "interrupted (SIGTERM)"), ("error", "ValueError: no")):
        attributes = {"slot": 4, "failure": failure, "failure_message": message}
        study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=attributes))
    (row,) = listed(tmp_path, capsys, monkeypatch)
    assert row[1:3] == ["4 of 6, 1 failed", "4 complete, 1 interrupted, 1 error"]


def test_what_cannot_be_the_best_is_counted_and_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(
        study_name="foreign", direction="maximize", storage=open_storage(f"sqlite:///{tmp_path}/s.db")
    )
    with pytest.warns(ExperimentalWarning):
        study.set_metric_names(["accuracy"])
    for value, memory in ((0.9, 1.0), (float("inf"), 0.0), (0.5, -1.0)):
        study.add_trial(create_trial(value=value, constraints={"memory": memory}))
    (row,) = listed(tmp_path, capsys, monkeypatch)
    assert row[2:] == ["3 complete (1 infeasible, 1 infinite)", "accuracy (maximize)", "0.5 (trial 2)"]
