"""The section on what decides whether it trains: it speaks only of two groups, and says the region in words."""

from __future__ import annotations

import csv
import json
import math
from io import StringIO
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial
from rich.console import Console

from studies.analysis.axis import axis_of
from studies.analysis.training.region import Bound
from studies.cli.reports import report_stored
from studies.config.settings import AnalysisSettings
from studies.reporting.sections.training.section import TITLE
from studies.reporting.sections.training.words import bound_words, region_words

WANTED = AnalysisSettings("full", None, "auto", None)
QUIET = Console(file=StringIO())
SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "depth": IntDistribution(1, 4),
    "optimizer": CategoricalDistribution(("adam", "adamw", "sgd")),
}
LR, DEPTH, OPTIMIZER = (axis_of(name, [distribution]) for name, distribution in SPACE.items())


def study(*, stuck: bool) -> optuna.Study:
    """A study of 60 random trials. Beyond an edge they are stuck at chance, or only worse."""
    rng = np.random.default_rng(0)
    made = optuna.create_study(study_name="toy", direction="maximize")
    for _ in range(60):
        lr, depth = rng.random(), int(rng.integers(1, 5))
        beyond = lr > 0.8 - 0.1 * depth
        value = 0.1 if stuck and beyond else 0.7 + 0.1 * lr - 0.02 * depth
        params = {"lr": 10 ** (4 * lr - 4), "depth": depth, "optimizer": "adam" if rng.random() < 0.5 else "sgd"}
        value += 0.01 * rng.standard_normal()
        made.add_trial(create_trial(value=float(value), params=params, distributions=SPACE))
    return made


def coin_study() -> optuna.Study:
    """A study of 60 random trials. A coin says which ones are stuck."""
    rng = np.random.default_rng(1)
    made = optuna.create_study(study_name="coin", direction="maximize")
    for _ in range(60):
        optimizer = "adam" if rng.random() < 0.5 else "sgd"
        params = {"lr": 10 ** (4 * rng.random() - 4), "depth": int(rng.integers(1, 5)), "optimizer": optimizer}
        value = (0.1 if rng.random() < 0.5 else 0.8) + 0.01 * rng.standard_normal()
        made.add_trial(create_trial(value=float(value), params=params, distributions=SPACE))
    return made


def diverging_study() -> optuna.Study:
    """A study of 60 random trials. Beyond a learning rate they diverge."""
    rng = np.random.default_rng(0)
    made = optuna.create_study(study_name="diverging", direction="maximize")
    for lr in rng.random(60):
        params = {"lr": 10 ** (4 * lr - 4), "depth": int(rng.integers(1, 5)), "optimizer": "adam"}
        value = -math.inf if lr > 0.7 else 0.6 + 0.1 * lr + 0.01 * rng.standard_normal()
        made.add_trial(create_trial(value=float(value), params=params, distributions=SPACE))
    return made


def section_of(folder: Path) -> str:
    report = (folder / "report.md").read_text()
    return report[report.index(f"## {TITLE}") :].partition("\n## ")[0]


def test_groups_by_a_coin_are_told_with_what_is_not_known_of_them(tmp_path: Path) -> None:
    report_stored(coin_study(), tmp_path, WANTED, seed=0, console=QUIET)
    section = section_of(tmp_path)
    assert "of 60 trials train, and" in section
    assert "The trials do not tell what decides." in section
    assert "Confirmed: " in section
    assert "It trains where" not in section
    assert "among configurations that train" not in section
    report = (tmp_path / "report.md").read_text()
    assert "The shares below tell what decides" not in report
    assert "is told in the section before" not in report
    rows = list(csv.DictReader(StringIO((tmp_path / "training.csv").read_text())))
    assert {(row["question"], float(row["ci_lo"]), float(row["ci_hi"])) for row in rows} == {("whether", 0.0, 1.0)}
    training = json.loads((tmp_path / "analysis.json").read_text())["training"]
    assert not training["learned"]
    assert training["confirmed"] <= training["from_noise"]
    assert training["region"] is None
    assert training["how_well"] is None


def test_diverged_trials_are_in_no_share_of_those_with_a_value(tmp_path: Path) -> None:
    report_stored(diverging_study(), tmp_path, WANTED, seed=0, console=QUIET)
    report = (tmp_path / "report.md").read_text()
    assert "diverged or ran out of memory." in section_of(tmp_path)
    assert "The shares below are among trials with a value." in report
    assert "The shares below tell what decides whether a configuration trains." not in report
    assert "much of the variance lies between both" not in report


def test_both_answers_stand_in_the_file_for_programs(tmp_path: Path) -> None:
    report_stored(study(stuck=True), tmp_path, WANTED, seed=0, console=QUIET)
    training = json.loads((tmp_path / "analysis.json").read_text())["training"]
    assert training["trained"] + training["others"] == training["used"] == 60
    assert training["diverged"] == 0
    assert 0.1 < training["border"] < 0.7
    assert training["confirmed"] > training["from_noise"]
    assert training["learned"]
    assert training["region"]["text"] in section_of(tmp_path)
    assert 0 < training["how_well"]["space"]["share"] < 1
    rows = list(csv.DictReader(StringIO((tmp_path / "training.csv").read_text())))
    for key, question in ((training["decides"], "whether"), (training["how_well"]["effects"], "how well")):
        given = {"*".join(row["params"]): [row["share"], row["share_lo"], row["share_hi"]] for row in key}
        assert given == {
            row["params"]: pytest.approx([float(row[name]) for name in ("share", "ci_lo", "ci_hi")])
            for row in rows
            if row["question"] == question
        }


def test_a_study_with_two_groups_gets_both_answers(tmp_path: Path) -> None:
    report_stored(study(stuck=True), tmp_path, WANTED, seed=0, console=QUIET)
    report = (tmp_path / "report.md").read_text()
    section = report[report.index(f"## {TITLE}") :]
    assert "of 60 trials train, and" in section
    assert "It trains where lr < 0.0" in section
    assert "Confirmed: 0." in section
    assert "What decides how well, among configurations that train" in section
    assert (
        "lies between both. The shares below tell what decides whether a configuration trains. What decides" in report
    )
    rows = list(csv.DictReader(StringIO((tmp_path / "training.csv").read_text())))
    whether = {row["params"]: float(row["share"]) for row in rows if row["question"] == "whether"}
    assert max(whether, key=lambda name: whether[name]) == "lr"
    how_well = {row["params"]: float(row["share"]) for row in rows if row["question"] == "how well"}
    assert how_well.keys() == SPACE.keys()
    assert sum(how_well.values()) == pytest.approx(1.0)


def test_a_study_with_one_group_has_no_such_section(tmp_path: Path) -> None:
    (tmp_path / "training.csv").touch()  # of an earlier report
    report_stored(study(stuck=False), tmp_path, WANTED, seed=0, console=QUIET)
    report = (tmp_path / "report.md").read_text()
    assert TITLE not in report
    assert "fall into two groups" not in report
    assert not (tmp_path / "training.csv").exists()


def test_conditions_name_values_that_the_study_has() -> None:
    assert LR is not None
    assert DEPTH is not None
    assert OPTIMIZER is not None
    assert bound_words(Bound(LR, high=-1.5)) == "lr < 0.032"
    assert bound_words(Bound(LR, low=-3.0, high=-1.5)) == "0.001 ≤ lr < 0.032"
    assert bound_words(Bound(DEPTH, high=2.5)) == "depth ≤ 2"
    assert bound_words(Bound(DEPTH, low=2.5)) == "depth ≥ 3"
    assert bound_words(Bound(DEPTH, low=1.5, high=2.5)) == "depth = 2"
    assert bound_words(Bound(OPTIMIZER, choices=("adam", "adamw"))) == "optimizer is not sgd"
    assert bound_words(Bound(OPTIMIZER, choices=("sgd",))) == "optimizer is sgd"
    boxes = ((Bound(LR, high=-1.5),), (Bound(LR, low=-1.5), Bound(DEPTH, high=2.5)))
    assert region_words(boxes) == "lr < 0.032, or lr ≥ 0.032 and depth ≤ 2"
