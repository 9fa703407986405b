"""Tables of a scientific parameter: from trials whose truth is known to files that people read."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from studies import schema
from studies.analysis.values import row
from studies.analysis.values.table import value_tables
from studies.configs import group_options
from studies.errors import BadInput
from studies.report.report import write_report
from studies.report.value_files import FILES, disagreements_of, sentence, write_value_files
from studies.search.designs import grid_design
from studies.search.seeds import replicate_of
from studies.settings import StudySettings
from studies.shift import Shift
from studies.signals import StopSignals
from studies.storage.identity import open_study
from studies.storage.opening import open_storage
from studies.storage.slots import rules_of
from studies.trial.objective import run_trial
from studies.worker import Post, work

MakeSettings = Callable[..., StudySettings]
Truth = Callable[[Mapping[str, Any]], float | None]
TABLES = [name for name in group_options("study") if name.startswith("tables/")]
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")


def trials_of(settings: StudySettings, truth: Truth, *, noise: float = 0.001, **attributes: Any) -> list[FrozenTrial]:
    """Every slot of a grid, with values around what is true of its point; None diverges."""
    rng = np.random.default_rng(0)
    design = grid_design(settings)
    seeds = rng.normal(0, 0.02, settings.replicates)  # what a seed does to all points alike
    trials = []
    for slot in range(settings.n_trials):
        point, replicate, value = design(slot), replicate_of(settings, slot), truth(design(slot))
        recorded = {
            schema.REPLICATE: replicate,
            schema.SECONDS: 2.0,
            schema.RUNG_SECONDS: [0.2 * rung for rung in range(1, 11)],
            schema.SAMPLES_SEEN: [100 * rung for rung in range(1, 11)],
            schema.CONVERGENCE: 4,
            schema.PEAK_MEMORY_MB: 50.0,
            schema.DEVICE: "cpu",
            schema.WORKER: "host:1:2:3",
            **attributes,
        }
        common: dict[str, Any] = {
            "params": point,
            "distributions": {p.name: p.distribution() for p in settings.space if p.name in point},
            "intermediate_values": {rung: 0.4 if rung < 4 else 0.5 for rung in range(1, 11)},
        }
        if value is None:
            common["user_attrs"] = {**recorded, schema.FAILURE: "diverged"}
            trials.append(create_trial(state=TrialState.PRUNED, **common))
            continue
        measured = value + seeds[replicate] + rng.normal(0, noise)
        recorded[schema.TEST] = {"test/accuracy": measured - 0.01, "n": 750}
        trials.append(create_trial(state=TrialState.COMPLETE, value=measured, user_attrs=recorded, **common))
    return trials


USUAL = {"sgd": 1e-1, "momentum": 1e-1, "nesterov": 1e-1, "adagrad": 1e-2, "rmsprop": 1e-3, "adam": 1e-3, "adamw": 1e-3}


def sgd_wants_another_rate(point: Mapping[str, Any]) -> float:
    """At their usual learning rates Adam is ahead; at its own best, a decade higher, plain SGD is."""
    best = {"sgd": 1.0}.get(point["optimizer"], USUAL[point["optimizer"]])
    top = {"sgd": 0.95, "adam": 0.93}.get(point["optimizer"], 0.90)
    return top - 0.05 * abs(np.log10(point["lr"] / best))


def test_each_value_is_judged_at_its_own_best_and_the_defaults_may_say_otherwise(make_settings: MakeSettings) -> None:
    settings = make_settings(study="tables/optimizer")
    tables = value_tables(trials_of(settings, sgd_wants_another_rate), settings)
    assert tables is not None
    assert tables.tuned is not None
    assert tables.fixed is not None
    assert (tables.fixed.best.label, tables.tuned.best.label) == ("adam", "sgd")  # type: ignore[union-attr]
    rows = {row.label: row for row in tables.tuned.rows}
    assert rows["sgd"].nuisance == {"lr": 1.0}
    assert rows["sgd"].at_limit == ("lr",)
    assert rows["adam"].nuisance == {"lr": 1e-3}
    assert rows["sgd"].metric is not None
    assert rows["sgd"].metric.value == pytest.approx(0.95, abs=0.02)
    assert rows["sgd"].test is not None
    assert rows["sgd"].test.value == pytest.approx(rows["sgd"].metric.value - 0.01)
    assert rows["adam"].standing.word == "worse"
    assert (rows["sgd"].seconds, rows["sgd"].convergence_seconds) == (2.0, pytest.approx(0.8))
    assert (rows["sgd"].convergence_epochs, rows["sgd"].convergence_samples, rows["sgd"].n) == (4, 400, 6)
    assert any("at the end of what was tried" in note for note in tables.notes)
    (told,) = [line for line in disagreements_of(tables) if line.startswith("sgd is lower than adam by ")]
    assert re.search(r"0\.\d{4} at the defaults, higher by 0\.\d{4} when each is tuned: the difference changes", told)


@pytest.mark.parametrize(
    ("metric", "tested"),
    [
        *(("val/accuracy", "test/accuracy"), ("valid_loss", "test_loss"), ("accuracy_validation", "accuracy_test")),
        *(("eval/f1", "test/f1"), ("interval/score", "interval/score"), ("valAcc", "testAcc"), ("value", "value")),
    ],
)
def test_a_metric_has_its_counterpart_in_testing(metric: str, tested: str, make_settings: MakeSettings) -> None:
    settings = make_settings(study="tables/dropout")
    assert row.test_metric(replace(settings, objective=replace(settings.objective, metric=metric))) == tested


def test_equal_values_tie(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    tables = value_tables(trials_of(settings, lambda _: 0.9), settings)
    assert tables is not None
    assert tables.tuned is None
    assert len(tables.main.ties) == 5
    assert "are not shown to be worse" in sentence(tables.main)
    assert "ties" not in sentence(tables.main)


def test_a_value_that_diverges_everywhere_has_no_number_and_is_told(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    tables = value_tables(trials_of(settings, lambda p: None if p["dropout"] == 0.8 else 0.9), settings)
    assert tables is not None
    last = tables.main.rows[-1]
    assert (last.label, last.metric, last.n_lost, last.standing.word) == ("0.8", None, 6, "none")
    assert any("0.8 (6)" in note for note in tables.notes)


def test_times_of_two_machines_are_not_to_be_compared(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    trials = trials_of(settings, lambda _: 0.9)
    trials[0].user_attrs[schema.WORKER] = "elsewhere:1:2:3"
    tables = value_tables(trials, settings)
    assert tables is not None
    assert any("do not compare" in note for note in tables.notes)


def test_a_study_without_a_scientific_parameter_has_no_table(make_settings: MakeSettings) -> None:
    settings = make_settings("search_space.batch_size.role=nuisance", study="digits_grid")
    assert value_tables(trials_of(settings, lambda _: 0.9), settings) is None


def test_the_four_files_tell_the_same(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(study="tables/optimizer")
    tables = value_tables(trials_of(settings, sgd_wants_another_rate), settings)
    assert tables is not None
    write_value_files(tmp_path, tables, title="50 % & more_than <that>")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert [row["view"] for row in rows] == ["tuned"] * 7 + ["fixed"] * 7
    best = next(row for row in rows if row["standing"] == "best")
    shown = f"{float(best['metric']):.4f} ± {float(best['metric']) - float(best['metric_lo']):.4f}"
    markdown, page = (tmp_path / "table.md").read_text(), (tmp_path / "table.html").read_text()
    latex = (tmp_path / "table.tex").read_text()
    assert shown in markdown
    assert shown in page
    assert shown.replace("±", r"$\pm$") in latex
    assert "&lt;that&gt;" in page
    assert r"50 \% \& more\_than" in latex
    assert latex.count(r"\begin{tabular}") == 2
    cells = [line.count("&") - line.count(r"\&") for line in latex.splitlines() if line.endswith(r"\\")]
    assert cells == [10] * 8 + [9] * 8
    assert all((tmp_path / name).stat().st_size for name in (*FILES, "figures/values.png", "figures/values.csv"))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_one_question_ten_validations_and_the_defaults_among_its_cells(
    name: str, make_settings: MakeSettings
) -> None:
    settings = make_settings(study=name)
    assert settings.objective.test
    assert settings.budget.rungs >= 10
    assert settings.replicates >= 5
    trials = trials_of(settings, lambda _: 0.9)
    tables = value_tables(trials, settings)
    assert tables is not None
    assert tables.fixed is not None, "the table cannot say what mode=fixed would"
    assert all(row.metric is not None for row in tables.fixed.rows)
    fixed = make_settings("mode=fixed", study=name)
    assert fixed.study_name != settings.study_name
    assert fixed.n_trials == len(tables.fixed.rows) * settings.replicates


def test_fixed_needs_a_question(make_settings: MakeSettings) -> None:
    with pytest.raises(BadInput, match="no parameter is scientific"):
        make_settings("mode=fixed")
    with pytest.raises(BadInput, match="mode"):
        make_settings("mode=tune")


def test_a_table_of_real_trainings_is_written_with_its_report(make_settings: MakeSettings) -> None:
    settings = make_settings(
        *("launcher=serial", "datamodule=digits", "replicates=2", "budget.amount=2"),
        "search_space.lr.levels=[1e-3,1e-2]",
        "search_space.n_layers.high=1",
        study="tables/number_of_layers",
    )
    storage = open_storage(settings.storage.address)
    study = open_study(settings, storage)
    work(settings, storage, post=Post("here", Shift(datetime.now(), None), StopSignals()), run_trial=run_trial)
    printed = io.StringIO()
    write_report(study, settings, rules_of(settings), console=Console(file=printed, soft_wrap=True))
    report = (settings.output_dir / "report.md").read_text()
    assert "## n_layers, value by value" in report
    assert "figures/values.png" in report
    assert "n_layers = " in printed.getvalue()
    rows = list(csv.DictReader(io.StringIO((settings.output_dir / "table.csv").read_text())))
    assert len(rows) == 4
    assert all(0 < float(row["convergence_seconds"]) <= float(row["seconds"]) for row in rows)
    assert all(0.2 < float(row["test"]) < 1 for row in rows)
