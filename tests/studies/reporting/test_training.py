"""The section on what decides whether it trains: it speaks only of two groups, and says the region in words."""

from __future__ import annotations

import csv
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


def test_a_study_with_two_groups_gets_both_answers(tmp_path: Path) -> None:
    report_stored(study(stuck=True), tmp_path, WANTED, seed=0, console=QUIET)
    report = (tmp_path / "report.md").read_text()
    section = report[report.index(f"## {TITLE}") :]
    assert "of 60 trials train, and" in section
    assert "It trains where lr < 0.0" in section
    assert "What decides how well, among configurations that train" in section
    assert "The trials fall into two groups, so most of the variance lies between both." in report
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
